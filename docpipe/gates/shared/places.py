"""Places of a quota that Redis counts for all processes."""

import asyncio
from typing import Any, Final

from redis.exceptions import ResponseError

from docpipe.gates.places import TRANSIT_S, Closure, Grant, hold_of
from docpipe.gates.shared.service import SharedService, SharedState
from docpipe.gates.shared.store import LEASE_S, STORE_FAILURES, Keys, QuotaStore, microseconds
from docpipe.gates.turns import Turns
from docpipe.model import Clock, Rate, Wait, WaitKind

FRESH_S: Final = LEASE_S - TRANSIT_S - 1.0
"""A grant has to be sent within this time of being asked for: what is sent then arrives within its lease."""
_FIRST_RETRY_S: Final = 0.1
_LONGEST_RETRY_S: Final = 5.0


class RedisPlaces:
    """See `gates.places.Places`.

    Args:
        name: of the quota.
        rate: None for any number of places: outages are shared all the same.
        store: the connection to Redis.
        service: of the quota; learns of outages with each answer.
        clock: the wall clock, for waits.
        even: whether grants are spaced evenly.
    """

    def __init__(
        self,
        name: str,
        rate: Rate | None,
        *,
        store: QuotaStore,
        service: SharedService,
        clock: Clock,
        even: bool = False,
    ) -> None:
        self.changed = asyncio.Event()
        self._name = name
        self._store = store
        self._service = service
        self._clock = clock
        self._even = even
        self._loop = asyncio.get_running_loop()
        self._keys = Keys.of(store.prefix, name, service.name)
        self._under_way: set[str] = set()
        self._ask_at = 0.0
        self._closure = Closure()
        self._used = self._processes = 0
        self._retry_s = _FIRST_RETRY_S
        self._trouble: Wait | None = None
        self.use(rate)
        store.beats.append(self._renew)
        store.looks.append(self._look)
        store.jumped.append(self._clock_jumped)
        self._renew()  # a quota that is new to Redis starts closed: begin at once

    def use(self, rate: Rate | None) -> None:
        """See `Places`. Redis closes the quota where the window is longer than any before."""
        self.rate = rate
        self._hold = hold_of(rate)
        self._spacing = rate.per / rate.n if rate and self._even else 0.0

    def pause(self, now: float) -> float:
        """Seconds until Redis is asked again."""
        return max(self._ask_at, self._closure.until) - now

    def take_at_once(self) -> Grant | None:
        """None: Redis has to be asked."""
        return None

    async def take(self, urgency: float) -> Grant | None:
        """See `Places`."""
        asked, jumps = self._loop.time(), self._closure.until
        numbers = (self.rate.n if self.rate else 0, microseconds(self._spacing))
        arguments: list[str | int] = [
            *self._times(),
            *numbers,
            self._store.process,
            microseconds(asked - urgency),
        ]
        try:
            answer = await self._store.run("take", self._keys, arguments)
        except STORE_FAILURES as error:
            self._lost(error)
            return None
        self._trouble, self._retry_s = None, _FIRST_RETRY_S
        grant, pause, why, self._used, self._processes = answer[:5]
        self._service.learn(SharedState.of(answer[5:]))
        now = self._loop.time()
        if not grant:
            self._ask_at = now + pause / 1e6
            if (because := why.decode()) in ("store", "429", "clock", "new rate"):
                self._closure = Closure(self._ask_at, because)
            return None
        given = Grant(asked, id=grant.decode(), probe=bool(answer[11]))
        self._under_way.add(grant.decode())
        if self._closure.until > max(jumps, now):  # the clock has jumped: more places may seem free than are
            self.release(given)
            return None
        return given

    def _times(self) -> tuple[int, int]:
        return microseconds(self._hold), microseconds(LEASE_S)

    def _lost(self, error: BaseException) -> None:
        where = self._store.address
        if isinstance(error, ResponseError):  # it answers, and refuses
            where = f"{where} ({error})"
        since = self._clock() if self._store.down_since is None else self._store.down_since
        self._trouble = Wait(WaitKind.QUOTA_STORE, where, since)
        self._ask_at = self._loop.time() + self._retry_s
        self._retry_s = min(_LONGEST_RETRY_S, 2 * self._retry_s)

    async def confirm(self, grant: Grant) -> bool:
        """Whether it can be sent within its lease: this process may have stood still meanwhile."""
        return self._loop.time() - grant.asked < FRESH_S

    def settle(self, grant: Grant, at: float) -> None:
        """See `Places`."""
        self._send(grant, "settle", max(0.0, at - self._loop.time()))

    def release(self, grant: Grant) -> None:
        """See `Places`."""
        self._send(grant, "release")

    def _send(self, grant: Grant, what: str, delay: float = 0.0) -> None:
        self._under_way.discard(str(grant.id))
        self._store.send("settle", self._keys, [*self._times(), what, str(grant.id), microseconds(delay)])

    def _renew(self) -> None:
        """Renew what is under way; with nothing under way, look at Redis' clock all the same."""
        grants = [part for grant in self._under_way for part in ("renew", grant, 0)]
        self._store.send("settle", self._keys, [*self._times(), *grants])

    def _look(self) -> None:
        self._store.send("view", self._keys, self._times(), self._viewed)

    def _viewed(self, answer: list[Any]) -> None:
        clock, self._used, left, why = answer[:4]
        self._closure = Closure(self._loop.time() + left / 1e6, why.decode() if left else "")
        self._service.learn(SharedState.of([clock, *answer[4:]]))

    def _clock_jumped(self) -> None:
        self.close(self._hold, "clock")

    def close(self, seconds: float, because: str) -> bool:
        """See `Places`; for all processes."""
        self._store.send("close", self._keys, [*self._times(), microseconds(seconds), because])
        return self._closure.extend(self._loop.time(), seconds, because)

    def closed(self, now: float) -> tuple[float, str]:
        """See `Places`."""
        return self._closure.left(now)

    def used(self, now: float) -> int:  # noqa: ARG002 -- as of Places
        """By all processes, when Redis was last asked."""
        return self._used

    def turns(self, now: float) -> Turns:
        """See `Places`. Processes in line are taken to have equally long ones."""
        spacing = self.rate.per / self.rate.n * max(1, self._processes) if self.rate else 0.0
        return Turns(None, max(now, self._ask_at, self._closure.until), spacing=spacing)

    def trouble(self) -> Wait | None:
        """Since when Redis cannot be reached."""
        return self._trouble

    async def end(self) -> None:
        """Let what is under way run out as given up now."""
        for grant in list(self._under_way):
            self._send(Grant(0.0, id=grant), "settle", TRANSIT_S)
