"""The ledger of gates on a worker of a fleet: empty, since the quota store counts the requests."""

import time
from collections.abc import Sequence

from docpipe.gates.ledger import PastGrant


class Nothing:
    """Nothing is paused, and nothing is remembered; see wiring.gates.Remembered."""

    def __init__(self) -> None:
        self.ledger = NoLedger()

    async def pauses(self) -> dict[str, float]:
        """None."""
        return {}


class NoLedger:
    """See ports.GrantLedger: the quota store knows what all processes have sent."""

    def now(self) -> float:
        """The wall clock: nothing is compared with it."""
        return time.time()

    async def granted(self, quota: str, at: float) -> int:  # noqa: ARG002 -- as the real one
        """Nothing is noted."""
        return 0

    def answered(self, quota: str, grant: int, at: float) -> None:
        """Nothing is noted."""

    def spent(self, quota: str, at: float) -> None:
        """Nothing is noted."""

    def settled(self, quota: str, at: float) -> None:
        """Nothing is noted."""

    async def grants(self, quota: str, since: float) -> Sequence[PastGrant]:  # noqa: ARG002 -- as the real one
        """None of this machine's own."""
        return ()

    async def last_alive(self) -> float | None:
        """Not of interest."""
        return None

    def note_alive(self) -> None:
        """Nothing is noted."""

    async def begin_life(self) -> None:
        """Nothing is noted."""

    def end_life(self) -> None:
        """Nothing is noted."""
