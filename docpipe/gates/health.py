"""The health of a service, as a state machine without clock and waits: times are passed in."""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_JITTER: Final = 0.25  # an interval between probes is shortened by up to this part, never lengthened


class Turn(StrEnum):
    """What changed in the health of a service."""

    DOWN = "down"  # only one probe is sent from now on
    STILL_DOWN = "still_down"  # a probe failed
    UP = "up"  # it has answered again


@dataclass(slots=True)
class Health:
    """Up until `trip_after` failures in a row; then down until it answers. Times are of any one clock.

    Args:
        rng: spreads the probes.
        trip_after: this many failures in a row, with no answer in between, close the gate.
        first: seconds until the first probe; each failed probe doubles them.
        longest: seconds between probes at most.
    """

    rng: random.Random
    trip_after: int = 3
    first: float = 5.0
    longest: float = 60.0
    in_a_row: int = 0
    reason: str = ""
    down_since: float | None = None
    probe_at: float = 0.0
    probes: int = 0
    _interval: float = field(default=0.0, repr=False)

    @property
    def up(self) -> bool:
        """Whether all callers may be sent."""
        return self.down_since is None

    def failed(self, now: float, reason: str, retry_after: float = 0.0) -> Turn | None:
        """A request failed, and not for a reason of its own."""
        if not self.up:
            return None  # sent before it went down
        self.reason = reason
        self.in_a_row += 1
        if self.in_a_row < self.trip_after:
            return None
        self.down_since, self.probes, self._interval = now, 0, self.first
        self.probe_at = now + max(self._spread(), retry_after)
        return Turn.DOWN

    def probe_failed(self, sent: float, now: float, reason: str, retry_after: float = 0.0) -> Turn:
        """The probe that was sent at `sent` failed now.

        The next one is counted from when this was sent, so that probes that time out do not delay it.
        """
        self.reason = reason
        self.probes += 1
        self._interval = min(self.longest, self._interval * 2)
        self.probe_at = max(sent + self._spread(), now + self.first * (1 - _JITTER), now + retry_after)
        return Turn.STILL_DOWN

    def _spread(self) -> float:
        return self._interval * self.rng.uniform(1 - _JITTER, 1)

    def answered(self) -> Turn | None:
        """The service answered any request."""
        self.in_a_row = 0
        if self.up:
            return None
        self.down_since = None
        return Turn.UP
