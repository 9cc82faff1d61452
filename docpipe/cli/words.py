"""Small things said in the same words by several commands."""

from datetime import UTC, datetime
from typing import Any, Final

from docpipe.checkpoints import StoredRun
from docpipe.model import Json, Outcome

_KINDS: Final = {
    "admission": "waits for its turn to begin",
    "quota": "waits for the quota of {what}",
    "outage": "{what} is down",
    "retry": "tries {what} again",
    "poll": "waits for the search",
    "download": "waits for a place among the downloads",
    "conversion": "waits for a free converter",
    "disk": "the disk is full ({what})",
    "pause": "{what} is paused",
}


def told_wait(wait: dict[str, Any] | None, now: float) -> str:
    """What somebody waits for, in words; empty when for nothing."""
    if not wait:
        return ""
    told = _KINDS.get(wait["kind"], "waits ({what})").format(what=wait["what"] or "docpipe")
    if wait.get("place"):
        told += f", place {wait['place']} in line"
    if wait.get("until") is not None and wait["until"] > now:
        told += f", next in {wait['until'] - now:.0f} s"
    return told


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


def told_time(when: float) -> str:
    """A time as people write it, in UTC."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
