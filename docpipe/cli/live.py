"""The live view of a terminal: patients in progress and their waits, quotas, outages, and the time left."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from docpipe.app import Docpipe
from docpipe.cli.phrases import span_words
from docpipe.engine.run import ActiveRun, ActiveStep
from docpipe.gates import Quota, Service
from docpipe.model import Activity, Json, Outcome, Wait, WaitKind, count_of, describe_subject

_MOST_ROWS: Final = 40
_LEFT_FREE: Final = 5
"""Lines of the terminal that are not the view's: what happened last, and the cursor's."""
_BAR: Final = 24
_SHORT_BAR: Final = 8
_WIDE: Final = 100
_NARROW: Final = 80
"""Columns below which a patient's line leaves out what matters less, and what matters little."""
_SOME: Final = 3
"""The fewest stored documents for an estimate from their pace."""
_NOT_KEPT: Final = (Outcome.DUPLICATE, Outcome.IGNORED, Outcome.REFUSED)
_STATE_STYLES: Final = {
    WaitKind.OUTAGE: "red",
    WaitKind.DISK: "red",
    WaitKind.LOCAL: "red",
    WaitKind.QUOTA_STORE: "red",
    WaitKind.PAUSE: "yellow",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """The state of one patient."""

    run: ActiveRun
    activity: str
    since: float | None
    wait: Wait | None
    waits_for: str
    """What it waits for, in words; the same for all who wait for the same."""

    @property
    def rank(self) -> tuple[int, int]:
        """Working runs before waiting ones, and those in lines by place."""
        return (0, 0) if self.wait is None else (1 if self.wait.place is None else 2, self.wait.place or 0)


class View:
    """Renders the present state of everything."""

    def __init__(self, docpipe: Docpipe, runs: int) -> None:
        self._docpipe = docpipe
        self._runs = runs
        self._began = time.monotonic()
        self._first_stored: float | None = None
        self.done = 0
        self.failed = 0
        self.documents: Counter[Activity] = Counter()
        self.to_go: float | None = None
        """Seconds until all should be done, at the pace of the runs, as far as is known."""

    def count(self, activity: Activity) -> None:
        """A document was converted, or stored."""
        self.documents[activity] += 1
        if activity is Activity.STORE and self._first_stored is None:
            self._first_stored = time.monotonic()

    def __call__(self, console: Console) -> RenderableType:
        """The view, no higher than the terminal."""
        width, now = console.width, self._docpipe.engine.clock()
        rows = [_row(run) for run in list(self._docpipe.engine.runs.values())]
        head: list[RenderableType] = [self._summary(rows)]
        if self._runs > 1:
            bar = Table.grid()
            bar.add_row(ProgressBar(total=self._runs, completed=self.done, width=min(80, console.width)))
            head.append(bar)
        foot = [*self._lines(width, now)]
        room = console.height - len(head) - sum(height for _, height in foot) - _LEFT_FREE
        visible = sorted(rows, key=lambda row: row.rank)[: max(1, min(_MOST_ROWS, room - 2))]
        if visible:  # each keeps its place among the others: lines that jump cannot be read
            kept = {id(row) for row in visible}
            head.append(self._patients([row for row in rows if id(row) in kept], width, now))
        if more := _rest([row for row in rows if row not in visible], self._docpipe.engine.waiting):
            head.append(Text(more, style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*head, *(part for part, _ in foot))

    def _summary(self, rows: Sequence[_Row]) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{self.done} of {count_of(self._runs, 'patient')} done", "bold")
        if self.failed:
            line.append(f", {self.failed} failed", "red")
        line.append(f" · {span_words(time.monotonic() - self._began)}", "dim")
        if (to_go := self.to_go or self._to_go(rows)) is not None:
            line.append(f", about {span_words(to_go)} to go", "dim")
        converted, stored = self.documents[Activity.CONVERT], self.documents[Activity.STORE]
        if converted:
            noun = "document" if converted == 1 else "documents"
            line.append(f" · {converted} {noun} converted, {stored} in the storage")
        return line

    def _to_go(self, rows: Sequence[_Row]) -> float | None:
        """At the pace of the documents, once every archive is open and nothing is in the way."""
        stored = self.documents[Activity.STORE]
        files = [_files(row.run) for row in rows]
        if not files or None in files or self._docpipe.engine.waiting or self._first_stored is None:
            return None
        if stored < _SOME or any(row.wait is not None and row.wait.kind in _STATE_STYLES for row in rows):
            return None
        left = sum(max(0, counts[1] - counts[0]) for counts in files if counts)
        return left * (time.monotonic() - self._first_stored) / stored if left else None

    def _patients(self, rows: Sequence[_Row], width: int, now: float) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        longest = min(20, max(7, *(len(row.run.patient_id) for row in rows)))
        whole = max(map(len, Activity)) if width >= _NARROW else 18
        table.add_column("patient", no_wrap=True, min_width=longest, max_width=20, overflow="ellipsis")
        table.add_column("activity", no_wrap=True, min_width=whole)
        if width >= _WIDE:
            table.add_column("for", no_wrap=True, justify="right", style="dim")
        files = {row.run.id: _files(row.run) for row in rows} if width >= _NARROW else {}
        if any(files.values()):
            table.add_column("documents", no_wrap=True)
        table.add_column("next in", no_wrap=True, min_width=7, justify="right")
        table.add_column("waits for", no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            cells = [Text(row.run.patient_id), Text(row.activity, "cyan")]
            if width >= _WIDE:
                cells.append(Text("" if row.since is None else span_words(now - row.since)))
            if any(files.values()):
                done = files[row.run.id]
                cells.append(Text(f"{done[0]} of {done[1]}" if done else ""))
            until = None if row.wait is None else row.wait.until
            cells.append(Text("" if until is None else _until_words(until - now)))
            style = _STATE_STYLES.get(row.wait.kind, "") if row.wait else ""
            table.add_row(*cells, Text(self._waits_for(row, wide=width >= _NARROW), style))
        return table

    def _waits_for(self, row: _Row, *, wide: bool) -> str:
        if row.wait is None:
            return ""
        place = None if row.wait.kind in _STATE_STYLES else row.wait.place
        if row.wait.kind is WaitKind.CONVERSION and (step := _step(row.run)) is not None:
            place = self._docpipe.workers.place(step.ticket)
        if not place:
            return row.waits_for
        return f"{row.waits_for}, place {place}" if wide else f"place {place}: {row.waits_for}"

    def _lines(self, width: int, now: float) -> Iterator[tuple[RenderableType, int]]:
        """What stands below the patients, each part with its height."""
        gates = Table.grid(padding=(0, 2))
        for _ in range(3):
            gates.add_column(no_wrap=True, overflow="ellipsis")
        bars = _BAR if width >= _NARROW else _SHORT_BAR
        for quota in self._docpipe.quotas.values():
            if quota.view().used or quota.waiting:
                gates.add_row(*_quota(quota, now, bars))
        workers = self._docpipe.workers.snapshot()
        if workers.busy:
            line = f", {workers.waiting} in line" if workers.waiting else ""
            bar = _bar(workers.busy, workers.size, bars, "green")
            gates.add_row("converters", bar, f"{workers.busy} of {workers.size} busy{line}")
        if gates.row_count:
            yield gates, gates.row_count
        for service in self._docpipe.services.values():
            if sentence := _trouble(service, now):
                yield sentence, 1
        if (trouble := self._docpipe.checkpoints.trouble) is not None:
            yield Text(f"Progress cannot be saved: {trouble.sentence('state folder')}.", "red"), 1


def _step(run: ActiveRun) -> ActiveStep | None:
    """The step of a run that is running, else one that waits, else None."""
    active = list(run.active.values())
    return next((step for step in active if step.ticket.wait is None), active[0] if active else None)


def _row(run: ActiveRun) -> _Row:
    step = _step(run)
    if step is None:
        return _Row(run, "", None, None, "")
    wait = step.ticket.wait
    waits_for = describe_subject(wait.kind, wait.what) if wait else ""
    progress = step.progress
    if wait and wait.kind is WaitKind.POLL and progress is not None:
        waits_for += f" ({progress:.0%})"
    return _Row(run, step.activity, step.started, wait, waits_for)


def _files(run: ActiveRun) -> tuple[int, int] | None:
    """How many documents are stored, of how many that are to be; None before the archive is open."""
    archives = run.results(Activity.DOWNLOAD).values()
    members = next((done["members"] for done in archives if done["state"] == "ready"), None)
    if members is None:
        return None
    return len(run.results(Activity.STORE)), sum(map(_is_stored, members))


def _is_stored(member: Json) -> bool:
    """Whether a file is to be stored, and not just accounted for."""
    return member["outcome"] is None or bool(member["file"] and member["outcome"] not in _NOT_KEPT)


def _until_words(seconds: float) -> str:
    return span_words(seconds) if seconds >= 1 else "now"


def _rest(rows: Sequence[_Row], queued: int) -> str:
    """Patients that have no line of their own, by what they wait for."""
    waits = Counter(f"waiting for {row.waits_for}" if row.waits_for else "at work" for row in rows)
    if queued:
        waits["waiting for their turn to begin"] += queued
    listed = "; ".join(f"{number} {wait}" for wait, number in waits.most_common())
    return f"and {waits.total()} more: {listed}" if listed else ""


def _bar(used: int, of: int, width: int, style: str) -> Text:
    filled = math.ceil(width * min(1.0, used / of))
    bar = Text("█" * filled, style)
    bar.append("░" * (width - filled), "dim")
    return bar


def _quota(quota: Quota, now: float, width: int) -> tuple[RenderableType, ...]:
    view = quota.view()
    if view.rate is None:
        return view.name, "", f"{view.waiting} in line" if view.waiting else ""
    parts = [f"{view.used} of {view.rate}"]
    if view.waiting:
        parts.append(f"{view.waiting} in line")
    if view.closed_until is not None:
        parts.append(f"closed for {span_words(view.closed_until - now)}")
    style = "green" if view.used < view.rate.n else "yellow"
    return view.name, _bar(view.used, view.rate.n, width, style), ", ".join(parts)


def _trouble(service: Service, now: float) -> Text | None:
    view = service.view()
    if view.paused_since is not None:
        return Text(f"{view.name} is paused: no requests are sent to it.", "yellow", no_wrap=True)
    if view.up or view.outage is None:
        return None
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{view.name} is down", "bold red")
    line.append(f" for {span_words(now - view.outage.since)} ({view.outage.reason})", "red")
    if view.outage.next_probe is not None:
        left = view.outage.next_probe - now
        line.append("; asked now" if left <= 0 else f"; asked again in {span_words(max(1, left))}", "red")
    return line
