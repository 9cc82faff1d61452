"""When the rounds of a schedule start, and how long each lasts. Times are seconds since the epoch.

A span of time such as `7d` is one of physical time: its rounds follow one another without a gap, from the
epoch on. A cron expression is read in its time zone as Debian's cron does: what would start in the hour that
summer time skips starts right after it, and what would start twice in the hour that is repeated starts once.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim

from docpipe.config.schedule import Schedule, period_of


@dataclass(frozen=True, slots=True)
class Round:
    """The time within which all patients of a schedule begin once."""

    start: float
    length: float


class Rounds(Protocol):
    """The rounds of a schedule, which do not overlap."""

    def latest(self, moment: float) -> list[Round]:
        """The last two rounds that have started by then, the later one last."""

    def following(self, moment: float) -> Round | None:
        """The first round that starts after then, None if there is none in the next decades."""


@dataclass(frozen=True, slots=True)
class Period:
    """Rounds of a fixed length, in seconds."""

    length: float

    def latest(self, moment: float) -> list[Round]:
        """See Rounds."""
        number = math.floor(moment / self.length)
        return [Round((number - back) * self.length, self.length) for back in (1, 0)]

    def following(self, moment: float) -> Round:
        """See Rounds."""
        return Round((math.floor(moment / self.length) + 1) * self.length, self.length)


@dataclass(frozen=True, slots=True)
class Cron:
    """Rounds that start at the times of a cron expression.

    Args:
        expression: five fields.
        zone: in which it is read.
        spread: how long a round lasts, unless the next one starts before.
    """

    expression: str
    zone: ZoneInfo
    spread: float

    def latest(self, moment: float) -> list[Round]:
        """See Rounds."""
        # Whole seconds, one later: what starts now has started.
        times = self._times(math.floor(moment) + 1, reverse=True)
        starts = [start for start in (next(times, None), next(times, None)) if start is not None]
        return [self._round(start) for start in reversed(starts)]

    def following(self, moment: float) -> Round | None:
        """See Rounds."""
        start = self._next(moment)
        return None if start is None else self._round(start)

    def _round(self, start: float) -> Round:
        following = self._next(start)
        return Round(start, self.spread if following is None else min(self.spread, following - start))

    def _next(self, moment: float) -> float | None:
        times = self._times(math.floor(moment), reverse=False)
        return next((start for start in times if start > moment), None)

    def _times(self, moment: float, *, reverse: bool) -> "_Times":
        began = datetime.fromtimestamp(moment, UTC).astimezone(self.zone)
        return _Times(CronSim(self.expression, began, reverse=reverse), reverse=reverse)


class _Times:
    """The times of a cron expression, each once and in order: around a change of the clock one may recur."""

    def __init__(self, times: CronSim, *, reverse: bool) -> None:
        self._times = times
        self._reverse = reverse
        self._last: float | None = None

    def __iter__(self) -> "_Times":
        return self

    def __next__(self) -> float:
        while True:
            moment = next(self._times).timestamp()
            last = self._last
            if last is None or (moment < last if self._reverse else moment > last):
                self._last = moment
                return moment


def rounds_of(schedule: Schedule) -> Rounds:
    """The rounds of a schedule."""
    period = period_of(schedule.every)
    if period is not None:
        return Period(period)
    return Cron(schedule.every, ZoneInfo(schedule.zone), schedule.spread)
