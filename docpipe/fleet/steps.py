"""The step of an activity on a worker: Temporal keeps its state between attempts."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace
from temporalio import activity
from temporalio.client import AsyncActivityCancelledError, AsyncActivityHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from docpipe.engine.pipeline import reason_of
from docpipe.engine.restart import failure
from docpipe.engine.wait_history import WaitHistory
from docpipe.errors import RunError, SpoolLostError
from docpipe.fleet.course import BROKEN, RUN_ERROR, SPOOL_LOST
from docpipe.fleet.messages import Answer, Beat, Call, State
from docpipe.gates.line import waiting
from docpipe.gates.local_trouble import trouble_of, wait_out
from docpipe.model import Clock, Ticket, Wait

log = structlog.get_logger(__name__)

_S = TypeVar("_S", bound=Struct)

TICK_S: Final = 1.0
_BEAT_S: Final = 3.0
"""The interval of heartbeats, whose answers also say that a run is cancelled; see `flow.HEARTBEAT`."""
_SHOW_S: Final = 2.0
"""A changed wait reaches the server after so long at most."""
_SHORT_S: Final = 2.0
"""A wait below this stays in the activity; a longer one is a timer of the workflow, and holds no slot."""
_AGAIN_S: Final = 0.5
_OVER: Final = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.INVALID_ARGUMENT)
"""Answers to a heartbeat that end a try: another one has begun, or the run has ended."""


class Later(BaseException):
    """Nothing is to be done until then: the try ends, and the workflow begins another one. No error, and none
    on the way catches it.
    """

    def __init__(self, when: float, wait: Wait) -> None:
        super().__init__(when)
        self.when = when
        self.wait = wait


@dataclass(eq=False)
class TemporalStep:
    """model.Step: what is saved is in the server when `save` returns, as details of a heartbeat.

    All heartbeats go through here in order, and each bears the state: a later one would wipe it otherwise.
    """

    name: str
    call: Call
    handle: AsyncActivityHandle
    clock: Clock
    state: object
    """The latest: a Struct, or the JSON that an earlier try saved; None if there is none."""
    ticket: Ticket = field(init=False)
    waited: WaitHistory = field(default_factory=WaitHistory)
    work: "asyncio.Task[Any] | None" = None
    """What is ended where the run is cancelled, or the server has given the try up."""
    cancelled: bool = False
    _began: float = field(init=False)
    _sent: tuple[float, Beat] = field(init=False)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.ticket = Ticket(self.call.run_id, self.call.priority)
        self._began = self.clock()
        self._sent = (time.monotonic(), Beat())

    @property
    def key(self) -> str:
        """See model.Step."""
        retries = self.call.retries  # with the old key a service would repeat its old answer
        words = (self.call.run_id, self.name, self.call.item, f"retry{retries}" if retries else "")
        return ":".join(filter(None, words))

    def saved(self, kind: type[_S]) -> _S | None:
        """See model.Step."""
        if self.state is None or isinstance(self.state, kind):
            return self.state
        return msgspec.convert(self.state, kind)

    async def save(self, state: Struct) -> None:
        """See model.Step."""
        self.state = state
        await self._beat()

    def note(self, state: Struct) -> None:
        """See model.Step."""
        self.state = state

    async def until(self, when: float, wait: Wait) -> None:
        """See model.Step."""
        left = when - self.clock()
        if left > _SHORT_S:
            raise Later(when, wait)
        if left > 0:
            with waiting(self.ticket, wait):
                await asyncio.sleep(left)

    async def beat_forever(self) -> None:
        """Let the server know that this lives, what it waits for, and the state that was noted."""
        while True:
            self.waited.note(self.name, self.ticket.wait, self.clock())
            sent, beat = self._sent
            idle = time.monotonic() - sent
            if idle >= _BEAT_S or (idle >= _SHOW_S and beat != self._now()):
                await self._beat()
            await asyncio.sleep(TICK_S)

    @property
    def kept(self) -> State | None:
        """The state as JSON."""
        return None if self.state is None else cast("State", msgspec.to_builtins(self.state))

    def _now(self) -> Beat:
        return Beat(state=self.kept, wait=self.ticket.wait, since=self._began)

    async def _beat(self) -> None:
        """Return when the server has it; while it is away, try again."""
        async with self._sending:
            while True:
                beat = self._now()
                activity.heartbeat(beat)  # the SDK gives up what it hears nothing of, and repeats this later
                try:
                    await self.handle.heartbeat(msgspec.to_builtins(beat))
                except AsyncActivityCancelledError:  # it has been noted all the same
                    self._end(cancelled=True)
                except RPCError as error:
                    if error.status not in _OVER:
                        await asyncio.sleep(_AGAIN_S)
                        continue
                    self._end()
                self._sent = (time.monotonic(), beat)
                return

    def _end(self, *, cancelled: bool = False) -> None:
        self.cancelled = self.cancelled or cancelled
        if self.work is not None:
            self.work.cancel()


def last_state(call: Call) -> State | None:
    """What the try before this one has saved; that was lost with its worker, or ended to wait."""
    details = activity.info().heartbeat_details
    beat = msgspec.convert(details[0], Beat) if details else Beat()
    return call.state if beat.state is None else beat.state


async def attempt(
    step: TemporalStep, work: Callable[[], Awaitable[Answer]], stopping: asyncio.Event
) -> Answer:
    """Do the work of a try; returns what it ends with, with its waits.

    Args:
        step: its step.
        work: may be repeated.
        stopping: set where the worker stops, and others are to take over.

    Raises:
        ApplicationError: if it failed; with docpipe's own error as details.
    """
    tries = step.call.tries + activity.info().attempt
    step.work = work_ = asyncio.ensure_future(_worked(step, work))
    beating = asyncio.create_task(step.beat_forever(), name="beat")
    stop = asyncio.create_task(_stopped(work_, step.ticket, stopping), name="stop")
    try:
        answer = await _ended(step, work_, stopping)
    except RunError as error:
        details = (failure(error), tries, step.kept)
        raise ApplicationError(str(error), *details, type=RUN_ERROR, non_retryable=True) from None
    except SpoolLostError as error:
        raise ApplicationError(str(error), type=SPOOL_LOST, non_retryable=True) from None
    except ApplicationError:
        raise
    except Exception as error:  # noqa: BLE001 -- `reason_of` logs it
        reason = reason_of(error, step.call.run_id)
        raise ApplicationError(reason, type=BROKEN, non_retryable=True) from None
    finally:
        beating.cancel()
        stop.cancel()
        step.waited.note(step.name, None, step.clock())
    return replace(answer, attempts=tries, waits=step.waited.spans, state=step.kept)


async def _ended(step: TemporalStep, work: "asyncio.Task[Answer]", stopping: asyncio.Event) -> Answer:
    """How the work of a try ends, whatever ends it.

    Raises:
        CancelledError: if the server has given the try up: whatever it ends with is of no interest.
    """
    try:
        return await asyncio.shield(work)
    except Later as later:
        return Answer(later=later.when, wait=later.wait)
    except asyncio.CancelledError:
        if not work.done():  # the SDK cancels the try, for one of several reasons
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        details = activity.cancellation_details()
        if step.cancelled or (details is not None and details.cancel_requested):
            return Answer()
        if stopping.is_set():
            raise ApplicationError("The worker stops.", type="Stopped") from None
        raise


async def _worked(step: TemporalStep, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do the work; repeat it after a trouble of this machine that passes, such as a full disk."""
    while True:
        try:
            return await work()
        except Exception as error:
            if (trouble := trouble_of(error)) is None:
                raise
        await wait_out(trouble, step.ticket, "spool", step.clock)


async def _stopped(work: "asyncio.Task[Any]", ticket: Ticket, stopping: asyncio.Event) -> None:
    """End what only waits as soon as the worker stops; the worker ends the rest."""
    await stopping.wait()
    while True:
        if ticket.wait is not None:
            work.cancel()
        await asyncio.sleep(0.1)
