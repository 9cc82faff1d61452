"""A run as a workflow: the unchanged pipeline, over activities that any worker may perform.

What is here is replayed from the history, so it decides by nothing else: no clock, no randomness, no I/O.
"""

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta
from typing import Any, Final, cast

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.exceptions import CancelledError as ActivityCancelledError

from docpipe.engine.pipeline import conclude
from docpipe.engine.ports import Activities
from docpipe.engine.runfiles import files_in
from docpipe.fleet.course import TemporalRun, now, queue_of
from docpipe.fleet.messages import Card, Doing, Ended, Standing, Start
from docpipe.fleet.notices import notify_end
from docpipe.fleet.queues import NOTICES, Queue
from docpipe.model import Activity

NAME: Final = "RetrievePatient"
CARD: Final = "run"
"""The key of the memo."""
RELEASE: Final = "release"
CLEAR_SPOOL: Final = "clear_spool"
_SHORT: Final = timedelta(seconds=60)
_NAMED: Final = 100
"""Of so many activities under way a run says what they are."""


class _Remote:
    """The activities by their names: `TemporalRun.do` knows them by that, and workers do them."""

    def __init__(self, start: Start) -> None:
        self._start = start

    def __getattr__(self, name: str) -> str:
        return name

    def extracted(self, _run_id: str) -> None:
        """The activity that needs the files finds out whether they are lost."""

    def converted(self, _run_id: str, _item: str) -> None:
        """Likewise."""

    async def release(self, run_id: str, address: str | None) -> None:
        """Once, and without an error."""
        if address is not None:
            queue = queue_of(self._start, Queue.DOCEX)
            await _best_effort(RELEASE, [run_id, address], queue, RetryPolicy(maximum_attempts=1))


async def _best_effort(name: str, args: list[Any], queue: str, policy: RetryPolicy) -> None:
    """What is no activity of the pipeline, and leaves no result."""
    try:
        await workflow.execute_activity(
            name, args=args, task_queue=queue, schedule_to_close_timeout=_SHORT, retry_policy=policy
        )
    except ActivityError as error:
        if isinstance(error.cause, ActivityCancelledError):
            raise asyncio.CancelledError from error


@workflow.defn(name=NAME)
class RetrievePatient:
    """A run of one patient."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        start.started_at = start.started_at or now()
        self._run = TemporalRun(start)
        self._activities = cast("Activities", _Remote(start))

    @workflow.run
    async def retrieve(self, start: Start) -> Ended:
        """See pipeline.retrieve; a cancelled run gives up."""
        run = self._run
        try:
            ending = await conclude(run, self._activities)
        except asyncio.CancelledError:
            run.gives_up = True
            ending = await conclude(run, self._activities)
        card = Card(
            run_id=run.id,
            patient_id=run.patient_id,
            priority=start.priority,
            created_at=start.created_at,
            retries=start.retries,
            retried_from=start.retried_from,
            state=ending.state,
            started_at=start.started_at,
            finished_at=now(),
            task_id=ending.task_id,
            error=ending.error,
            counts=ending.counts,
        )
        queue = queue_of(start, Queue.TRACKER)
        with contextlib.suppress(asyncio.CancelledError):  # it has ended already
            await _best_effort(CLEAR_SPOOL, [run.id], queue, RetryPolicy(maximum_attempts=3))
        workflow.upsert_memo({CARD: card})
        if start.notify:
            await notify_end(card, start.prefix, queue_of(start, NOTICES))
        return Ended(card=card, steps=list(run.steps.values()), begun=start.begun)

    @workflow.signal
    def raise_priority(self, priority: int) -> None:
        """Somebody submits the patient again, and more urgently."""
        self._run.start.priority = max(priority, self._run.start.priority)

    @workflow.query
    def doing(self) -> Doing:
        """What is done and what is under way."""
        run = self._run
        return Doing(
            steps=list(run.steps.values()),
            active=list(run.active.values()),
            started_at=run.start.started_at,
            cancelling=run.gives_up,
            priority=run.start.priority,
        )

    @workflow.query
    def standing(self) -> Standing:
        """The same in brief."""
        run, steps = self._run, self._run.steps.values()
        outcomes = [
            file.converted.outcome if file.converted else file.member.outcome for file in files_in(steps)
        ]
        made = run.results(Activity.CREATE_TASK).get("")
        return Standing(
            active=list(run.active.values())[:_NAMED],
            started_at=run.start.started_at,
            cancelling=run.gives_up,
            priority=run.start.priority,
            begun=bool(run.steps),
            task_id=made["task_id"] if made else None,
            counts=dict(Counter(outcome for outcome in outcomes if outcome)),
            files=len(outcomes) or None,
            waits=run.start.waits,
        )
