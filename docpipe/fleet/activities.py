"""The ten activities, as a worker performs them for Temporal."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, get_type_hints

import msgspec
from temporalio import activity
from temporalio.client import Client

from docpipe.activities.activities import Activities
from docpipe.engine.restart import failure
from docpipe.errors import RunError
from docpipe.fleet.flow import CLEAR_SPOOL, RELEASE
from docpipe.fleet.messages import Answer, Call
from docpipe.fleet.notices import sender
from docpipe.fleet.queues import NOTICES, OF_ACTIVITY, Queue
from docpipe.fleet.steps import Later, TemporalStep, attempt, last_state
from docpipe.model import Activity
from docpipe.notify import Delivery
from docpipe.runtime.activity_log import ActivityLog, Entry

METHODS: Final = {
    Activity.GET_PATIENT: "get_patient",
    Activity.CREATE_TASK: "create_task",
    Activity.SEARCH: "search",
    Activity.CHECK_STATUS: "wait_until_ready",
    Activity.DOWNLOAD: "download_and_extract",
    Activity.CONVERT: "convert",
    Activity.UPDATE_STATUS: "update_status",
    Activity.REPORT: "report",
    Activity.APPEND_REPORT: "append_report",
}
"""PutToStorage goes with ConvertFile: what is converted is stored on the same machine."""

Work = Callable[..., Awaitable[Any]]


@dataclass(slots=True, eq=False)
class FleetActivities:
    """Does activities, and knows which."""

    client: Client
    activities: Activities
    activity_log: ActivityLog
    delivery: Delivery | None = None
    """Sends notifications, None where no receiver is configured."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: dict[TemporalStep, str] = field(default_factory=dict)
    """The steps under way, with the name of each."""
    notified: int = 0
    """How many notifications this worker has delivered."""
    listeners: list[Callable[[Activity, str, float], None]] = field(default_factory=list)
    """Called with the name, the outcome and the seconds of each try that has ended."""

    def of_queue(self, name: str) -> list[Work]:
        """The activities of a task queue, for its worker."""
        works = [self._work(one) for one in METHODS if OF_ACTIVITY[one] == name]
        if name == Queue.DOCEX:
            works.append(self._release())
        if name == Queue.TRACKER:
            works.append(self._clear_spool())
        if name == NOTICES and self.delivery is not None:
            works.append(sender(self.delivery, self._notified))
        return works

    @property
    def busy(self) -> set[str]:
        """The runs for which something is under way."""
        return {step.call.run_id for step in self.under_way}

    def _notified(self) -> None:
        self.notified += 1

    def _work(self, name: Activity) -> Work:
        method = getattr(self.activities, METHODS[name])
        kinds = _kinds(METHODS[name])

        @activity.defn(name=name.value)
        async def work(call: Call) -> Answer:
            handle = self.client.get_async_activity_handle(task_token=activity.info().task_token)
            step = TemporalStep(name.value, call, handle, self.activities.clock, last_state(call))
            args = [msgspec.convert(arg, kind) for arg, kind in zip(call.args, kinds, strict=False)]

            async def once() -> Answer:
                with self._logged(name, step):
                    result = await method(step, *args)
                kept = msgspec.to_builtins(result)
                if name is not Activity.CONVERT:
                    return Answer(result=kept)
                return Answer(result=kept, stored=await self._stored(step, args[0], args[1], result))

            self.under_way[step] = name.value
            try:
                return await attempt(step, once, self.stopping)
            finally:
                del self.under_way[step]
                await self.activity_log.flush()

        return work

    async def _stored(self, step: TemporalStep, *args: Any) -> Any:
        """Store what was converted, in the same try: it never leaves this machine before."""
        try:
            with self._logged(Activity.STORE, step):
                return msgspec.to_builtins(await self.activities.store(step, *args))
        except RunError as error:
            return failure(error)

    @contextmanager
    def _logged(self, name: Activity, step: TemporalStep) -> Iterator[None]:
        call, clock = step.call, self.activities.clock
        attempts = call.tries + activity.info().attempt
        entry, began = Entry(call.run_id, call.patient_id, name, attempts, call.about), clock()
        self.activity_log.start(entry)
        outcome = "failed"
        try:
            yield
            outcome = "ok"
        except Later:
            outcome = "waits"
            raise
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        finally:
            seconds = clock() - began
            self.activity_log.finish(entry, seconds, outcome)
            for listener in self.listeners:
                listener(name, outcome, seconds)

    def _release(self) -> Work:
        @activity.defn(name=RELEASE)
        async def release(run_id: str, address: str) -> None:
            await self.activities.release(run_id, address)

        return release

    def _clear_spool(self) -> Work:
        @activity.defn(name=CLEAR_SPOOL)
        async def clear_spool(run_id: str) -> None:
            await self.activities.clear_spool(run_id)

        return clear_spool


def _kinds(method: str) -> list[Any]:
    """The types of the arguments of an activity, after the step."""
    hints = get_type_hints(getattr(Activities, method))
    return [kind for name, kind in hints.items() if name not in ("step", "return")]
