"""The ledger of a quota: its requests of earlier processes, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

ALIVE_EVERY_S: Final = 1.0
"""How often a running process has to note that it runs, for quotas with short windows."""


class PastGrant(Protocol):
    """A request that an earlier process sent; `answered` is None where no answer was noted."""

    @property
    def at(self) -> float:
        """When it was about to be sent."""

    @property
    def answered(self) -> float | None:
        """When its place in the window began to run out."""


class Ledger(Protocol):
    """Where grants are written down. Times are of the clock of the grants, in seconds since the epoch: it
    agrees with the wall clock when a process starts, and does not follow its steps.
    """

    def now(self) -> float:
        """The clock of the grants."""

    async def granted(self, quota: str, at: float) -> int:
        """Note a request that is about to be sent; durable when this returns. Returns the grant's id."""

    def answered(self, quota: str, grant: int, at: float) -> None:
        """Note when a request was answered or given up, 0 if it was never sent; a crash may lose it."""

    def spent(self, quota: str, at: float) -> None:
        """Note a request that was answered or given up, where no grant was noted; a crash may lose it."""

    def settled(self, quota: str, at: float) -> None:
        """Note for all requests without an answer that they were given up then; a crash may lose it."""

    async def grants(self, quota: str, since: float) -> Sequence[PastGrant]:
        """The requests sent or answered since then, oldest first."""

    async def last_alive(self) -> float | None:
        """When an earlier process was last alive, None if there was none or it stopped cleanly."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier processes may have spent. Times are of the clock of the grants."""

    now: float
    """When this was read."""
    grants: Sequence[PastGrant] = ()
    alive: float | None = None
    """When the last process was last known to run, None if it stopped cleanly."""

    @property
    def settled(self) -> float | None:
        """The last moment at which the last process may have sent a request, None if that is unknown."""
        if self.alive is None or all(grant.answered is not None for grant in self.grants):
            return None
        return max(self.alive, *(grant.at for grant in self.grants)) + ALIVE_EVERY_S
