"""The pace of runs, their bottleneck, and the expected end of all."""

from collections import Counter, deque
from typing import Final

from docpipe.api import shapes
from docpipe.checkpoints.listing import Hour, Listing
from docpipe.engine.engine import Engine
from docpipe.engine.run import Change, current_waits
from docpipe.engine.throughput import HOUR_S, Throughput
from docpipe.gates import Quota
from docpipe.model import Activity, RunState, WaitKind

_LOOK_BACK_S: Final = 900.0
_ENOUGH: Final = 5
"""At least this many runs have to end within `_LOOK_BACK_S` before their pace is used."""
_HELD_UP: Final = (WaitKind.OUTAGE, WaitKind.PAUSE, WaitKind.DISK, WaitKind.LOCAL, WaitKind.QUOTA_STORE)
_NO_BOTTLENECK: Final = (WaitKind.POLL, WaitKind.RETRY)
_NAMES: Final = {
    WaitKind.DOWNLOAD: "downloads",
    WaitKind.CONVERSION: "workers",
    WaitKind.DISK: "disk",
    WaitKind.LOCAL: "machine",
    WaitKind.QUOTA_STORE: "quota store",
    WaitKind.PAUSE: "pause",
}


class Pace:
    """How fast runs end; a listener of the engine."""

    def __init__(self, engine: Engine, listing: Listing, searches: Quota) -> None:
        self._engine = engine
        self._listing = listing
        self._searches = searches
        self._clock = engine.clock
        self._began = self._clock()
        self._ended: deque[float] = deque(maxlen=1000)
        self._searched: dict[str, float] = {}
        self._after_search: deque[float] = deque(maxlen=100)
        self._throughput = Throughput(listing)

    def changed(self, change: Change) -> None:
        """A run made progress."""
        if change.activity is Activity.SEARCH and change.outcome is not None:
            self._searched[change.run_id] = self._clock()
        elif change.activity is None:
            now = self._clock()
            self._ended.append(now)
            if (searched := self._searched.pop(change.run_id, None)) is not None:
                self._after_search.append(now - searched)

    async def summary(self) -> shapes.Summary:
        """Counts, throughput, and when all should be done."""
        now = self._clock()
        counts = await self._listing.counts()
        hours = await self._throughput.hours(now)
        unfinished = sum(number for state, number in counts.items() if not state.finished)
        to_go = self.to_go(unfinished)
        return shapes.Summary(
            counts={state.value: counts.get(state, 0) for state in RunState},
            throughput=by_hour(hours, now),
            expected_end=None if to_go is None else shapes.moment(now + to_go),
            bottleneck=self._bottleneck()[1],
        )

    def to_go(self, unfinished: int) -> float | None:
        """Seconds until this many runs should be done; None where that is unknown, as in an outage."""
        kind, _ = self._bottleneck()
        if kind in _HELD_UP or not unfinished:
            return None
        now = self._clock()
        end = self._end(unfinished, kind, now)
        return None if end is None else end - now

    def _bottleneck(self) -> tuple[WaitKind | None, str | None]:
        """What most runs wait for."""
        engine = self._engine
        if engine.paused_since is not None:
            return WaitKind.PAUSE, "pause"
        waits = Counter((wait.kind, wait.what) for _, wait in current_waits(engine.runs.values()))
        if engine.waiting:  # runs that have not begun wait for an admission
            before = [wait for wait in waits if wait[1] == "docex.search" or wait[0] in _HELD_UP]
            waits[max(before, key=waits.__getitem__, default=(WaitKind.QUOTA, "docex.search"))] += (
                engine.waiting
            )
        for kind in _NO_BOTTLENECK:
            waits = Counter({wait: number for wait, number in waits.items() if wait[0] is not kind})
        if not waits:
            return None, None
        kind, what = max(waits, key=waits.__getitem__)
        return kind, _NAMES.get(kind, what)

    def _end(self, unfinished: int, kind: WaitKind | None, now: float) -> float | None:
        """When all is done at the pace of the searches, or else of the last quarter of an hour."""
        rate = self._searches.rate
        if kind is WaitKind.QUOTA and rate is not None:
            engine = self._engine
            before = sum(1 for run in engine.runs.values() if not run.results(Activity.SEARCH))
            left = max(0.0, self._searches.expected(engine.waiting + before) - now)
            rest = sum(self._after_search) / len(self._after_search) if self._after_search else 0.0
            return now + left + rest
        since = max(self._began, now - _LOOK_BACK_S)
        lately = sum(1 for when in self._ended if when >= since)
        if lately < _ENOUGH:
            return None
        return now + unfinished * (now - since) / lately


def by_hour(hours: list[Hour], now: float) -> list[shapes.Hour]:
    """Each of the last 24 hours, the present one included."""
    by_start = {hour.start: hour for hour in hours}
    last = now // HOUR_S * HOUR_S
    hours_view = []
    for number in range(23, -1, -1):
        start = last - number * HOUR_S
        hour = by_start.get(start)
        hours_view.append(
            shapes.Hour(
                hour=shapes.moment(start),
                finished=hour.runs if hour else 0,
                documents=hour.documents if hour else 0,
            )
        )
    return hours_view
