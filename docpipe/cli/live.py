"""The moving view of a terminal: patients under way, what each waits for, quotas, outages, the time to go."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from docpipe.cli.words import told_span, told_wait
from docpipe.gates import Quota, Service
from docpipe.model import Activity, WaitKind
from docpipe.runs import OneRun
from docpipe.service import Docpipe

_MOST_ROWS: Final = 12
_AROUND: Final = 8
"""Lines of the view that are no patients, and of the shell."""
_BAR: Final = 24
_STATE_STYLES: Final = {WaitKind.OUTAGE: "red", WaitKind.DISK: "red", WaitKind.PAUSE: "yellow"}


class View:
    """Renders how everything stands at the moment."""

    def __init__(self, docpipe: Docpipe, runs: int) -> None:
        self._docpipe = docpipe
        self._runs = runs
        self._began = time.monotonic()
        self.done = 0
        self.failed = 0
        self.documents: Counter[Activity] = Counter()
        self.to_go: float | None = None
        """Seconds until all should be done, as far as is known."""

    def __call__(self, console: Console) -> RenderableType:
        """The view, no higher than the terminal."""
        room = max(1, min(_MOST_ROWS, console.size.height - _AROUND))
        engine = self._docpipe.engine
        runs = sorted(engine.runs.values(), key=_rank)
        parts: list[RenderableType] = [self._summary()]
        if self._runs > 1:
            bar = Table.grid()
            bar.add_row(ProgressBar(total=self._runs, completed=self.done, width=min(80, console.width)))
            parts.append(bar)
        if runs:
            parts.append(_patients(runs[:room], engine.clock()))
        if more := self._others(runs[room:], engine.waiting):
            parts.append(Text(more, style="dim", no_wrap=True, overflow="ellipsis"))
        parts += self._gates()
        return Group(*parts)

    def _summary(self) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{self.done} of {self._runs} patient{'' if self._runs == 1 else 's'} done", "bold")
        if self.failed:
            line.append(f", {self.failed} failed", "red")
        converted, stored = self.documents[Activity.CONVERT], self.documents[Activity.STORE]
        if converted:
            line.append(f" · {converted} documents converted, {stored} stored")
        line.append(f" · {told_span(time.monotonic() - self._began)}", "dim")
        if self.to_go is not None:
            line.append(f", about {told_span(self.to_go)} to go", "dim")
        return line

    def _others(self, runs: Sequence[OneRun], queued: int) -> str:
        """Patients that have no line of their own, by what they wait for."""
        waits = Counter(_told_short(run) or "at work" for run in runs)
        if queued:
            waits["waits for its turn to begin"] += queued
        told = "; ".join(f"{number} of them: {wait}" for wait, number in waits.most_common())
        return f"and {waits.total()} more: {told}" if told else ""

    def _gates(self) -> Iterator[RenderableType]:
        now = self._docpipe.engine.clock()
        lines = Table.grid(padding=(0, 2))
        shown = [quota for quota in self._docpipe.quotas.values() if quota.view().used or quota.waiting]
        for quota in shown:
            lines.add_row(*_quota(quota, now))
        if shown:
            yield lines
        for service in self._docpipe.services.values():
            if told := _trouble(service, now):
                yield told
        if self._docpipe.checkpoints.full_since is not None:
            yield Text("The disk is full: docpipe waits for room.", "red")


def _rank(run: OneRun) -> tuple[int, int]:
    """Who works before who waits, and in a line who is first."""
    wait = (run.doing() or {}).get("wait")
    return (0, 0) if not wait else (1 if wait["place"] is None else 2, wait["place"] or 0)


def _patients(runs: Sequence[OneRun], now: float) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    longest = min(20, max((len(run.patient_id) for run in runs), default=0))
    table.add_column("patient", no_wrap=True, min_width=longest, max_width=20, overflow="ellipsis")
    table.add_column("activity", no_wrap=True, min_width=max(map(len, Activity)))
    table.add_column("time", no_wrap=True, min_width=8, justify="right", style="dim")
    table.add_column("documents", no_wrap=True, min_width=8)
    table.add_column("waits for", no_wrap=True, overflow="ellipsis", ratio=1)
    for run in runs:
        doing = run.doing()
        wait = doing.get("wait") if doing else None
        table.add_row(
            Text(run.patient_id),
            Text(doing["activity"] if doing else "", "cyan"),
            told_span(now - doing["since"]) if doing else "",
            documents_of(run),
            Text(told_wait(wait, now), _STATE_STYLES.get(wait["kind"], "") if wait else ""),
        )
    return table


def documents_of(run: OneRun) -> str:
    """How many documents are stored, of how many files; empty before the archive is open."""
    archive = next(iter(run.results(Activity.DOWNLOAD).values()), None)
    if not archive or "members" not in archive:
        return ""
    return f"{len(run.results(Activity.STORE))} of {len(archive['members'])}"


def _told_short(run: OneRun) -> str:
    """What a run waits for, without its place and time: the same for all who wait for the same."""
    wait: dict[str, Any] | None = (run.doing() or {}).get("wait")
    return told_wait({**wait, "place": None, "until": None}, 0.0) if wait else ""


def _quota(quota: Quota, now: float) -> tuple[RenderableType, ...]:
    view = quota.view()
    if view.rate is None:
        return view.name, "", f"{view.waiting} in line" if view.waiting else ""
    filled = math.ceil(_BAR * min(1.0, view.used / view.rate.n))
    bar = Text("█" * filled, "green" if view.used < view.rate.n else "yellow")
    bar.append("░" * (_BAR - filled), "dim")
    told = [f"{view.used} of {view.rate}"]
    if view.waiting:
        told.append(f"{view.waiting} in line")
    if view.closed_until is not None:
        told.append(f"closed for {told_span(view.closed_until - now)}")
    return view.name, bar, ", ".join(told)


def _trouble(service: Service, now: float) -> Text | None:
    view = service.view()
    if view.paused_since is not None:
        return Text(f"{view.name} is paused: nobody is sent to it.", "yellow")
    if view.up or view.outage is None:
        return None
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{view.name} is down", "bold red")
    line.append(f" for {told_span(now - view.outage.since)} ({view.outage.reason})", "red")
    if view.outage.next_probe is not None:
        line.append(f"; asked again in {told_span(max(0.0, view.outage.next_probe - now))}", "red")
    return line
