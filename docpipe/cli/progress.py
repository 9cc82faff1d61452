"""Progress on the terminal: a line for each activity of a few patients, a moving line for the rest."""

import asyncio
import sys
import time
from collections import Counter
from typing import Final, Self, TextIO

import structlog

from docpipe.cli.words import told_wait
from docpipe.engine import Change, Engine
from docpipe.model import Activity

log = structlog.get_logger(__name__)

IN_DETAIL: Final = 5
"""As many patients are shown activity by activity."""
_REPEATED: Final = (Activity.CONVERT, Activity.STORE)
_EVERY_S: Final = 0.25


class Progress:
    """Shows an engine's changes: lines on a terminal, log events elsewhere."""

    def __init__(self, engine: Engine, runs: int, out: TextIO = sys.stderr) -> None:
        self._engine = engine
        self._runs = runs
        self._out = out
        self._terminal = out.isatty()
        self._began: dict[tuple[str, Activity, str], float] = {}
        self._documents: Counter[str] = Counter()
        self._done = 0
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._engine.listeners.append(self._changed)
        if self._terminal:
            self._task = asyncio.create_task(self._move(), name="progress")
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.listeners.remove(self._changed)
        if self._task is not None:
            self._task.cancel()
            self._wipe()

    def _changed(self, change: Change) -> None:
        if change.activity is None:
            self._done += 1
            self._line(f"{change.patient_id}  {str(change.outcome).replace('_', ' ')}")
            return
        key = (change.run_id, change.activity, change.item)
        if change.outcome is None:
            self._began[key] = time.monotonic()
            return
        took = time.monotonic() - self._began.pop(key, time.monotonic())
        if change.activity in _REPEATED:
            self._documents[change.activity] += 1
            return
        if not self._terminal:
            log.info("activity", run_id=change.run_id, activity=change.activity, outcome=change.outcome)
        elif self._runs <= IN_DETAIL:
            self._line(f"{change.patient_id}  {change.activity:<24}  {change.outcome:<7} {took:6.1f} s")

    def _line(self, text: str) -> None:
        if self._terminal:
            self._wipe()
            print(text, file=self._out, flush=True)

    def _wipe(self) -> None:
        self._out.write("\r\x1b[2K")
        self._out.flush()

    async def _move(self) -> None:
        """Redraw the moving line."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self._out.write(f"\r\x1b[2K{self._moving()[:110]}")
            self._out.flush()

    def _moving(self) -> str:
        parts = [f"{self._done} of {self._runs} patients done"]
        if self._documents:
            converted, stored = (self._documents[activity] for activity in _REPEATED)
            parts.append(f"{converted} documents converted, {stored} stored")
        if self._engine.runs:
            run = next(iter(self._engine.runs.values()))
            doing = run.doing()
            if doing:
                wait = told_wait(doing["wait"], self._engine.clock())
                parts.append(f"{run.patient_id}: {doing['activity']}{f', {wait}' if wait else ''}")
        return " · ".join(parts)
