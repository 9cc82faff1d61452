"""What a quota remembers across restarts, and what it makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

ALIVE_EVERY_S: Final = 1.0
"""How often a running process has to note that it lives, for quotas with short windows."""


class PastGrant(Protocol):
    """A request that an earlier process sent; `answered` is None where no answer was noted."""

    @property
    def at(self) -> float:
        """When it was about to be sent."""

    @property
    def answered(self) -> float | None:
        """When its place in the window began to run out."""


class Ledger(Protocol):
    """Where grants are written down. Times are of the wall clock, in seconds since the epoch."""

    async def granted(self, quota: str, at: float) -> int:
        """Note a request that is about to be sent; durable when this returns. Returns the grant's id."""

    def answered(self, quota: str, grant: int, at: float) -> None:
        """Note when a request was answered or given up, 0 if it was never sent; a crash may lose it."""

    async def grants(self, quota: str, since: float) -> Sequence[PastGrant]:
        """The requests sent or answered since then, oldest first."""

    async def last_alive(self) -> float | None:
        """When an earlier process was last alive, None if there was none."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier processes may have spent. Times are of the wall clock."""

    grants: Sequence[PastGrant] = ()
    alive: float | None = None
    """When the last one was last known to live."""
