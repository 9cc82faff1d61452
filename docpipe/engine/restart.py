"""Where a retry of a finished run starts."""

from collections.abc import Collection
from typing import Final

import msgspec
from msgspec import Struct, field

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.errors import UsageError
from docpipe.model import Activity, Outcome, RunState
from docpipe.results.files import MISSING

ERROR: Final = "error!"
"""The key of a checkpoint that holds an error instead of a result."""
_ORDER: Final = list(Activity)


class Failed(Struct, frozen=True, kw_only=True):
    """The checkpoint of an activity that failed for good."""

    error: str = field(name=ERROR)
    """The sentence for people."""
    kind: str | None = None
    """The class of the error."""
    status: int | None = None
    """The status of the answer, if a service refused."""


def failure(error: Exception) -> dict[str, object]:
    """Make the checkpoint of an activity that failed for good, as JSON."""
    status = getattr(error, "status", None)
    made: dict[str, object] = msgspec.to_builtins(
        Failed(error=str(error), kind=type(error).__name__, status=status)
    )
    return made


def failed(result: object) -> bool:
    """Whether a checkpoint holds an error."""
    return isinstance(result, dict) and ERROR in result


def failure_in(result: object) -> Failed | None:
    """The error that a checkpoint holds, None if it holds a result."""
    return msgspec.convert(result, Failed) if failed(result) else None


def comes_before(first: Activity, second: Activity) -> bool:
    """Whether an activity comes before another or is the same."""
    return _ORDER.index(first) <= _ORDER.index(second)


def restart_point(run: StoredRun, steps: Collection[StoredStep], wanted: Activity | None) -> Activity:
    """Return the first activity that a retry repeats; all later ones follow.

    Without `wanted` it is the one that failed: the activity itself, the conversions if only documents failed,
    the status if the tracker refused it, a new search if the archive lacked documents. A failed activity
    would stop the run again, so no retry starts after it.

    Raises:
        UsageError: if the run cannot be retried, or nothing in it failed and `wanted` is None.
    """
    if not run.state.finished:
        raise UsageError(f"Run {run.run_id} is not finished: retry it after its end.")
    if run.state is RunState.CANCELLED:
        raise UsageError(
            f"Run {run.run_id} was cancelled, and its task closed: "
            f"`docpipe run --patient {run.patient_id}` starts a new one."
        )
    broken = [step for step in steps if step.result is None or failed(step.result)]
    first = min(map(_repair_point, broken), key=_ORDER.index, default=None)
    if wanted is None:
        lacking = filter(None, map(_begins_for_members, steps))
        first = min(filter(None, (first, *lacking)), key=_ORDER.index, default=None)
        return first or _restart_point_without_failed_step(run)
    if wanted is Activity.STORE:  # converted files were in the spool, which is empty
        wanted = Activity.CONVERT
    return min(filter(None, (wanted, first)), key=_ORDER.index)


def _begins_for_members(step: StoredStep) -> Activity | None:
    """Where to begin to get documents again that an archive lacked, or that could not be fetched."""
    done = step.result if step.activity == Activity.DOWNLOAD and isinstance(step.result, dict) else {}
    members = done.get("members") or ()
    if any(member.get("reason") == MISSING for member in members):
        return Activity.SEARCH
    return Activity.DOWNLOAD if any(member.get("refetch") for member in members) else None


def _repair_point(step: StoredStep) -> Activity:
    """Return the activity that has to be repeated to repair one failed step."""
    if step.activity == Activity.STORE:
        return Activity.CONVERT
    failure = failure_in(step.result)
    refused = failure is None or failure.status or failure.kind == "PoisonedError"
    if step.activity == Activity.CHECK_STATUS and not refused:
        return Activity.SEARCH  # the search itself failed: polling it again would not help
    return Activity(step.activity)


def _restart_point_without_failed_step(run: StoredRun) -> Activity:
    """Return the activity to repeat in a run without a failed step.

    Raises:
        UsageError: if nothing failed.
    """
    if run.state is RunState.COMPLETED:
        raise UsageError(
            f"Nothing failed in run {run.run_id}: choose with --from ACTIVITY what to repeat "
            f"({', '.join(Activity)})."
        )
    if run.counts.get(Outcome.FAILED) or run.counts.get(Outcome.REFUSED):
        return Activity.CONVERT
    if run.state is RunState.FAILED:
        return Activity.SEARCH  # every search expired
    return Activity.UPDATE_STATUS  # the tracker refused an update
