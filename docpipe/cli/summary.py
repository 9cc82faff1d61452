"""The summary at the end of `run`, `resume` and `retry`: each patient's outcome, and where the time went."""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from docpipe.checkpoints import StoredRun
from docpipe.cli.phrases import STOPPED, count_words, print_line, span_words, state_words
from docpipe.cli.progress import Spent
from docpipe.model import OUTCOMES, Json, Outcome, RunState, describe_subject
from docpipe.storage import Storage

FEW: Final = 5
"""The most patients listed one by one; more are a table."""
_PROBLEMS: Final = (Outcome.FAILED, Outcome.REFUSED)
_MOST_PROBLEMS: Final = 40
_MOST_ROWS: Final = 200
_MOST_WAITS: Final = 3
_SHORT: Final = {
    "completed with errors": "with errors",
    "readable": "read",
    "kept as it is": "kept",
    "could not be read": "unr.",
    "refused as unsafe": "ref.",
    "the same as another": "same",
    "left out": "left",
}


async def print_summary(storage: Storage, runs: Sequence[StoredRun], spent: Spent | None = None) -> None:
    """Print what was stored, and where."""
    if not runs:
        print_line("Nothing to do: no run is unfinished.")
        return
    if len(runs) <= FEW:
        for stored in runs:
            await _one(storage, stored)
    else:
        await _many(storage, runs)
    if spent is not None:
        print_line("")
        for line in _spent_words(spent, len(runs)):
            print_line(line)


async def _one(storage: Storage, stored: StoredRun) -> None:
    state = state_words(stored.state) if stored.state.finished else STOPPED
    print_line(f"\nPatient {stored.patient_id}: {state}")
    if stored.error:
        print_line(f"  reason     {stored.error}")
    files = await _files(storage, stored)
    if files is None and not stored.counts:
        return
    print_line(f"  found      {count_words(stored.counts)}")
    for file in files or ():
        if file["outcome"] in _PROBLEMS:
            print_line(f"  problem    {file['path']}: {OUTCOMES[Outcome(file['outcome'])]}. {file['reason']}")
    print_line(f"  documents  {storage.location(stored.patient_id)}")
    if files is not None:
        print_line(f"  report     {storage.location(stored.patient_id, run_id=stored.run_id)}/report.html")


async def _files(storage: Storage, stored: StoredRun) -> list[Json] | None:
    try:
        manifest = await storage.get_run_file(stored.patient_id, stored.run_id, "manifest.json")
    except OSError:  # it was written; that it cannot be read now is no failure of the run
        manifest = None
    return None if manifest is None else list(json.loads(manifest)["files"])


async def _many(storage: Storage, runs: Sequence[StoredRun]) -> None:
    ended = [run for run in runs if run.state.finished]
    used = [outcome for outcome in Outcome if any(run.counts.get(outcome) for run in ended)]
    head = ["patient", "ended as", *(OUTCOMES[outcome] for outcome in used)]
    rows = [
        [
            run.patient_id[:24],
            state_words(run.state),
            *(str(run.counts.get(outcome) or "") for outcome in used),
        ]
        for run in _foremost(ended)
    ]
    if len(rows) < len(ended):
        rows.append([f"{len(ended) - len(rows)} more", "", *("" for _ in used)])
    total = [str(sum(run.counts.get(outcome, 0) for run in ended)) for outcome in used]
    left = "" if len(ended) == len(runs) else f"{len(runs) - len(ended)} unfinished"
    rows.append([f"{len(runs)} patients", left, *total])
    print_line("")
    for line in _fitting([head, *rows]):
        print_line(line)
    await _problems(storage, runs)
    print_line(f"\ndocuments and reports: {storage.location(runs[0].patient_id).rpartition('/')[0]}")


def _foremost(ended: Sequence[StoredRun]) -> Sequence[StoredRun]:
    """All runs; where they are very many, those that did not end well come first."""
    if len(ended) <= _MOST_ROWS:
        return ended
    return sorted(ended, key=lambda run: run.state is RunState.COMPLETED)[:_MOST_ROWS]


def _fitting(rows: list[list[str]]) -> list[str]:
    """The table; in shorter words where the terminal is too narrow for it."""
    lines = list(table(rows, numbers_from=2))
    if not sys.stdout.isatty() or max(map(len, lines)) < shutil.get_terminal_size().columns:
        return lines
    return list(table([[_SHORT.get(cell, cell) for cell in row] for row in rows], numbers_from=2))


async def _problems(storage: Storage, runs: Sequence[StoredRun]) -> None:
    """Print the problems of each run, in a bounded number of lines."""
    lines: list[str] = []
    for run in runs:
        if run.error:
            lines.append(f"  {run.patient_id}: {run.error}")
        if any(run.counts.get(outcome) for outcome in _PROBLEMS) and len(lines) <= _MOST_PROBLEMS:
            lines += [
                f"  {run.patient_id}: {file['path']}: {OUTCOMES[Outcome(file['outcome'])]}. {file['reason']}"
                for file in await _files(storage, run) or ()
                if file["outcome"] in _PROBLEMS
            ]
    if lines:
        print_line("\nproblems:")
        for line in lines[:_MOST_PROBLEMS]:
            print_line(line)
    if len(lines) > _MOST_PROBLEMS:
        print_line("  and more: see the report of each patient, or `docpipe status`")


def table(rows: Sequence[Sequence[str]], *, numbers_from: int) -> Iterator[str]:
    """Rows with their columns below one another; those from `numbers_from` on to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.rjust(width) if column >= numbers_from else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _spent_words(spent: Spent, runs: int) -> Iterator[str]:
    yield f"took {span_words(spent.seconds)}"
    most = sorted(spent.waits.items(), key=lambda item: -item[1])[:_MOST_WAITS]
    parts = [
        f"{span_words(seconds / runs)} for {describe_subject(kind, what)}"
        for (kind, what), seconds in most
        if seconds / runs >= 1.0
    ]
    if parts:
        yield f"waited {'on average ' if runs > 1 else ''}{', '.join(parts)}"
