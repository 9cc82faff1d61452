"""At most n requests in any window of T, as the server's clock counts them.

A grant holds its place from before it is sent until T after its answer came or it was given up. Then no
window of T at the server holds more than n: were there n + 1 arrivals in one, the last of them was sent after
one of the others had been answered for at least T. Latency and jitter cost a little of the quota, never the
promise.
"""

import asyncio
import heapq
import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Self

import structlog
from aiolimiter import AsyncLimiter

from docpipe.gates.barrier import Barrier, OpenBarrier
from docpipe.gates.ledger import ALIVE_EVERY_S, Ledger, Past
from docpipe.gates.line import Line
from docpipe.model import Clock, Rate, Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

TRANSIT_S: Final = 3.0
"""A request that was given up may still be on its way to the server for this long after it was sent."""
LONG_WINDOW_S: Final = 5.0
"""Windows longer than this keep a ledger; after a restart shorter ones are simply waited out."""
_LOOK_BACK_S: Final = 120.0  # no attempt takes longer
_SLACK_S: Final = 0.002  # a window that counts both of its ends, and the resolution of clocks
_DRIFT: Final = 1e-4  # how much faster our clock may run than the server's
_RANK_S: Final = 1e9  # sorts whoever failed before behind everybody who did not


@dataclass(frozen=True, slots=True)
class QuotaView:
    """How a quota stands. Times are of the wall clock."""

    name: str
    rate: Rate | None
    used: int
    """Places that are taken: under way, or answered less than a window ago."""
    waiting: int
    closed_until: float | None
    closed_because: str


class Place:
    """A caller's place under a quota, from standing in line to the end of the attempt."""

    __slots__ = ("_quota", "grant", "over", "rank", "sent", "shown", "since", "ticket")

    def __init__(self, quota: "Quota", ticket: Ticket, since: float, rank: int) -> None:
        self._quota = quota
        self.ticket = ticket
        self.since = since
        self.rank = rank
        self.shown = 0.0
        self.sent = 0.0
        self.grant: int | None = None
        self.over = False

    def __aenter__(self) -> Awaitable["Place"]:
        return self._quota.enter(self)  # no coroutine of its own: a hundred thousand may wait here

    async def __aexit__(self, *_: object) -> None:
        self.give_up()

    def give_up(self) -> None:
        """The attempt is over. If there was no answer, the request may be on its way still."""
        self._quota.leave(self, answered=False)

    def answered(self) -> None:
        """The server has answered, so it has counted the request."""
        self._quota.leave(self, answered=True)

    def unspent(self) -> None:
        """Hand the place back: nothing was sent."""
        self._quota.give_back(self)


class Quota:
    """Places under a rate, and the line before them. Made and used inside one event loop.

    Args:
        name: of the endpoint, such as `docex.search`.
        rate: None turns it off.
        clock: the wall clock, for what is shown and written down; windows are kept by the loop's clock.
        burst: how many may go at once after a pause; 1 spaces them evenly.
        ledger: where grants are written down if the window is long.
        past: what earlier processes may have spent.
    """

    def __init__(
        self,
        name: str,
        rate: Rate | None,
        *,
        clock: Clock,
        burst: int = 1,
        ledger: Ledger | None = None,
        past: Past | None = None,
    ) -> None:
        self.name = name
        self.barrier: Barrier = OpenBarrier()
        self._clock = clock
        self._burst = burst
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._line = Line()
        self._standing: dict[Place, None] = {}  # a set that keeps the order of arrival
        self._demoted: dict[asyncio.Future[None], int] = {}
        self._under_way = 0
        self._settled: list[float] = []  # a heap: when each place began to run out
        self._closed_until = 0.0
        self._closed_because = ""
        self._changed = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._use(rate)
        if past is not None:
            self._wait_out(past)

    @classmethod
    async def restored(
        cls, name: str, rate: Rate | None, clock: Clock, ledger: Ledger, *, burst: int = 1
    ) -> "Quota":
        """A quota that waits out what earlier processes may have spent, as the ledger tells."""
        since = clock() - (rate.per if rate else 0.0) - _LOOK_BACK_S
        past = Past(await ledger.grants(name, since), await ledger.last_alive())
        return cls(name, rate, clock=clock, burst=burst, ledger=ledger, past=past)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let nobody go any more."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait((self._pump,))

    def _use(self, rate: Rate | None) -> None:
        self.rate = rate
        self._hold = rate.per * (1 + _DRIFT) + _SLACK_S if rate else 0.0
        self._pace = AsyncLimiter(self._burst, self._burst * rate.per / rate.n) if rate else None
        self._written = self._ledger if rate and rate.per > LONG_WINDOW_S else None

    def _wait_out(self, past: Past) -> None:
        if self.rate is None:
            return
        now, wall = self._loop.time(), self._clock()
        if self.rate.per > LONG_WINDOW_S:
            for grant in past.grants:
                # An unanswered one may have been sent the moment before its process died.
                ago = wall - grant.answered if grant.answered is not None else -TRANSIT_S
                if ago < self._hold:
                    heapq.heappush(self._settled, now - max(ago, -TRANSIT_S))
        elif past.alive is not None:
            died_ago = max(0.0, wall - past.alive - ALIVE_EVERY_S)
            self.close(TRANSIT_S + self._hold - died_ago, "restart")

    # What callers do

    def place(self, ticket: Ticket, *, since: float | None = None, rank: int = 0) -> Place:
        """A place, in turn: `async with quota.place(ticket) as place`.

        Args:
            ticket: who asks.
            since: when the caller first came, by the loop's clock, if this is not its first try.
            rank: how often it failed; while the barrier is closed, whoever failed least goes first.
        """
        return Place(self, ticket, self._loop.time() if since is None else since, rank)

    async def enter(self, place: Place) -> Place:
        """Wait until the place is granted and, where it has to be, written down."""
        if self.rate is None and self._line.head() is None and self._obstacle() <= 0:
            self._grant()
        else:
            before, place.shown = place.ticket.wait, self._clock()
            self._standing[place] = None
            self._show(place)
            turn = self._join(place)
            try:
                while True:
                    if turn in self._demoted:  # whose turn may be cancelled by `barrier_changed`
                        await asyncio.wait((turn,))
                    else:
                        await turn
                    if self._demoted.pop(turn, None) is None or not turn.cancelled():
                        break
                    turn = self._join(place)
            except asyncio.CancelledError:
                self._left(place, turn)
                raise
            finally:
                del self._standing[place]
                place.ticket.wait = before
        place.sent = self._loop.time()
        if self._written is not None:
            try:
                place.grant = await self._written.granted(self.name, self._clock())
            except BaseException:
                self.give_back(place)
                raise
            place.sent = self._loop.time()
        return place

    def _join(self, place: Place) -> asyncio.Future[None]:
        rank = place.rank if self.barrier.wait() is not None else 0
        turn = self._line.join(place.ticket, place.since + rank * _RANK_S)
        if rank:
            self._demoted[turn] = rank
        self._start()
        return turn

    def _left(self, place: Place, turn: asyncio.Future[None]) -> None:
        self._demoted.pop(turn, None)
        if turn.done() and not turn.cancelled():  # granted before the cancellation arrived
            self.give_back(place)
        else:
            turn.cancel()
            self.barrier.withdrawn()

    def leave(self, place: Place, *, answered: bool) -> None:
        """The server answered, or the caller gave up: the place runs out from now on."""
        if place.over:
            return
        place.over = True
        now = self._loop.time()
        settled = now if answered else max(now, place.sent + TRANSIT_S)
        self._under_way -= 1
        if self.rate is not None:
            heapq.heappush(self._settled, settled)
        if self._ledger is not None and place.grant is not None:
            self._ledger.answered(self.name, place.grant, self._clock() + settled - now)
        self._changed.set()

    def give_back(self, place: Place) -> None:
        """Nothing was sent, so the place is free again at once."""
        if place.over:
            return
        place.over = True
        self._under_way -= 1
        if self._ledger is not None and place.grant is not None:
            self._ledger.answered(self.name, place.grant, 0.0)
        self._changed.set()
        self.barrier.withdrawn()

    # What the pump does

    def _start(self) -> None:
        if self._pump is not None and self._pump.done():
            self._pump.result()  # a pump that failed is told, not replaced in silence
            self._pump = None
        if self._pump is None:
            self._pump = self._loop.create_task(self._serve(), name=f"quota {self.name}")
        elif self.barrier.wait() is not None:
            self._changed.set()

    async def _serve(self) -> None:
        """Let callers go, one by one. Only this task does, so nobody passes those who wait."""
        while self._line.head() is not None:
            if (pause := self._obstacle()) > 0:
                await self._nap(pause)
                continue
            if self._pace is not None:
                await self._pace.acquire()
            if self._obstacle() <= 0 and self._line.head() is not None:
                self._grant()
                self._line.let_go()

    def _grant(self) -> None:
        self._under_way += 1
        self.barrier.admitted()

    async def _nap(self, pause: float) -> None:
        self._changed.clear()
        timer = None if math.isinf(pause) else self._loop.call_later(pause, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _obstacle(self) -> float:
        """For how many seconds nobody can be let go; infinite until something changes."""
        now = self._loop.time()
        return max(self._own_obstacle(now), self.barrier.obstacle(self, now))

    def _own_obstacle(self, now: float) -> float:
        while self._settled and self._settled[0] + self._hold <= now:
            heapq.heappop(self._settled)
        pause = self._closed_until - now
        if self.rate is not None and self._under_way + len(self._settled) >= self.rate.n:
            pause = max(pause, self._settled[0] + self._hold - now if self._settled else math.inf)
        return pause

    # What others tell it

    def close(self, seconds: float, because: str) -> None:
        """Let nobody go for so long, such as after a 429."""
        until = self._loop.time() + seconds
        if until > max(self._closed_until, self._loop.time()):
            self._closed_until, self._closed_because = until, because
            log.info("quota_closed", endpoint=self.name, seconds=round(seconds, 3), because=because)

    def set_rate(self, rate: Rate | None) -> None:
        """Use another rate from now on."""
        if rate == self.rate:
            return
        remembered = self.rate.per if self.rate else 0.0
        self._use(rate)
        if rate is None:
            self._settled.clear()
        elif rate.per > remembered:  # of the longer window only a part is known, so it is waited out
            self.close(self._hold, "new rate")
        self._changed.set()

    def barrier_changed(self) -> None:
        """Recheck the barrier, and update what the callers in line wait for."""
        if self.barrier.wait() is None:
            for turn in self._demoted:  # whoever failed stands where it would have stood
                turn.cancel()
        for place in self._standing:
            self._show(place)
        self._changed.set()

    def recheck(self) -> None:
        """Check again whether the next caller may pass: one at the barrier has left."""
        self._changed.set()

    # What it tells others

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._standing)

    def rank(self, now: float) -> float:
        """How often whoever would go next has failed, infinite when nobody can go."""
        if self._line.head() is None or self._own_obstacle(now) > 0:
            return math.inf
        if len(self._standing) > len(self._demoted):
            return 0
        return min(self._demoted.values(), default=0)

    def _show(self, place: Place) -> None:
        place.ticket.wait = self.barrier.wait() or Wait(WaitKind.QUOTA, self.name, place.shown)

    def waits(self) -> dict[Ticket, Wait]:
        """What everybody in line waits for, with places in line and when each turn should come."""
        pause = self._own_obstacle(self._loop.time())
        first = None if math.isinf(pause) else self._clock() + max(pause, 0.0)
        spacing = self.rate.per / self.rate.n if self.rate else 0.0
        outage = self.barrier.wait()
        told = {}
        in_order = sorted(self._standing, key=lambda place: place.ticket.urgency(place.since))
        for number, place in enumerate(in_order, 1):
            until = None if first is None else first + (number - 1) * spacing
            if outage is None:
                told[place.ticket] = Wait(WaitKind.QUOTA, self.name, place.shown, until, number)
            else:
                told[place.ticket] = Wait(outage.kind, outage.what, outage.since, outage.until, number)
        return told

    def refresh(self) -> None:
        """Show everybody in line its place and when its turn should come, as of now."""
        for ticket, wait in self.waits().items():
            ticket.wait = wait

    def view(self) -> QuotaView:
        """How it stands now."""
        now = self._loop.time()
        self._own_obstacle(now)  # drops places that have run out
        left = self._closed_until - now
        return QuotaView(
            name=self.name,
            rate=self.rate,
            used=self._under_way + len(self._settled),
            waiting=self.waiting,
            closed_until=self._clock() + left if left > 0 else None,
            closed_because=self._closed_because if left > 0 else "",
        )
