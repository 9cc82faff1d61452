"""Places in a pool: runs take turns, and each turn lasts for a stretch of documents, not for one.

A worker serves one run, so a place that goes to another run costs a process, some 30 ms of CPU. By
stretches that is paid once for many documents, and nobody waits for more than one stretch of each other run.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from docpipe.gates.line import Slots, waiting
from docpipe.model import Clock, Ticket, Wait

TURN_S: Final = 60.0
"""What each ticket of the same run, before this one, is worth in line. Less than a level of priority for all
that one run has in line."""
MOST_S: Final = 30 * TURN_S
"""What slow jobs cost a run in line at most: likewise less than a level of priority."""
STRETCH_S: Final = 2.0
"""Seconds for which a place goes from one job of a run to its next, while others of its priority wait."""


@dataclass(slots=True, eq=False)
class _Waiter:
    ticket: Ticket
    turn: asyncio.Future[None]
    since: float | None = None
    """When the stretch began that it continues."""


class Turns(Slots):
    """Slots that runs share: the second ticket of each run stands behind the first ones of all, and so on.

    So a run with many slow documents takes turns with the others, however long its documents stood in line
    before: start-time fair queueing, with a fixed cost, since how long a document takes is not known before.
    But a run hands a slot on to itself within its stretch.

    Args:
        n: how many there are.
        clock: what the line is sorted by.
        stretch: as of STRETCH_S.
        timer: what stretches are measured by.
    """

    def __init__(
        self,
        n: int,
        clock: Clock,
        stretch: float = STRETCH_S,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(n, clock)
        self._stretch = stretch
        self._timer = timer
        self._of_run: Counter[str] = Counter()
        self._next: dict[str, deque[_Waiter]] = {}

    @contextlib.asynccontextmanager
    async def hold(self, ticket: Ticket, wait: Wait | None = None) -> AsyncIterator[None]:
        """As of `Slots`."""
        before = self._of_run[ticket.run_id]
        self._of_run[ticket.run_id] += 1
        try:
            since = await self._begun(ticket, wait, before * TURN_S)
            began = self._timer()
            try:
                yield
            finally:
                self._put_behind(ticket.run_id, self._timer() - began)
                self._leave(ticket, since)
        finally:
            self._of_run[ticket.run_id] -= 1
            if not self._of_run[ticket.run_id]:
                del self._of_run[ticket.run_id]

    async def _begun(self, ticket: Ticket, wait: Wait | None, behind: float) -> float:
        """A slot, and when the stretch began that this ticket is part of."""
        if self._free > 0 and self.line.head() is None:
            self._free -= 1
            return self._timer()
        mine = _Waiter(ticket, self.line.join(ticket, self._clock() + behind))
        queue = self._next.setdefault(ticket.run_id, deque())
        queue.append(mine)
        try:
            with waiting(ticket, wait):
                await mine.turn
        except asyncio.CancelledError:
            if mine.turn.done() and not mine.turn.cancelled():  # the slot was given before the cancel arrived
                self._leave(ticket, self._timer() if mine.since is None else mine.since)
            raise
        finally:
            queue.remove(mine)
            if not queue and self._next.get(ticket.run_id) is queue:
                del self._next[ticket.run_id]
        return self._timer() if mine.since is None else mine.since

    def _put_behind(self, run: str, took: float) -> None:
        """After a job that took longer than a turn is worth, the next of its run stand behind all others.

        Else time in line would bring them before those who come later: each waits for so many such jobs.
        """
        if took > TURN_S:
            now, others = self._clock(), self._next.get(run, ())
            self.line.put_behind(
                {other.turn: now + min(number * took, MOST_S) for number, other in enumerate(others, 1)}
            )

    def _leave(self, ticket: Ticket, since: float) -> None:
        """Hand the slot to the same run, or to who is next, or nobody."""
        head = self.line.head()
        if head is not None and self._timer() - since < self._stretch:
            for other in self._next.get(ticket.run_id, ()):
                if not other.turn.done() and other.ticket.priority >= head.priority:
                    other.since = since
                    self.line.let_pass(other.turn, None)
                    return
        self.release()
