"""Runs of a fleet as a state folder describes them: from memos, pending activities, queries and results."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Final, NamedTuple

import msgspec
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus

from docpipe.checkpoints import Position, StoredRun, StoredStep
from docpipe.engine.restart import comes_before, failed
from docpipe.fleet.flow import CARD
from docpipe.fleet.messages import Active, Beat, Card, Standing
from docpipe.model import Activity, RunState
from docpipe.runtime.activity_log import COLUMNS
from docpipe.sources.polling import Polls
from docpipe.util.times import iso

_NAMES: Final = {activity.value for activity in Activity}
_OVER: Final = {
    WorkflowExecutionStatus.TERMINATED: "was terminated in Temporal",
    WorkflowExecutionStatus.TIMED_OUT: "timed out in Temporal",
    WorkflowExecutionStatus.FAILED: "failed in Temporal",
    WorkflowExecutionStatus.CANCELED: "was cancelled before any worker had it",
}


@dataclass(frozen=True, slots=True)
class FleetRun:
    """A run, and where Temporal has it."""

    stored: StoredRun
    workflow: str
    execution: str


class Stand(NamedTuple):
    """How a run stands."""

    now: StoredRun
    run: FleetRun
    """As Temporal lists it."""
    standing: Standing | None
    """What its workflow answered; None where it was not asked, or no worker answers."""


async def run_of(execution: WorkflowExecution) -> FleetRun:
    """A run as Temporal lists it."""
    card: Card = await execution.memo_value(CARD, type_hint=Card)
    state, error, finished = card.state, card.error, card.finished_at
    status = execution.status
    if status is not WorkflowExecutionStatus.RUNNING and not state.finished:
        how = _OVER.get(status, "ended") if status else "ended"
        state, error = RunState.FAILED, f"The run {how}: retry it."
        finished = execution.close_time.timestamp() if execution.close_time else None
        if status is WorkflowExecutionStatus.CANCELED:
            state = RunState.CANCELLED
    stored = StoredRun(
        run_id=card.run_id,
        patient_id=card.patient_id,
        priority=card.priority,
        state=state,
        created_at=card.created_at,
        started_at=card.started_at,
        finished_at=finished,
        task_id=card.task_id,
        error=error,
        counts=card.counts,
        doing=None,
        retries=card.retries,
        retried_from=card.retried_from,
    )
    return FleetRun(stored, execution.id, execution.run_id)


async def pending_of(described: WorkflowExecutionDescription) -> list[Active]:
    """The activities that a worker has, or that wait for one, the oldest first."""
    pending = []
    for one in described.raw_description.pending_activities:
        if one.activity_type.name not in _NAMES:
            continue
        beat = Beat()
        if kept := one.heartbeat_details.payloads:
            (beat,) = await described.data_converter.decode(kept, [Beat])
        scheduled = one.scheduled_time.ToDatetime(UTC).timestamp()
        begun = one.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        activity = Activity(one.activity_type.name)
        wait = beat.wait if begun else None
        progress = _progress(beat) if activity is Activity.CHECK_STATUS else None
        since = beat.since or scheduled
        pending.append(Active(activity=activity, since=since, wait=wait, begun=begun, progress=progress))
    return sorted(pending, key=lambda active: active.since)


def _progress(beat: Beat) -> float | None:
    return msgspec.convert(beat.state, Polls).progress if beat.state else None


def as_it_stands(
    stored: StoredRun, *, cancelling: bool, pending: list[Active], standing: Standing | None
) -> StoredRun:
    """An unfinished run with what it is at, and its task and documents so far."""
    now = standing or Standing(started_at=stored.started_at or 0.0)
    active = pending or now.active
    state = RunState.CANCELLING if cancelling or now.cancelling else RunState.RUNNING
    if not now.begun and not any(one.begun for one in active) and state is RunState.RUNNING:
        return replace(stored, state=RunState.QUEUED)
    first = active[0] if active else None
    position = (
        None
        if first is None
        else Position(activity=first.activity, since=first.since, wait=first.wait, progress=first.progress)
    )
    return replace(
        stored,
        state=state,
        priority=max(stored.priority, now.priority),
        started_at=now.started_at or None,
        doing=position,
        task_id=now.task_id,
        counts=now.counts,
    )


def log_lines(run: StoredRun, steps: Iterable[StoredStep]) -> list[dict[str, str]]:
    """The activities of a run as lines of an activity log, one at the start and one at the end."""
    lines: list[tuple[float, dict[str, str]]] = []
    for step in steps:
        line = dict.fromkeys(COLUMNS, "") | {
            "run_id": run.run_id,
            "patient_id": run.patient_id,
            "activity": step.activity,
            "attempt": str(step.attempts),
            "args": "{}",
        }
        started = {"timestamp": iso(step.started_at) or "", "event": "start"}
        lines.append((step.started_at, line | started))
        if step.finished_at is not None:
            ended = {
                "timestamp": iso(step.finished_at) or "",
                "event": "finish",
                "duration_s": f"{step.finished_at - step.started_at:.3f}",
                "outcome": "failed" if step.result is None or failed(step.result) else "ok",
            }
            lines.append((step.finished_at, line | ended))
    return [line for _, line in sorted(lines, key=lambda one: one[0])]


def steps_before(steps: Iterable[StoredStep], first: Activity) -> list[StoredStep]:
    """What a retry from an activity on does not repeat.

    Files are no longer in the spool, so that a retry which needs them downloads them again, by a fresh link.
    The intent of the task's POST is kept: a later attempt looks the task up before it creates one.
    """
    needs_files = comes_before(first, Activity.STORE)
    again = {Activity.GET_PATIENT}
    if needs_files:
        again |= {Activity.CHECK_STATUS, Activity.DOWNLOAD}
    kept = []
    for step in steps:
        activity = Activity(step.activity)
        if comes_before(first, activity):
            if activity is Activity.CREATE_TASK:
                kept.append(step._replace(result=None, finished_at=None))
        elif activity not in again and step.result is not None:
            kept.append(step)
    return kept
