"""Phrases and output that several commands share."""

import contextlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from docpipe.checkpoints import StoredRun
from docpipe.checkpoints.position import Position
from docpipe.errors import UsageError
from docpipe.model import OUTCOMES, Outcome, Wait, count_of, describe_wait
from docpipe.util.times import iso


def wait_words(wait: Wait | None, now: float) -> str:
    """What a run waits for, in words, with when it should continue; empty when for nothing."""
    if wait is None:
        return ""
    return until_words(describe_wait(wait.kind, wait.what, wait.place), wait.until, now)


def until_words(text: str, until: float | None, now: float) -> str:
    """A wait in words, with when it should end; times are seconds since the epoch."""
    return text if until is None or until <= now else f"{text}, next in {span_words(until - now)}"


def no_run(word: str) -> UsageError:
    """The error for an argument that names no run."""
    return UsageError(
        f"There is no run {word}, and no run of a patient with this id: `docpipe status` lists the runs."
    )


def no_report(which: str, runs: Sequence[StoredRun], *, at_work: bool) -> UsageError:
    """The error where no run has a report; `at_work`: whether a process works on the state folder."""
    if not runs or all(run.state.finished for run in runs):
        return UsageError(f"There is no report of {which} yet; `docpipe run` makes one.")
    if at_work:
        return UsageError(f"There is no report of {which} yet; `docpipe status {which}` shows its progress.")
    return UsageError(f"There is no report of {which} yet: its run is {STOPPED}; {RESUMES}.")


STOPPED: Final = "stopped"
"""The state of a run that is unfinished while no process works on the state folder."""
_LONGEST: Final = 48
"""This many characters of a document's name stand in a table."""
RESUMES: Final = "`docpipe resume` continues it"


def state_of(run: StoredRun, *, at_work: bool) -> str:
    """The state of a run; `at_work`: whether a process works on the state folder."""
    return run.state if run.state.finished or at_work else STOPPED


def as_json(run: StoredRun, *, at_work: bool = False) -> dict[str, object]:
    """A run as `--json` prints it."""
    return {
        "run_id": run.run_id,
        "patient_id": run.patient_id,
        "state": state_of(run, at_work=at_work),
        "documents": {outcome.value: run.counts.get(outcome, 0) for outcome in Outcome},
        "task_id": run.task_id,
        "error": run.error,
        "created_at": iso(run.created_at),
        "started_at": iso(run.started_at),
        "finished_at": iso(run.finished_at),
    }


def doing_json(doing: Position | None) -> dict[str, object] | None:
    """What a run is at as `--json` prints it; `since` and `until`, in seconds, stay for one release."""
    if doing is None:
        return None
    printed: dict[str, object] = {**msgspec.to_builtins(doing), "since_at": iso(doing.since)}
    if doing.wait is not None:
        times = {"since_at": iso(doing.wait.since), "until_at": iso(doing.wait.until)}
        printed["wait"] = {**msgspec.to_builtins(doing.wait), **times}
    return printed


def count_words(counts: dict[str, int]) -> str:
    """Documents by outcome, in the words of the report and the page."""
    outcomes = ", ".join(f"{counts[each]:,} {OUTCOMES[each]}" for each in Outcome if counts.get(each))
    total = sum(counts.values())
    return f"{count_of(total, 'document')}: {outcomes}" if outcomes else "no documents"


def state_words(state: str) -> str:
    """A state, in words."""
    return str(state).replace("_", " ")


def in_short(path: str) -> str:
    """A document's name that a terminal can show, shortened from the left."""
    path = "".join(character if character.isprintable() else "\ufffd" for character in path)
    return path if len(path) <= _LONGEST else f"…{path[1 - _LONGEST :]}"


def time_words(when: float) -> str:
    """A time in UTC, such as "2026-11-29 14:30:00 UTC"."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span_words(seconds: float) -> str:
    """A span of time with its units: "12 s", "3 min 5 s", "2 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:  # noqa: PLR2004 -- seconds of a minute
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def print_line(text: object) -> None:
    """Print a line of the answer to stdout."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Print to stderr what is not part of the answer; a closed stderr is ignored."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
