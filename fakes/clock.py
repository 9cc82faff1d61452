"""Time as the servers tell it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """The loop's clock, and the wall clock derived from it (so that virtual time moves both)."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self.time = asyncio.get_running_loop().time
        self.start = self.time()
        self._wall = wall_clock() - self.start

    def epoch(self, moment: float | None = None) -> float:
        """Seconds since 1970, of a moment of the loop's clock or of now."""
        return (self.time() if moment is None else moment) + self._wall

    def moment(self, epoch: float) -> float:
        """The loop's time of seconds since 1970."""
        return epoch - self._wall

    def skip(self, seconds: float) -> None:
        """Set the wall clock ahead: searches end, links and keys expire. Quotas and faults do not notice."""
        self._wall += seconds


def http_date(epoch: float) -> str:
    """An HTTP date (RFC 9110, 5.6.7)."""
    return formatdate(epoch, usegmt=True)


def iso_date(epoch: float) -> str:
    """An RFC 3339 date and time in UTC."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
