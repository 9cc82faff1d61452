"""Throughput of the last 24 hours: read in full once an hour, and otherwise only what is new."""

import asyncio
from typing import Final

from docpipe.checkpoints.listing import Hour, Listing

DAY_S: Final = 24 * 3600.0
HOUR_S: Final = 3600.0
_SETTLED_S: Final = 10.0
"""An end is written at the latest so long after its time, but for a full disk; then the next hour has it."""


class Throughput:
    """Totals by the hour, cheap enough to request every few seconds among many runs."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._hours: dict[float, Hour] = {}
        """Of the runs that ended before `_until`, by the begin of the hour."""
        self._until: float | None = None
        self._reading = asyncio.Lock()

    async def hours(self, now: float) -> list[Hour]:
        """The hours of the last 24 in which runs ended; `now` is by the wall clock."""
        async with self._reading:
            settled = now - _SETTLED_S
            if self._until is None or settled // HOUR_S != self._until // HOUR_S:
                self._hours, self._until = {}, now - DAY_S
            if settled > self._until:
                _add(self._hours, await self._listing.ended(self._until, settled))
                self._until = settled
            hours = dict(self._hours)
            _add(hours, await self._listing.ended(self._until))
        return [hours[start] for start in sorted(hours)]


def _add(hours: dict[float, Hour], more: list[Hour]) -> None:
    for hour in more:
        known = hours.get(hour.start, Hour(hour.start, 0, 0))
        hours[hour.start] = Hour(hour.start, known.runs + hour.runs, known.documents + hour.documents)
