"""The counters of a quota's places: this process, or a store that several processes share.

A place is held from before the request is sent until T after its answer came or it was given up. Then no
window of T at the server holds more than n: were there n + 1 arrivals in one, the last of them was sent after
one of the others had been answered for at least T. Latency and jitter cost a little of the quota, never the
promise.
"""

import asyncio
import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from aiolimiter import AsyncLimiter

from docpipe.gates.ledger import Ledger, Past
from docpipe.gates.turns import Turns
from docpipe.model import Rate, Wait

TRANSIT_S: Final = 3.0
"""A request that was given up may still be on its way to the server for this long after it was sent."""
LONG_WINDOW_S: Final = 5.0
"""Windows longer than this write each grant down before it is sent. What shorter ones have spent is written
at a clean stop; after a kill the next process waits for a whole window."""
_SLACK_S: Final = 0.002  # a window that counts both of its ends, and the resolution of clocks
_DRIFT: Final = 1e-4  # how much faster our clock may run than the server's
_LATEST_PART: Final = 0.2  # what the latest answer counts in the time that answers take
_TICK_S: Final = 0.001  # the limiter computes with floats: it may have room a moment later than expected


@dataclass(slots=True, eq=False)
class Grant:
    """The permission to send one request. Times are of the loop's clock."""

    asked: float
    """When it was asked for."""
    sent: float = 0.0
    id: int | str | None = None
    """By which the ledger, or the store, knows it."""
    probe: bool = False
    """Whether it is the one request that finds out whether the service is up again."""


class Places(Protocol):
    """Counts the places of one quota. Times are of the loop's clock, in seconds.

    `changed` is called when what `pause` or `trouble` return has changed by itself.
    """

    rate: Rate | None
    changed: asyncio.Event

    def pause(self, now: float) -> float:
        """Seconds for which there is no place, as far as is known here; infinite until something changes."""

    def take_at_once(self) -> Grant | None:
        """A grant where there is no limit, and so no line; otherwise None."""

    async def take(self, urgency: float) -> Grant | None:
        """A place for the caller at the head of the line; None if there is none after all."""

    async def confirm(self, grant: Grant) -> bool:
        """Call before the request is sent; false where that is too late, and the place has to be released."""

    def settle(self, grant: Grant, at: float) -> None:
        """The request is over: its place runs out from then on."""

    def release(self, grant: Grant) -> None:
        """Nothing was sent: the place is free again at once."""

    def close(self, seconds: float, because: str) -> bool:
        """Give no place for so long, such as after a 429; returns whether that is longer than before."""

    def closed(self, now: float) -> tuple[float, str]:
        """For how long still, not positive if it is open, and why."""

    def use(self, rate: Rate | None) -> None:
        """Use another rate from now on."""

    def used(self, now: float) -> int:
        """How many places are taken: under way, or over less than a window ago."""

    def turns(self, now: float) -> Turns:
        """When callers in line should have their turns."""

    def trouble(self) -> Wait | None:
        """Why nothing can be counted at the moment, None while it can."""

    async def end(self) -> None:
        """No place is taken any more: note what is spent."""


def hold_of(rate: Rate | None) -> float:
    """For how long a place is held after its answer: the window, and what clocks may differ by."""
    return rate.per * (1 + _DRIFT) + _SLACK_S if rate else 0.0


@dataclass(slots=True)
class Closure:
    """Until when a quota is closed, by the loop's clock, and why."""

    until: float = 0.0
    because: str = ""

    def extend(self, now: float, seconds: float, because: str) -> bool:
        """Close for this many seconds from now; returns whether that is longer than before."""
        if now + seconds <= max(self.until, now):
            return False
        self.until, self.because = now + seconds, because
        return True

    def left(self, now: float) -> tuple[float, str]:
        """Seconds until it is open, and why it is closed."""
        return self.until - now, self.because


class LocalPlaces:
    """Places that this process alone counts. See `Places`.

    An AsyncLimiter sets the pace within the window where grants are spaced evenly.

    Args:
        name: of the quota.
        rate: None turns it off.
        even: whether grants are spaced evenly; else as many go at once as the window has room for.
        ledger: where grants are written down.
        past: what earlier processes may have spent.
    """

    def __init__(
        self,
        name: str,
        rate: Rate | None,
        *,
        even: bool,
        ledger: Ledger | None,
        past: Past | None,
    ) -> None:
        self.changed = asyncio.Event()
        self._name = name
        self._even = even
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[float] = deque()
        """When each place was granted whose request is not over. Whichever ends, the first is removed: only
        the number of requests in progress has to be right."""
        self._settled: list[float] = []  # a heap: when each place began to run out
        self._closure = Closure()
        self._granted = -math.inf
        """When the latest grant was made."""
        self._answers_take: float | None = None
        """A moving average of the seconds from request to answer, None before the first."""
        self._set(rate)
        if past is not None:
            self._wait_out(past)

    def _set(self, rate: Rate | None) -> None:
        self.rate = rate
        self._hold = hold_of(rate)
        self._pace = AsyncLimiter(1, rate.per / rate.n) if rate and self._even else None
        self._written = self._ledger if rate and rate.per > LONG_WINDOW_S else None

    def _wait_out(self, past: Past) -> None:
        if self.rate is None:
            return
        now = self._loop.time()
        # An unanswered one may have been sent the moment before its process died.
        unanswered = min(past.now, math.inf if past.settled is None else past.settled) + TRANSIT_S
        for grant in past.grants:
            ago = past.now - (unanswered if grant.answered is None else grant.answered)
            if ago < self._hold:
                heapq.heappush(self._settled, now - max(ago, -TRANSIT_S))
        if self.rate.per <= LONG_WINDOW_S and past.alive is not None:
            # The time of its crash is unknown: no note is written while its database is locked or full.
            self.close(TRANSIT_S + self._hold, "restart")

    def pause(self, now: float) -> float:
        """See `Places`."""
        while self._settled and self._settled[0] + self._hold <= now:
            heapq.heappop(self._settled)
        pause = self._closure.until - now
        if self._pace is not None and not self._pace.has_capacity():
            pause = max(pause, self._next_by_pace() - now, _TICK_S)
        if self.rate is not None and len(self._under_way) + len(self._settled) >= self.rate.n:
            pause = max(pause, self._settled[0] + self._hold - now if self._settled else math.inf)
        return pause

    def _next_by_pace(self) -> float:
        """When the limiter should have room again."""
        return self._granted + self._pace.time_period if self._pace else -math.inf

    def take_at_once(self) -> Grant | None:
        """See `Places`."""
        if self.rate is not None or self._closure.until > self._loop.time():
            return None
        return self._grant()

    async def take(self, urgency: float) -> Grant | None:  # noqa: ARG002 -- no other process stands in line
        """See `Places`. Never waits: `pause` is over, so the limiter has room."""
        if self._pace is not None:
            await self._pace.acquire()
        return self._grant()

    def _grant(self) -> Grant:
        self._granted = self._loop.time()
        self._under_way.append(self._granted)
        return Grant(self._granted)

    async def confirm(self, grant: Grant) -> bool:
        """Write the grant down, where its window is long."""
        if self._written is not None:
            grant.id = await self._written.granted(self._name, self._written.now())
        return True

    def settle(self, grant: Grant, at: float) -> None:
        """See `Places`."""
        took, average = at - grant.sent, self._answers_take
        self._answers_take = took if average is None else average + _LATEST_PART * (took - average)
        self._under_way.popleft()
        if self.rate is not None:
            heapq.heappush(self._settled, at)
        self._note(grant, at - self._loop.time())

    def release(self, grant: Grant) -> None:
        """See `Places`."""
        self._under_way.popleft()
        self._note(grant, -math.inf)

    def _note(self, grant: Grant, seconds: float) -> None:
        """Note that the request is over in this many seconds; minus infinity if it was never sent."""
        if self._ledger is not None and isinstance(grant.id, int):
            self._ledger.answered(self._name, grant.id, max(0.0, self._ledger.now() + seconds))

    def close(self, seconds: float, because: str) -> bool:
        """See `Places`."""
        return self._closure.extend(self._loop.time(), seconds, because)

    def closed(self, now: float) -> tuple[float, str]:
        """See `Places`."""
        return self._closure.left(now)

    def use(self, rate: Rate | None) -> None:
        """See `Places`. Of a longer window only a part is known, so it is waited out."""
        remembered = self.rate.per if self.rate else 0.0
        self._set(rate)
        if rate is None:
            self._settled.clear()
        elif rate.per > remembered:
            self.close(self._hold, "new rate")

    def used(self, now: float) -> int:
        """See `Places`."""
        self.pause(now)  # drops places that have run out
        return len(self._under_way) + len(self._settled)

    def turns(self, now: float) -> Turns:
        """See `Places`. A request under way is taken to be answered like others before."""
        self.pause(now)  # likewise
        takes = self._answers_take or 0.0
        answered = (max(now, granted + takes) for granted in self._under_way)
        held = sorted((*self._settled, *answered))
        return Turns(
            self.rate.n if self.rate else None,
            max(now, self._closure.until, self._next_by_pace()),
            tuple(moment + self._hold for moment in held),
            self._hold + takes,
            self._pace.time_period if self._pace else 0.0,
        )

    def trouble(self) -> Wait | None:
        """None: this process can always count."""
        return None

    async def end(self) -> None:
        """Note in the ledger what is spent and not written down yet."""
        if self.rate is None or self._ledger is None:
            return
        now, spent, ahead = self._loop.time(), list[float](), self._ledger.now() - self._loop.time()
        if self._written is None:
            spent += [*self._settled, *[now + TRANSIT_S] * len(self._under_way)]
        if self._closure.until > now:  # a crash before, a new rate or a 429 may stand for a whole window
            spent += [self._closure.until - self._hold] * self.rate.n
        for moment in spent:
            if moment + self._hold > now:
                self._ledger.spent(self._name, moment + ahead)
