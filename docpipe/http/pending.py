"""Repeats a POST while its service is still at an earlier request with the same idempotency key."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from docpipe.gates.line import waiting
from docpipe.model import Clock, Ticket, Wait, WaitKind

FIRST_PAUSE_S: Final = 1.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often and how long a POST is repeated.

    Args:
        what: the service or endpoint, as the ticket's wait names it.
        clock: the wall clock.
        longest_s: the longest pause between two requests; pauses double up to it.
        most: requests at most; None for any number.
    """

    what: str
    clock: Clock
    longest_s: float
    most: int | None = None

    async def until_settled(
        self,
        ticket: Ticket,
        send: Callable[[], Awaitable[_T]],
        is_pending: Callable[[_T], Awaitable[bool]],
        recover: Callable[[], Awaitable[_T | None]] | None = None,
    ) -> _T:
        """Send until the answer is not pending.

        Args:
            ticket: of the caller; its `wait` shows the pauses.
            send: sends the request.
            is_pending: whether an answer says that the request is still in progress.
            recover: looks for the effect of the request after each pause; an answer from it is returned.

        Returns:
            The first answer that is not pending, or the last one allowed.
        """
        pause, sent = FIRST_PAUSE_S, 0
        while True:
            answer = await send()
            sent += 1
            if not await is_pending(answer):
                return answer
            await self.pause(ticket, pause)
            if recover is not None and (recovered := await recover()) is not None:
                return recovered
            if sent == self.most:
                return answer
            pause = min(2 * pause, self.longest_s)

    async def pause(self, ticket: Ticket, seconds: float) -> None:
        """Wait before another request."""
        now = self.clock()
        with waiting(ticket, Wait(WaitKind.RETRY, self.what, now, now + seconds)):
            await asyncio.sleep(seconds)
