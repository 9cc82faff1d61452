"""Small things said in the same words by several commands."""

import sys
from datetime import UTC, datetime
from typing import Any, Final

from docpipe.checkpoints import StoredRun
from docpipe.errors import UsageError
from docpipe.model import Json, Outcome, WaitKind

_KINDS: Final = {
    "admission": "waits for its turn to begin",
    "quota": "waits for the quota of {what}",
    "outage": "{what} is down",
    "retry": "tries {what} again",
    "poll": "waits for the search",
    "download": "waits for a place among the downloads",
    "conversion": "waits for a free converter",
    "disk": "the disk is full ({what})",
    "token": "waits for a token ({what})",
    "pause": "{what} is paused",
}

_FOR: Final = {
    WaitKind.ADMISSION: "its turn to begin",
    WaitKind.QUOTA: "the quota of {what}",
    WaitKind.OUTAGE: "{what} to be up again",
    WaitKind.RETRY: "another try at {what}",
    WaitKind.POLL: "the search",
    WaitKind.DOWNLOAD: "a place among the downloads",
    WaitKind.CONVERSION: "a free converter",
    WaitKind.DISK: "room on the disk",
    WaitKind.TOKEN: "a token ({what})",
    WaitKind.PAUSE: "the end of a pause",
}


def told_for(kind: str, what: str) -> str:
    """What somebody waits for, in words that go on after "for"."""
    return _FOR[WaitKind(kind)].format(what=what or "docpipe")


def told_wait(wait: dict[str, Any] | None, now: float) -> str:
    """What somebody waits for, in words; empty when for nothing."""
    if not wait:
        return ""
    told = _KINDS.get(wait["kind"], "waits ({what})").format(what=wait["what"] or "docpipe")
    if wait.get("place"):
        told += f", place {wait['place']} in line"
    if wait.get("until") is not None and wait["until"] > now:
        told += f", next in {told_span(wait['until'] - now)}"
    return told


def no_run(word: str) -> UsageError:
    """The error where a word of the command line means no run."""
    return UsageError(
        f"There is no run {word}, and no run of a patient with this id: `docpipe status` lists the runs."
    )


def as_json(run: StoredRun) -> dict[str, Json]:
    """A run as `--json` prints it."""
    return {
        "run_id": run.run_id,
        "patient_id": run.patient_id,
        "state": run.state,
        "documents": {outcome.value: run.counts.get(outcome, 0) for outcome in Outcome},
        "task_id": run.task_id,
        "error": run.error,
    }


def told_counts(counts: dict[str, int]) -> str:
    """Documents by outcome, in words."""
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts.get(outcome))
    total = sum(counts.values())
    return f"{total} document{'' if total == 1 else 's'}: {told}" if told else "no documents"


def told_state(state: str) -> str:
    """A state, in words."""
    return str(state).replace("_", " ")


def told_time(when: float) -> str:
    """A time as people write it, in UTC."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def told_span(seconds: float) -> str:
    """A span of time, as people say it: "12 s", "3 min 5 s", "2 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:  # noqa: PLR2004 -- seconds of a minute
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def say(text: Json) -> None:
    """Print what was asked for."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Print what is not part of the answer."""
    print(text, file=sys.stderr, flush=True)
