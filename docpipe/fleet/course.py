"""A run as a workflow has it: what is done, what is under way, and what any worker is to do next.

What is here is replayed from the history, so it decides by nothing else: no clock, no randomness, no I/O.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec.structs import replace
from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import CancelledError as ActivityCancelledError
from temporalio.exceptions import TimeoutError as ActivityTimeoutError
from temporalio.workflow import ActivityCancellationType

from docpipe.checkpoints import Span, StoredStep
from docpipe.engine.past import history_of
from docpipe.engine.restart import comes_before, failed, failure_in
from docpipe.engine.wait_history import MOST, WaitHistory
from docpipe.errors import DocpipeError, RunError
from docpipe.fleet.messages import Active, Answer, Beat, Call, Start
from docpipe.fleet.queues import COMPUTE_S, OF_ACTIVITY, next_key_in, priority_key, task_queue
from docpipe.model import Activity, Wait
from docpipe.results.report import History

HEARTBEAT: Final = timedelta(seconds=20)
"""A worker without a heartbeat for this long loses its activities to others."""
RUN_ERROR: Final = "RunError"
SPOOL_LOST: Final = "SpoolLost"
BROKEN: Final = "Broken"
_LONGEST: Final = timedelta(days=30)
_RETRY: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60))
_MOST_LOSSES: Final = 3
_OF_FILES: Final = (Activity.DOWNLOAD, Activity.CONVERT, Activity.STORE)

_T = TypeVar("_T")


class BrokenError(DocpipeError):
    """An activity failed in a way that docpipe does not expect; the sentence says where."""


class TemporalRun:
    """pipeline.Run over the history of a workflow."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.id, self.patient_id = start.run_id, start.patient_id
        self.steps = {(step.activity, step.item): step for step in start.steps}
        self.active: dict[tuple[str, str], Active] = {}
        self.gives_up = False
        self._lost = False

    async def do(
        self,
        activity: Activity,
        work: Callable[..., Awaitable[_T]],  # noqa: ARG002 -- a worker has it
        *args: Any,
        kind: type[_T],
        item: str = "",
        about: Mapping[str, object] | None = None,
        valid: Callable[[_T], bool] | None = None,  # noqa: ARG002 -- a worker says if files are lost
    ) -> _T:
        """See pipeline.Run.do."""
        past = self.steps.get((activity, item))
        if past is not None and past.result is not None:
            return _value(past.result, kind)
        if activity is Activity.STORE and item in self.start.stored:
            # It came with the conversion, from the same machine.
            self._remember(activity, item, now(), Answer(result=self.start.stored.pop(item)))
            return _value(self.steps[activity, item].result, kind)
        await self._make_room()
        call = Call(
            run_id=self.id,
            patient_id=self.patient_id,
            priority=self.start.priority,
            item=item,
            retries=self.start.retries,
            tries=0 if past is None else past.attempts,
            about=dict(about) if about else None,
            args=list(args),
            state=None if past is None else past.state,
        )
        return _value(await self._done(activity, call), kind)

    async def _done(self, activity: Activity, call: Call) -> Any:
        """Have it done, over as many tries as it takes; returns its checkpoint: a result or an error."""
        here, began = (str(activity), call.item), now()
        self.active[here] = Active(activity=activity, item=call.item, since=began)
        if activity not in self.start.begun:
            self.start.begun.append(activity)
        in_line = began
        try:
            while (answer := await self._tried(activity, call, began, in_line)).later is not None:
                call = replace(call, state=answer.state, tries=answer.attempts)
                if answer.wait is not None:  # else it is still in line, and comes forward in it
                    await self._slept(here, answer.wait, answer.later)
                    in_line = now()
        finally:
            del self.active[here]
        if self._lost:
            await self._make_room()
        self._remember(activity, call.item, began, answer)
        return answer.result

    async def _slept(self, here: tuple[str, str], wait: Wait | None, until: float) -> None:
        """Wait on a timer: no worker has anything of it."""
        active, waits = self.active[here], WaitHistory(self.start.waits)
        self.active[here] = replace(active, wait=wait)
        waits.note(here[0], wait, now())
        await workflow.sleep(max(0.0, until - now()))
        waits.note(here[0], None, now())
        self.start.waits, self.active[here] = waits.spans, active

    async def _tried(self, activity: Activity, call: Call, began: float, in_line: float) -> Answer:
        """One try; where the run is cancelled it is seen to its end, so that its effect is known.

        Args:
            activity: what is tried.
            call: with what.
            began: when the first try did.
            in_line: since when it waits for a worker.

        Raises:
            CancelledError: if the run is cancelled.
            BrokenError: if docpipe itself failed.
        """
        waited = now() - in_line
        forward = next_key_in(call.priority, activity, waited)
        doing = workflow.start_activity(
            activity.value,
            call,
            result_type=Answer,
            task_queue=queue_of(self.start, OF_ACTIVITY[activity]),
            schedule_to_start_timeout=None if forward is None else timedelta(seconds=forward),
            start_to_close_timeout=_LONGEST,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=Priority(priority_key=priority_key(call.priority, activity, waited)),
        )
        try:
            answer = cast("Answer", await asyncio.shield(doing))
        except asyncio.CancelledError:
            doing.cancel()
            await self._settled(activity, call, began, doing)
            raise
        except ActivityError as error:
            answer = self._failed(error, call)
        self._add_waits(answer.waits)
        if answer.broken is not None:
            self._remember(activity, call.item, began, answer)
            raise BrokenError(answer.broken)
        return answer

    async def _settled(
        self, activity: Activity, call: Call, began: float, doing: "asyncio.Task[Any]"
    ) -> None:
        """Wait for the end of a try of a cancelled run, and keep its result: no task is to be made twice."""
        try:
            answer = cast("Answer", await doing)
        except asyncio.CancelledError:  # it was not sent
            return
        except ActivityError as error:
            answer = self._failed(error, call)
        if answer.result is not None:
            self._remember(activity, call.item, began, answer)

    def _failed(self, error: ActivityError, call: Call) -> Answer:
        """What a failure means."""
        cause = error.cause
        if isinstance(cause, ActivityTimeoutError) and cause.type is TimeoutType.SCHEDULE_TO_START:
            kept = [msgspec.convert(details, Beat) for details in cause.last_heartbeat_details]
            state = kept[0].state if kept else call.state  # of a try that was lost with its worker
            return Answer(later=now(), state=state, attempts=call.tries + len(kept))
        if isinstance(cause, ActivityCancelledError):
            return Answer()
        if not isinstance(cause, ApplicationError):
            raise error
        if cause.type == RUN_ERROR:
            checkpoint, attempts, state = cause.details
            return Answer(result=checkpoint, attempts=attempts, state=state)
        if cause.type == SPOOL_LOST:
            self._lost = True
            return Answer()
        return Answer(broken=cause.message)

    def _remember(self, activity: Activity, item: str, began: float, answer: Answer) -> None:
        name, state = str(activity), answer.state if activity is Activity.CREATE_TASK else None
        step = StoredStep(name, item, answer.attempts, began, now(), state, answer.result)
        self.steps[name, item] = step
        if answer.stored is not None:
            self.start.stored[item] = answer.stored

    def _add_waits(self, waits: list[Span]) -> None:
        self.start.waits = [*self.start.waits, *waits][-MOST:]

    async def _make_room(self) -> None:
        """When the history is long, or files are lost: continue in a new history, with all that is done."""
        if self.gives_up or not (self._lost or self._is_long()):
            return
        await workflow.wait_condition(lambda: not self.active)
        # Only long runs have this time: a worker that is lost with such a task is waited for as long.
        workflow.continue_as_new(self._carried(), task_timeout=timedelta(seconds=COMPUTE_S))

    def _is_long(self) -> bool:
        info, longest = workflow.info(), self.start.longest
        return info.is_continue_as_new_suggested() or 0 < longest < info.get_current_history_length()

    def _carried(self) -> Start:
        start = self.start
        if self._lost:
            start.losses += 1
            self._lost = False
            if start.losses > _MOST_LOSSES:
                raise RunError(
                    f"Files of the run were missing from the spool {start.losses} times: see that no "
                    "lifecycle rule of the bucket removes what is below spool/ within days."
                )
            start.stored = {}
            self.steps = {key: step for key, step in self.steps.items() if step.activity not in _OF_FILES}
        start.steps = list(self.steps.values())
        return start

    def is_repeating(self, activity: Activity) -> bool:
        """See pipeline.Run.is_repeating."""
        first = self.start.retried_from
        return first is not None and comes_before(first, activity)

    def results(self, activity: Activity) -> dict[str, Any]:
        """See pipeline.Run.results."""
        steps = (step for step in self.steps.values() if step.activity == activity)
        return {step.item: step.result for step in steps if step.result and not failed(step.result)}

    def may_have_started(self, activity: Activity) -> bool:
        """See pipeline.Run.may_have_started."""
        return activity in self.start.begun or (activity, "") in self.steps

    def history(self) -> History:
        """See pipeline.Run.history."""
        return history_of(self.start.started_at, self.steps, self.start.waits, now())


def queue_of(start: Start, name: str) -> str:
    """The task queue of a run for a kind of work."""
    return task_queue(start.prefix, name, start.pipeline)


def now() -> float:
    """Seconds since the epoch, as the history has them."""
    return workflow.now().timestamp()


def _value(result: Any, kind: type[_T]) -> _T:
    """A checkpoint as the pipeline has it.

    Raises:
        RunError: if it holds an error.
    """
    if (failure := failure_in(result)) is not None:
        raise RunError(failure.error)
    return msgspec.convert(result, kind)
