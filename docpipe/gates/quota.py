"""A quota: the line of callers before an endpoint, and the places that they wait for.

The places are counted by this process, or by a store that processes share (`gates.places`).
"""

import asyncio
import math
from dataclasses import replace
from typing import Final, Self

import structlog

from docpipe.gates.barrier import Barrier, OpenBarrier
from docpipe.gates.ledger import Ledger, Past
from docpipe.gates.line import Line
from docpipe.gates.place import Place, QuotaView
from docpipe.gates.places import TRANSIT_S, Grant, LocalPlaces, Places
from docpipe.gates.turns import Turns
from docpipe.model import Clock, Rate, Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

_LOOK_BACK_S: Final = 120.0  # no attempt takes longer
_RANK_S: Final = 1e9  # sorts callers that failed before behind those that did not


class Quota:
    """Places under a rate, and the line before them. Made and used inside one event loop.

    Args:
        name: of the endpoint, such as `docex.search`.
        places: who counts them.
        clock: the wall clock, for waits and views.
    """

    def __init__(self, name: str, places: Places, *, clock: Clock) -> None:
        self.name = name
        self.barrier: Barrier = OpenBarrier()
        self._places = places
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._line = Line[Grant]()
        self._standing: dict[Place, None] = {}  # a set that keeps the order of arrival
        self._demoted: dict[asyncio.Future[Grant], int] = {}
        self._trouble: Wait | None = None
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    def local(
        cls,
        name: str,
        rate: Rate | None,
        *,
        clock: Clock,
        even: bool = False,
        ledger: Ledger | None = None,
        past: Past | None = None,
    ) -> "Quota":
        """A quota whose places this process alone counts; see `LocalPlaces`."""
        places = LocalPlaces(name, rate, even=even, ledger=ledger, past=past)
        return cls(name, places, clock=clock)

    @classmethod
    async def restored(
        cls, name: str, rate: Rate | None, clock: Clock, ledger: Ledger, *, even: bool = False
    ) -> "Quota":
        """A local quota that waits out what earlier processes may have spent, as the ledger has it."""
        now = ledger.now()
        since = now - (rate.per if rate else 0.0) - _LOOK_BACK_S
        past = Past(now, await ledger.grants(name, since), await ledger.last_alive())
        if past.settled is not None:  # by the next process it would be forgotten when this one died
            ledger.settled(name, past.settled + TRANSIT_S)
        return cls.local(name, rate, clock=clock, even=even, ledger=ledger, past=past)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Admit no further caller, and note what is spent."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait((self._pump,))
        await self._places.end()

    @property
    def rate(self) -> Rate | None:
        """None where it is turned off."""
        return self._places.rate

    # Callers

    def place(self, ticket: Ticket, *, since: float | None = None, rank: int = 0) -> Place:
        """A place, in turn: `async with quota.place(ticket) as place`.

        Args:
            ticket: the caller's.
            since: when the caller first came, by the loop's clock, if this is not its first try.
            rank: how often it failed; while the barrier is closed, the caller that failed least goes first.
        """
        return Place(self, ticket, self._loop.time() if since is None else since, rank)

    async def enter(self, place: Place) -> Place:
        """Wait until the place is granted and, where it has to be, written down."""
        while True:
            place.grant = self._immediate_grant()
            if place.grant is None:  # in this coroutine: of two, each waiter would hold both
                before, turn = place.ticket.wait, self._join_line(place)
                try:
                    while place.grant is None:
                        if turn in self._demoted:  # whose turn may be cancelled by `barrier_changed`
                            await asyncio.wait((turn,))
                        else:
                            await turn
                        if self._demoted.pop(turn, None) is not None and turn.cancelled():
                            turn = self._join(place)
                        else:
                            place.grant = turn.result()
                except asyncio.CancelledError:
                    self._leave(turn)
                    raise
                finally:
                    del self._standing[place]
                    place.ticket.wait = before
            if await self._confirm(place, place.grant):
                return place

    async def _confirm(self, place: Place, grant: Grant) -> bool:
        """Write the grant down; False where that came too late, and the caller has to wait again."""
        grant.sent = self._loop.time()
        try:
            in_time = await self._places.confirm(grant)
        except BaseException:
            self.give_back(place)
            raise
        grant.sent = self._loop.time()
        if not in_time:
            self.give_back(place)
            place.over = False
        return in_time

    def _immediate_grant(self) -> Grant | None:
        """A grant where no caller has to wait for one."""
        if self.rate is not None or self._line.head() is not None:
            return None
        if self.barrier.obstacle(self, self._loop.time()) > 0:
            return None
        if (grant := self._places.take_at_once()) is not None:
            self.barrier.admitted()
        return grant

    def _join_line(self, place: Place) -> asyncio.Future[Grant]:
        """Join the line; returns the caller's turn."""
        place.waiting_since = self._clock()
        self._standing[place] = None
        self._show(place)
        return self._join(place)

    def _join(self, place: Place) -> asyncio.Future[Grant]:
        rank = place.rank if self.barrier.wait() is not None else 0
        turn = self._line.join(place.ticket, place.since + rank * _RANK_S)
        if rank:
            self._demoted[turn] = rank
        self._start()
        return turn

    def _leave(self, turn: asyncio.Future[Grant]) -> None:
        self._demoted.pop(turn, None)
        if turn.done() and not turn.cancelled():  # granted before the cancellation arrived
            self._release(turn.result())
        else:
            turn.cancel()
            self.barrier.withdrawn()

    def leave(self, place: Place, *, answered: bool) -> None:
        """The server answered, or the caller gave up: the place runs out from now on."""
        if place.over or place.grant is None:
            return
        place.over = True
        now = self._loop.time()
        self._places.settle(place.grant, now if answered else max(now, place.grant.sent + TRANSIT_S))
        self._places.changed.set()

    def give_back(self, place: Place) -> None:
        """Nothing was sent, so the place is free again at once."""
        if place.over or place.grant is None:
            return
        place.over = True
        self._release(place.grant)

    def _release(self, grant: Grant) -> None:
        self._places.release(grant)
        self._places.changed.set()
        self.barrier.withdrawn()

    # The pump

    def _start(self) -> None:
        if self._pump is not None and self._pump.done():
            self._pump.result()  # a failed pump raises here; it is not replaced in silence
            self._pump = None
        if self._pump is None:
            self._pump = self._loop.create_task(self._serve(), name=f"quota {self.name}")
        elif self.barrier.wait() is not None:
            self._places.changed.set()

    async def _serve(self) -> None:
        """Admit callers, one by one, in this task only: no caller overtakes those who wait."""
        while self._line.head() is not None:
            if self._demoted and self.barrier.wait() is None:
                await asyncio.sleep(0)  # they are about to stand where they would have stood
                continue
            if (pause := self._obstacle()) > 0:
                await self._nap(pause)
                continue
            grant = await self._places.take(self._line.urgency())
            if (trouble := self._places.trouble()) != self._trouble:
                self._trouble = trouble
                self.barrier_changed()
            if grant is None:
                continue
            if self._line.head() is None:  # the last caller left meanwhile
                self._release(grant)
                continue
            self.barrier.admitted()
            self._line.let_go(grant)

    async def _nap(self, pause: float) -> None:
        self._places.changed.clear()
        timer = None if math.isinf(pause) else self._loop.call_later(pause, self._places.changed.set)
        try:
            await self._places.changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _obstacle(self) -> float:
        """Seconds for which no caller can be admitted; infinite until something changes."""
        now = self._loop.time()
        return max(self._places.pause(now), self.barrier.obstacle(self, now))

    # Changes from outside

    def close(self, seconds: float, because: str) -> None:
        """Admit no caller for this many seconds, such as after a 429."""
        if self._places.close(seconds, because):
            log.info("quota_closed", endpoint=self.name, seconds=round(seconds, 3), because=because)

    def set_rate(self, rate: Rate | None) -> None:
        """Use another rate from now on."""
        if rate != self.rate:
            self._places.use(rate)
            self._places.changed.set()

    def barrier_changed(self) -> None:
        """Recheck the barrier, and update what the callers in line wait for."""
        if self.barrier.wait() is None:
            for turn in self._demoted:  # callers that failed stand where they would have stood
                turn.cancel()
        for place in self._standing:
            self._show(place)
        self._places.changed.set()

    def recheck(self) -> None:
        """Check again whether the next caller may pass: one at the barrier has left."""
        self._places.changed.set()

    # Views

    @property
    def waiting(self) -> int:
        """How many callers wait in the line."""
        return len(self._standing)

    def rank(self, now: float) -> float:
        """How often the caller at the head of the line has failed, infinite when none can be admitted."""
        if self._line.head() is None or self._places.pause(now) > 0:
            return math.inf
        if len(self._standing) > len(self._demoted):
            return 0
        return min(self._demoted.values(), default=0)

    def _show(self, place: Place) -> None:
        place.ticket.wait = (
            self._trouble or self.barrier.wait() or Wait(WaitKind.QUOTA, self.name, place.waiting_since)
        )

    def waits(self) -> dict[Ticket, Wait]:
        """What the callers in line wait for, with their places in line and expected turns."""
        outage = self._trouble or self.barrier.wait()
        waits = {}
        in_order = sorted(self._standing, key=lambda place: place.ticket.urgency(place.since))
        for number, (place, until) in enumerate(zip(in_order, self._turns(), strict=False), 1):
            if outage is None:
                waits[place.ticket] = Wait(WaitKind.QUOTA, self.name, place.waiting_since, until, number)
            else:
                waits[place.ticket] = Wait(outage.kind, outage.what, outage.since, outage.until, number)
        return waits

    def _turns(self) -> Turns:
        """By the wall clock."""
        now = self._loop.time()
        turns, ahead = self._places.turns(now), self._clock() - now
        return replace(turns, first=turns.first + ahead, held=tuple(moment + ahead for moment in turns.held))

    def expected(self, number: int) -> float:
        """When the caller at this place in line should have its turn, by the wall clock."""
        return self._turns().of(number)

    def refresh(self) -> None:
        """Update the wait of each ticket in line: its place and expected turn, as of now."""
        for ticket, wait in self.waits().items():
            ticket.wait = wait

    def view(self) -> QuotaView:
        """The state of the quota now."""
        now = self._loop.time()
        left, because = self._places.closed(now)
        return QuotaView(
            name=self.name,
            rate=self.rate,
            used=self._places.used(now),
            waiting=self.waiting,
            closed_until=self._clock() + left if left > 0 else None,
            closed_because=because if left > 0 else "",
        )
