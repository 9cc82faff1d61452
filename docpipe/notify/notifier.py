"""Delivers notifications at least once each, through outages and restarts."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import structlog

from docpipe.checkpoints import RunEnd
from docpipe.checkpoints.outbox import Outbox
from docpipe.errors import PoisonedError, ServiceError
from docpipe.model import Clock
from docpipe.notify.delivery import Delivery

log = structlog.get_logger(__name__)

RETRY_S: Final = 60.0
"""After a request that could not even be made, the next try comes so much later."""
_AT_ONCE: Final = 8
_LAST_S: Final = 2.0
"""At the end of the process what waits may take this long, while the receiver is up."""


class _Change(Protocol):
    """See engine.Change."""

    @property
    def activity(self) -> object | None:
        """None for the run itself."""


@dataclass(frozen=True, slots=True)
class NotifierView:
    """How notifications stand."""

    waiting: int
    """How many were not delivered yet."""
    delivered: int
    """How many were, since the start of the process."""
    last_at: float | None
    """When the last one was, in seconds since the epoch."""
    stopped: bool
    """Whether the receiver has unsubscribed (410); notifications wait for the next start."""


class Notifier:
    """Delivers what the outbox holds. Use as an async context manager.

    Args:
        outbox: the ends of runs that were not delivered.
        delivery: sends them.
        clock: the wall clock.
    """

    def __init__(self, outbox: Outbox, delivery: Delivery, clock: Clock) -> None:
        self._outbox = outbox
        self._delivery = delivery
        self._clock = clock
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._refused: set[str] = set()
        """Those that the receiver refuses while it takes others; they wait for the next start."""
        self._delivered = 0
        self._last_at: float | None = None
        self._stopped = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._deliver_forever(), name="notify")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Deliver what waits if that is possible now, and stop."""
        if self._task is None:
            return
        service = self._delivery.gate.service
        if service.view().up and service.view().paused_since is None:
            await self._within(_LAST_S, self._empty())
        self._task.cancel()
        await asyncio.wait((self._task,))

    def changed(self, change: _Change) -> None:
        """See engine.Listener: the end of a run is there to be delivered."""
        if change.activity is None:
            self._ended.set()

    async def view(self) -> NotifierView:
        """How they stand."""
        waiting = await self._outbox.waiting()
        return NotifierView(waiting, self._delivered, self._last_at, self._stopped)

    @property
    def stopped(self) -> bool:
        """Whether the receiver has unsubscribed."""
        return self._stopped

    async def _empty(self) -> None:
        while not self._stopped and await self._outbox.waiting() > len(self._refused):
            self._ended.set()
            await asyncio.sleep(0.05)

    @staticmethod
    async def _within(seconds: float, work: Awaitable[Any]) -> None:
        try:
            await asyncio.wait_for(work, seconds)
        except TimeoutError:
            log.info("notifications_left", reason="they are delivered at the next start")

    async def _deliver_forever(self) -> None:
        while not self._stopped:
            self._ended.clear()
            ends = await self._outbox.oldest(_AT_ONCE + len(self._refused))
            ends = [end for end in ends if end.id not in self._refused]
            if not ends:
                await self._ended.wait()
            elif not all(await asyncio.gather(*map(self._deliver, ends))):
                await asyncio.sleep(RETRY_S)

    async def _deliver(self, end: RunEnd) -> bool:
        """Deliver one; returns False if that cannot even be tried now."""
        try:
            answer = await self._delivery.send(end)
        except PoisonedError as error:
            self._refused.add(end.id)
            log.warning("notification_refused", run_id=end.run_id, reason=str(error))
        except ServiceError as error:
            log.warning("notification_not_sent", run_id=end.run_id, reason=str(error), retry_s=RETRY_S)
            return False
        else:
            if answer.ok:
                await self._outbox.delivered(end.id)
                self._delivered += 1
                self._last_at = self._clock()
                self._refused.discard(end.id)
            elif not self._stopped:
                self._stopped = True
                log.warning(
                    "notifications_stopped",
                    reason="the receiver answers 410 Gone",
                    cure="correct or remove notify.url, and start docpipe again",
                )
        return True
