"""A service whose outages all processes share: Redis counts failures, and lets one process probe."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from docpipe.gates.barrier import WaitingLine
from docpipe.gates.health import Health, Turn
from docpipe.gates.places import Grant
from docpipe.gates.service import Call, Failure, Outage, Service
from docpipe.gates.shared.store import LEASE_S, Keys, QuotaStore, microseconds
from docpipe.model import Clock

_SPREAD: Final = (0.75, 1.0)


class SharedState(NamedTuple):
    """The health of a service as Redis has it. Times are of its clock, in seconds since the epoch."""

    clock: float
    since: float
    """When it went down, 0 while it is up."""
    probe_at: float
    probes: int
    row: int
    """Failures in a row while it is up."""
    reason: str

    @classmethod
    def of(cls, answer: list[Any]) -> "SharedState":
        """From the answer of a script: these members in this order."""
        clock, since, probe_at, probes, row, reason = answer[:6]
        times = [int(value) / 1e6 for value in (clock, since, probe_at)]
        return cls(times[0], times[1], times[2], int(probes), int(row), reason.decode(errors="replace"))


@dataclass(slots=True)
class SharedHealth(Health):
    """What this process knows of the health that Redis keeps."""

    since: float = field(default=0.0, repr=False)
    """By Redis' clock."""

    def take_over(self, state: SharedState, now: float) -> Turn | None:
        """Use what Redis has answered at `now`, of the loop's clock; returns what has changed."""
        before = (self.up, self.since, self.probes)
        self.in_a_row, self.since = state.row, state.since
        if not state.since:
            self.down_since = None
            return None if before[0] else Turn.UP
        self.down_since = now - (state.clock - state.since)
        self.probe_at = now + state.probe_at - state.clock
        self.reason, self.probes = state.reason, state.probes
        if before[:2] != (False, state.since):
            return Turn.DOWN
        return Turn.STILL_DOWN if before[2] != state.probes else None


class SharedService(Service):
    """See `Service`. Redis decides which caller probes: its grant says so.

    Args:
        name: such as `docex`.
        clock: the wall clock, for views and waits.
        rng: spreads probes and retries.
        store: the connection to Redis.
        quota: one of the service's quotas, beside which its health stands.
        listener: called at every turn, after the state has changed.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        rng: random.Random,
        store: QuotaStore,
        quota: str,
        listener: Callable[[str, Turn, Outage], None] | None = None,
    ) -> None:
        self._shared = SharedHealth(rng)
        super().__init__(name, clock=clock, rng=rng, health=self._shared, listener=listener)
        self._store = store
        self._keys = Keys.of(store.prefix, quota, name)
        self._probe = ""
        self._failures_noted = False
        store.beats.append(self._refresh)

    def learn(self, state: SharedState) -> None:
        """Use what Redis has answered."""
        since = self._since()
        if (turn := self._shared.take_over(state, self._loop.time())) is not None:
            self._turned(turn, since if turn is Turn.UP else self._since())

    def obstacle(self, line: WaitingLine, now: float) -> float:  # noqa: ARG002 -- as of Service
        """A pause; an outage is for `RedisPlaces` to wait out."""
        return math.inf if self._pauses else 0.0

    def admitted(self) -> None:
        """Do nothing: the grant itself says whether it is for the probe."""

    def withdrawn(self) -> None:
        """Do nothing: no line of this process waits for another."""

    def admit(self, call: Call, grant: Grant | None = None) -> bool:
        """See `Service`."""
        if self._pauses:
            return False
        if grant is not None and grant.probe:
            self._prober, self._probe = call, str(grant.id)
            return True
        return self._health.up

    def responding(self) -> None:
        """See `Service`. Where no failure is noted there is nothing to take back."""
        if self._failures_noted or self._health.in_a_row or not self._health.up:
            self._report("answered")
        self._failures_noted, self._prober, self._probe = False, None, ""

    def failed(self, call: Call, failure: Failure) -> None:
        """See `Service`."""
        counts, probe = self._weigh(call, failure), self._probe_of(call)
        if counts or probe:
            self._failures_noted = True
            self._report("failed", probe, failure.sentence, failure.retry_after)

    def abandoned(self, call: Call) -> None:
        """See `Service`."""
        if probe := self._probe_of(call):
            self._report("abandoned", probe)

    def _probe_of(self, call: Call) -> str:
        """The grant under which the call was the probe, which it is no more; empty if it was none."""
        if call is not self._prober:
            return ""
        probe, self._prober, self._probe = self._probe, None, ""
        return probe

    def _refresh(self) -> None:
        """While it is down, keep the view of it fresh: no caller may be asking."""
        if not self._health.up:
            self._report("view")

    def _report(self, what: str, probe: str = "", reason: str = "", retry_after: float = 0.0) -> None:
        health = self._shared
        self._store.send(
            "health",
            self._keys,
            [
                *(0, microseconds(LEASE_S)),
                *(what, probe, reason, microseconds(retry_after), health.trip_after),
                *(microseconds(health.first), microseconds(health.longest), str(self.rng.uniform(*_SPREAD))),
            ],
            lambda answer: self.learn(SharedState.of(answer)),
        )
