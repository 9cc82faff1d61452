"""Where a finished run begins again when somebody asks for it."""

from collections.abc import Iterable
from typing import Final

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.errors import UsageError
from docpipe.model import Activity, Json, Outcome, RunState

ERROR: Final = "error!"
"""The key under which a checkpoint holds an error instead of a result."""
_ORDER: Final = list(Activity)


def failure(error: Exception) -> Json:
    """The checkpoint of an activity that failed for good."""
    return {ERROR: str(error), "kind": type(error).__name__, "status": getattr(error, "status", None)}


def failed(result: Json) -> bool:
    """Whether a checkpoint holds an error."""
    return isinstance(result, dict) and ERROR in result


def comes_before(first: Activity, second: Activity) -> bool:
    """Whether an activity comes before another, or is it."""
    return _ORDER.index(first) <= _ORDER.index(second)


def restart_point(run: StoredRun, steps: Iterable[StoredStep], wanted: Activity | None) -> Activity:
    """The first activity that a retry does again; all later ones follow.

    Without `wanted` that is what failed: the activity, the conversions where only documents failed, the
    status where the tracker did not take it. What failed would stop the run again: no retry begins later.

    Raises:
        UsageError: if the run cannot be retried, or nothing in it failed and nothing is wanted.
    """
    if not run.state.finished:
        raise UsageError(f"Run {run.run_id} is not finished ({run.state}): `docpipe resume` goes on with it.")
    if run.state is RunState.CANCELLED:
        raise UsageError(
            f"Run {run.run_id} was cancelled, and its task closed: "
            f"`docpipe run --patient {run.patient_id}` begins a new one."
        )
    broken = [step for step in steps if step.result is None or failed(step.result)]
    first = min(map(_begins, broken), key=_ORDER.index, default=None)
    if wanted is None:
        return first or _restart_point_without_failed_step(run)
    if wanted is Activity.STORE:  # what was converted lay in the spool, and is gone
        wanted = Activity.CONVERT
    return min(filter(None, (wanted, first)), key=_ORDER.index)


def _begins(step: StoredStep) -> Activity:
    """Where to begin to make good what one step failed in."""
    if step.activity == Activity.STORE:
        return Activity.CONVERT
    result = step.result if isinstance(step.result, dict) else {"kind": "PoisonedError"}
    refused = result.get("status") or result.get("kind") == "PoisonedError"
    if step.activity == Activity.CHECK_STATUS and not refused:
        return Activity.SEARCH  # the search itself failed: to ask after it again would not help
    return Activity(step.activity)


def _restart_point_without_failed_step(run: StoredRun) -> Activity:
    """Where to begin to make good what no step failed in.

    Raises:
        UsageError: if all went well.
    """
    if run.state is RunState.COMPLETED:
        raise UsageError(
            f"Nothing failed in run {run.run_id}: say with --from ACTIVITY what to do again "
            f"({', '.join(Activity)})."
        )
    if run.counts.get(Outcome.FAILED) or run.counts.get(Outcome.REFUSED):
        return Activity.CONVERT
    if run.state is RunState.FAILED:
        return Activity.SEARCH  # every search expired
    return Activity.UPDATE_STATUS  # the tracker did not take something
