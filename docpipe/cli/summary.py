"""The end of `run`, `resume` and `retry`: what became of every patient, and where the time went."""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from docpipe import app
from docpipe.checkpoints import StoredRun
from docpipe.cli.progress import Spent
from docpipe.cli.words import say, told_counts, told_for, told_span, told_state
from docpipe.model import Json, Outcome, RunState

FEW: Final = 5
"""As many patients are told of one by one; of more there is a table."""
_PROBLEMS: Final = (Outcome.FAILED, Outcome.REFUSED)
_MOST_PROBLEMS: Final = 40
_MOST_ROWS: Final = 200
_MOST_WAITS: Final = 3
_SHORT: Final = {
    "completed with errors": "with errors",
    "converted": "conv.",
    "stored": "stor.",
    "failed": "fail.",
    "duplicate": "dup.",
    "ignored": "ign.",
    "refused": "ref.",
}


async def tell(docpipe: app.Docpipe, runs: Sequence[StoredRun], spent: Spent | None = None) -> None:
    """Say what was made, and where it lies."""
    if not runs:
        say("Nothing to do: no run is unfinished.")
        return
    if len(runs) <= FEW:
        for stored in runs:
            await _one(docpipe, stored)
    else:
        await _many(docpipe, runs)
    if spent is not None:
        say("")
        for line in _told_spent(spent, len(runs)):
            say(line)


async def _one(docpipe: app.Docpipe, stored: StoredRun) -> None:
    state = told_state(stored.state) if stored.state.finished else "unfinished"
    say(f"\nPatient {stored.patient_id}: {state}")
    if stored.error:
        say(f"  reason     {stored.error}")
    files = await _files(docpipe, stored)
    if files is None:
        return
    say(f"  found      {told_counts(stored.counts)}")
    for file in files:
        if file["outcome"] in _PROBLEMS:
            say(f"  {file['outcome']:<9}  {file['path']}: {file['reason']}")
    say(f"  documents  {docpipe.storage.location(stored.patient_id)}")
    say(f"  report     {docpipe.storage.location(stored.patient_id, run_id=stored.run_id)}/report.html")


async def _files(docpipe: app.Docpipe, stored: StoredRun) -> list[Json] | None:
    try:
        manifest = await docpipe.storage.get_run_file(stored.patient_id, stored.run_id, "manifest.json")
    except OSError:  # it was written; that it cannot be read now is no failure of the run
        manifest = None
    return None if manifest is None else list(json.loads(manifest)["files"])


async def _many(docpipe: app.Docpipe, runs: Sequence[StoredRun]) -> None:
    ended = [run for run in runs if run.state.finished]
    used = [outcome for outcome in Outcome if any(run.counts.get(outcome) for run in ended)]
    head = ["patient", "ended as", *(outcome.value for outcome in used)]
    rows = [
        [
            run.patient_id[:24],
            told_state(run.state),
            *(str(run.counts.get(outcome) or "") for outcome in used),
        ]
        for run in _foremost(ended)
    ]
    if len(rows) < len(ended):
        rows.append([f"{len(ended) - len(rows)} more", "", *("" for _ in used)])
    total = [str(sum(run.counts.get(outcome, 0) for run in ended)) for outcome in used]
    left = "" if len(ended) == len(runs) else f"{len(runs) - len(ended)} unfinished"
    rows.append([f"{len(runs)} patients", left, *total])
    say("")
    for line in _fitting([head, *rows]):
        say(line)
    await _problems(docpipe, runs)
    say(f"\ndocuments and reports: {docpipe.storage.location(runs[0].patient_id).rpartition('/')[0]}")


def _foremost(ended: Sequence[StoredRun]) -> Sequence[StoredRun]:
    """All of them; of very many those that did not end well before the others, in their order."""
    if len(ended) <= _MOST_ROWS:
        return ended
    return sorted(ended, key=lambda run: run.state is RunState.COMPLETED)[:_MOST_ROWS]


def _fitting(rows: list[list[str]]) -> list[str]:
    """The table; in shorter words where the terminal is too narrow for it."""
    lines = list(table(rows, numbers_from=2))
    if not sys.stdout.isatty() or max(map(len, lines)) < shutil.get_terminal_size().columns:
        return lines
    return list(table([[_SHORT.get(cell, cell) for cell in row] for row in rows], numbers_from=2))


async def _problems(docpipe: app.Docpipe, runs: Sequence[StoredRun]) -> None:
    """Of those whom something befell, what it was; a bounded number of lines."""
    lines: list[str] = []
    for run in runs:
        if run.error:
            lines.append(f"  {run.patient_id}: {run.error}")
        if any(run.counts.get(outcome) for outcome in _PROBLEMS) and len(lines) <= _MOST_PROBLEMS:
            lines += [
                f"  {run.patient_id}: {file['path']}: {file['outcome']}, {file['reason']}"
                for file in await _files(docpipe, run) or ()
                if file["outcome"] in _PROBLEMS
            ]
    if lines:
        say("\nproblems:")
        for line in lines[:_MOST_PROBLEMS]:
            say(line)
    if len(lines) > _MOST_PROBLEMS:
        say("  and more: the report of each patient, and `docpipe status`, tell them all")


def table(rows: Sequence[Sequence[str]], *, numbers_from: int) -> Iterator[str]:
    """Rows with their columns below one another; those from `numbers_from` on to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.rjust(width) if column >= numbers_from else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _told_spent(spent: Spent, runs: int) -> Iterator[str]:
    yield f"took {told_span(spent.seconds)}"
    most = sorted(spent.waits.items(), key=lambda item: -item[1])[:_MOST_WAITS]
    told = [
        f"{told_span(seconds / runs)} for {told_for(kind, what)}"
        for (kind, what), seconds in most
        if seconds / runs >= 1.0
    ]
    if told:
        yield f"waited {'on average ' if runs > 1 else ''}{', '.join(told)}"
