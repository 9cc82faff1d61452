"""Waiting lines: by urgency, first come first served within a priority; no caller starves."""

import asyncio
import contextlib
import heapq
import itertools
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Generic, TypeVar

from docpipe.model import Clock, Ticket, Wait

_T = TypeVar("_T")


class Line(Generic[_T]):
    """Callers in the order in which they continue, each with a value. A cancelled caller costs nothing.

    Joining and leaving cost O(log n); the place in line is counted on demand.
    """

    __slots__ = ("_heap", "_order", "_waiting")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Ticket, asyncio.Future[_T]]] = []
        self._order = itertools.count()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def join(self, ticket: Ticket, now: float) -> asyncio.Future[_T]:
        """Join the line; the future is done when the caller's turn has come."""
        turn: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        turn.add_done_callback(self._gave_up)
        heapq.heappush(self._heap, (ticket.urgency(now), next(self._order), ticket, turn))
        self._waiting += 1
        return turn

    def _gave_up(self, turn: asyncio.Future[_T]) -> None:
        if turn.cancelled():
            self._waiting -= 1

    def head(self) -> Ticket | None:
        """The ticket that is next, None when none waits."""
        while self._heap and self._heap[0][3].done():
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def urgency(self) -> float:
        """That of the ticket at the head of the line; call it only while somebody waits."""
        return self._heap[0][0]

    def let_go(self, value: _T) -> Ticket | None:
        """Let the next caller continue, with a value for it; None when none waits."""
        if (ticket := self.head()) is not None:
            heapq.heappop(self._heap)[3].set_result(value)
            self._waiting -= 1
        return ticket

    def let_pass(self, turn: asyncio.Future[_T], value: _T) -> None:
        """Let one who waits continue before others; its place is dropped when it comes to the head."""
        turn.set_result(value)
        self._waiting -= 1

    def put_behind(self, later: Mapping[asyncio.Future[_T], float]) -> None:
        """Let callers stand as if they had come later, at the given times. O(n)."""
        self._heap = [
            (max(key, ticket.urgency(later.get(turn, -math.inf))), order, ticket, turn)
            for key, order, ticket, turn in self._heap
        ]
        heapq.heapify(self._heap)

    def place(self, ticket: Ticket) -> int | None:
        """How many stand up to and including the ticket, None when it does not wait here. O(n)."""
        mine = next((e for e in self._heap if e[2] is ticket and not e[3].done()), None)
        if mine is None:
            return None
        return 1 + sum(1 for e in self._heap if e[:2] < mine[:2] and not e[3].done())


class Slots:
    """A bounded number of holders, and a line for the others."""

    def __init__(self, n: int, clock: Clock) -> None:
        self.n = n
        self._free = n
        self._clock = clock
        self.line = Line[None]()

    @property
    def held(self) -> int:
        """How many are held now."""
        return self.n - self._free

    @contextlib.asynccontextmanager
    async def hold(self, ticket: Ticket, wait: Wait | None = None) -> AsyncIterator[None]:
        """Hold a slot; while none is free, the ticket shows `wait`."""
        await self.acquire(ticket, wait)
        try:
            yield
        finally:
            self.release()

    async def acquire(self, ticket: Ticket, wait: Wait | None = None) -> None:
        """Take a slot, in turn."""
        if self._free > 0 and self.line.head() is None:
            self._free -= 1
            return
        turn = self.line.join(ticket, self._clock())
        try:
            with waiting(ticket, wait):
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was given before the cancel arrived
                self.release()
            raise

    def release(self) -> None:
        """Give a slot back."""
        if self.line.let_go(None) is None:
            self._free += 1


@contextlib.contextmanager
def waiting(ticket: Ticket, wait: Wait | None) -> Iterator[None]:
    """Show `wait` on the ticket for the time of the block."""
    before, ticket.wait = ticket.wait, wait
    try:
        yield
    finally:
        ticket.wait = before
