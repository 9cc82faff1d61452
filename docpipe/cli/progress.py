"""Progress of `run`, `resume` and `retry`: a moving view on a terminal, plain lines elsewhere."""

import asyncio
import contextlib
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Self, TextIO, cast

import structlog

from docpipe.app import Docpipe
from docpipe.cli.phrases import in_short, span_words
from docpipe.cli.streams import Lasting
from docpipe.engine.pace import Pace
from docpipe.engine.run import Change, current_waits
from docpipe.engine.runfiles import files_in
from docpipe.model import Activity, RunState
from docpipe.runtime import logs

log = structlog.get_logger(__name__)

IN_DETAIL: Final = 5
"""The most patients whose activities are printed, a line each."""
_REPEATED: Final = (Activity.CONVERT, Activity.STORE)
_IN_THE_VIEW: Final = frozenset({"service_down", "service_probe_failed", "service_up"})
"""Events that the moving view shows itself."""
_EVERY_S: Final = 0.5
_PACE_EVERY: Final = 10


class Verbosity(Enum):
    """How much is printed on the way."""

    QUIET = "quiet"  # nothing but what needs attention
    USUAL = "usual"
    VERBOSE = "verbose"  # every activity of every patient
    DEBUG = "debug"  # the same in lines, for nothing may move while breakpoint() has the terminal

    @classmethod
    def of(cls, args: Any) -> "Verbosity":
        """The verbosity that the options ask for."""
        if args.debug:
            return cls.DEBUG
        if getattr(args, "quiet", False):
            return cls.QUIET
        return cls.VERBOSE if getattr(args, "verbose", False) else cls.USUAL


_MOVES: Final = (Verbosity.USUAL, Verbosity.VERBOSE)
_IN_FULL: Final = (Verbosity.VERBOSE, Verbosity.DEBUG)


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of a command went."""

    seconds: float
    waits: dict[tuple[str, str], float]
    """Seconds that runs waited, added up, by kind and by what for."""


class Progress:
    """Shows the progress of runs."""

    def __init__(
        self, docpipe: Docpipe, runs: int, verbosity: Verbosity = Verbosity.USUAL, out: TextIO | None = None
    ) -> None:
        self._docpipe = docpipe
        self._engine = docpipe.engine
        self._runs = runs
        self._verbosity = verbosity
        self._out = out or sys.stderr
        self._pace = Pace(docpipe.engine, docpipe.checkpoints.listing, docpipe.quotas["docex.search"])
        self._began: dict[tuple[str, Activity, str], float] = {}
        self._names: dict[str, dict[str, str]] = {}
        self._start = time.monotonic()
        self._waited: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._task: asyncio.Task[None] | None = None
        self._stack = contextlib.ExitStack()
        self._moving: _Moving | None = None

    def __enter__(self) -> Self:
        self._engine.listeners += [self._changed, self._pace.changed]
        if self._verbosity in _MOVES and self._out.isatty():
            self._moving = _Moving.on(self._docpipe, self._runs, self._out, self._stack)
        self._task = asyncio.create_task(self._watch(), name="progress")
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.listeners.remove(self._changed)
        self._engine.listeners.remove(self._pace.changed)
        if self._task is not None:
            self._task.cancel()
        self._stack.close()

    @property
    def spent(self) -> Spent:
        """Where the time went so far."""
        return Spent(time.monotonic() - self._start, dict(self._waited))

    def _changed(self, change: Change) -> None:
        if change.activity is None:
            self._ended(change)
            return
        key = (change.run_id, change.activity, change.item)
        if change.outcome is None:
            self._began[key] = time.monotonic()
            return
        took = time.monotonic() - self._began.pop(key, self._start)  # it may have begun before anybody looked
        repeated = change.activity in _REPEATED
        if repeated and self._moving:
            self._moving.view.count(change.activity)
        if self._verbosity in _IN_FULL or not repeated:
            self._print_activity(change, took)

    def _print_activity(self, change: Change, took: float) -> None:
        if self._moving is None:
            about = {"item": change.item} if change.item else {}
            log.info(
                "activity",
                run_id=change.run_id,
                activity=change.activity,
                outcome=change.outcome,
                seconds=round(took, 2),
                **about,
            )
        elif self._runs <= IN_DETAIL or self._verbosity is Verbosity.VERBOSE:
            what = f"{change.activity} {self._name(change)}".strip()
            self._moving.line(f"{change.patient_id}  {what:<24}  {change.outcome:<7} {took:6.1f} s")

    def _name(self, change: Change) -> str:
        """The name of the document that an activity is about, its item where none is known.

        For the terminal alone: patients may be named in it, so that it is in no log.
        """
        names = self._names.setdefault(change.run_id, {})
        if change.activity in _REPEATED and change.item not in names:  # another archive, or a document in one
            run = self._engine.runs.get(change.run_id)
            files = () if run is None else files_in(run.steps.values())
            names |= {file.item: in_short(file.member.path) for file in files}
        return names.get(change.item, change.item)

    def _ended(self, change: Change) -> None:
        self._names.pop(change.run_id, None)
        if self._moving is None:
            return  # the engine logs it
        view = self._moving.view
        view.done += 1
        view.failed += change.outcome == RunState.FAILED
        self._moving.line(f"{change.patient_id}  {str(change.outcome).replace('_', ' ')}")

    async def _watch(self) -> None:
        """Count what is waited for, and redraw."""
        last, turn = time.monotonic(), 0
        while True:
            if self._moving is not None:
                if turn % _PACE_EVERY == 0:
                    self._moving.view.to_go = self._pace.to_go(self._runs - self._moving.view.done)
                self._moving.draw()
            await asyncio.sleep(_EVERY_S)
            now, turn = time.monotonic(), turn + 1
            for _, wait in current_waits(self._engine.runs.values()):
                self._waited[wait.kind, wait.what] += now - last
            last = now


class _Moving:
    """A moving view at the end of a terminal, lines and logs above it."""

    def __init__(self, docpipe: Docpipe, runs: int, out: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 -- only a terminal needs it
        from rich.live import Live  # noqa: PLC0415

        from docpipe.cli.live import View  # noqa: PLC0415

        self.console = Console(file=cast("TextIO", Lasting(out)), highlight=False, markup=False, emoji=False)
        self.view = View(docpipe, runs)
        self._services = docpipe.services
        self._down: dict[str, float] = {}
        self._drawn: list[Any] = []
        self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)

    @classmethod
    def on(cls, docpipe: Docpipe, runs: int, out: TextIO, stack: contextlib.ExitStack) -> "_Moving | None":
        """The view; None on a terminal that cannot move."""
        moving = cls(docpipe, runs, out)
        if moving.console.is_dumb_terminal:
            return None
        stack.enter_context(moving._live)
        stack.enter_context(logs.written_by(moving.line, without=_IN_THE_VIEW))
        return moving

    def line(self, text: str) -> None:
        """A line above the view, that stays; what happened to a service before comes before it."""
        self._print_services()
        self._write(text)

    def _write(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        self.console.print(Text.from_ansi(text), soft_wrap=True)  # logs may bear colours

    def _print_services(self) -> None:
        for name, service in self._services.items():
            outage = service.view().outage
            if outage is not None and name not in self._down:
                self._down[name] = outage.since
                self._write(f"{name} is down: {outage.reason}")
            elif outage is None and name in self._down:
                self._write(f"{name} is up again after {span_words(time.time() - self._down.pop(name))}")

    def draw(self) -> None:
        """Draw the present state, unless it is on the screen already: nothing is to flicker."""
        from rich.segment import SegmentLines  # noqa: PLC0415

        self._print_services()
        lines = self.console.render_lines(self.view(self.console), pad=False)
        if lines != self._drawn:
            self._drawn = lines
            self._live.update(SegmentLines(lines, new_lines=True), refresh=True)
