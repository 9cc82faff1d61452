"""How services, quotas, workers and disks stand, what has been done, and when all of it should be done."""

import asyncio
import shutil
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from docpipe.app import Docpipe
from docpipe.checkpoints.listing import Hour
from docpipe.engine.run import Change
from docpipe.gates import Outage, Quota, Service
from docpipe.model import Activity, Json, RunState, WaitKind
from docpipe.web.views import current_waits, iso

_DAY_S: Final = 24 * 3600.0
_HOUR_S: Final = 3600.0
_FRESH_S: Final = 60.0
_OUTAGES: Final = 50
_LOOK_BACK_S: Final = 900.0
_ENOUGH: Final = 5
"""So many runs have to have ended lately before their pace says anything."""
_HELD_UP: Final = (WaitKind.OUTAGE, WaitKind.PAUSE, WaitKind.DISK)
_NO_BOTTLENECK: Final = (WaitKind.POLL, WaitKind.RETRY)
_NAMES: Final = {
    WaitKind.DOWNLOAD: "downloads",
    WaitKind.CONVERSION: "workers",
    WaitKind.DISK: "disk",
    WaitKind.PAUSE: "pause",
}


def services_view(docpipe: Docpipe) -> dict[str, Json]:
    """Everything but the disks."""
    workers = docpipe.workers.snapshot()
    return {
        "paused": iso(docpipe.engine.paused_since),
        "services": [_service(service, docpipe.quotas) for service in docpipe.services.values()],
        "workers": {"size": workers.size, "busy": workers.busy, "waiting": workers.waiting},
        "checkpoints": {"full_since": iso(docpipe.checkpoints.full_since)},
    }


def _service(service: Service, quotas: Mapping[str, Quota]) -> dict[str, Json]:
    view = service.view()
    outage = view.outage
    state = "paused" if view.paused_since is not None else "up" if view.up else "down"
    past = [*view.past, outage] if outage else list(view.past)
    return {
        "name": view.name,
        "state": state,
        "since": iso(view.paused_since if state == "paused" else outage.since if outage else None),
        "failures": outage.probes if outage else 0,
        "next_probe": iso(outage.next_probe) if outage and state == "down" else None,
        "paused": iso(view.paused_since),
        "quotas": [_quota(quota) for name, quota in quotas.items() if name.split(".")[0] == view.name],
        "outages": [_outage(outage) for outage in past[-_OUTAGES:]],
    }


def _quota(quota: Quota) -> dict[str, Json]:
    view = quota.view()
    return {
        "name": view.name,
        "rate": str(view.rate) if view.rate else None,
        "used": view.used,
        "of": view.rate.n if view.rate else None,
        "waiting": view.waiting,
        "next_at": iso(view.closed_until),
    }


def _outage(outage: Outage) -> dict[str, Json]:
    return {"since": iso(outage.since), "until": iso(outage.until), "reason": outage.reason}


async def disks_view(docpipe: Docpipe) -> dict[str, Json]:
    """Free bytes."""
    state, storage = docpipe.config.state_dir, docpipe.storage.folder
    return {
        "state_free_bytes": await asyncio.to_thread(_free, state),
        "storage_free_bytes": await asyncio.to_thread(_free, storage) if storage else None,
    }


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


class Pace:
    """How fast runs end; a listener of the engine."""

    def __init__(self, docpipe: Docpipe) -> None:
        self._docpipe = docpipe
        self._clock = docpipe.engine.clock
        self._began = self._clock()
        self._ended: deque[float] = deque(maxlen=1000)
        self._searched: dict[str, float] = {}
        self._after_search: deque[float] = deque(maxlen=100)
        self._past: tuple[float, float, list[Hour]] | None = None
        """The hours that are over, when they were looked at, and in which hour that was."""

    def changed(self, change: Change) -> None:
        """A run went on."""
        if change.activity is Activity.SEARCH and change.outcome is not None:
            self._searched[change.run_id] = self._clock()
        elif change.activity is None:
            now = self._clock()
            self._ended.append(now)
            if (searched := self._searched.pop(change.run_id, None)) is not None:
                self._after_search.append(now - searched)

    async def summary(self) -> dict[str, Json]:
        """Counts, throughput, and when all should be done."""
        listing, now = self._docpipe.checkpoints.listing, self._clock()
        counts = await listing.counts()
        hours = await self._hours(now)
        unfinished = sum(number for state, number in counts.items() if not state.finished)
        to_go = self.to_go(unfinished)
        return {
            "counts": {state.value: counts.get(state, 0) for state in RunState},
            "throughput": _by_hour(hours, now),
            "expected_end": None if to_go is None else iso(now + to_go),
            "bottleneck": self._bottleneck()[1],
        }

    def to_go(self, unfinished: int) -> float | None:
        """Seconds until so many runs should be done; None where that cannot be told, as in an outage."""
        kind, _ = self._bottleneck()
        if kind in _HELD_UP or not unfinished:
            return None
        now = self._clock()
        end = self._end(unfinished, kind, now)
        return None if end is None else end - now

    async def _hours(self, now: float) -> list[Hour]:
        """What ended in the last 24 hours; those that are over are looked at once a minute."""
        listing, this_hour = self._docpipe.checkpoints.listing, now // _HOUR_S * _HOUR_S
        if self._past is None or now >= self._past[0] + _FRESH_S or this_hour != self._past[1]:
            hours = await listing.ended_since(now - _DAY_S)
            self._past = now, this_hour, [hour for hour in hours if hour.start < this_hour]
            return hours
        return self._past[2] + await listing.ended_since(this_hour)

    def _bottleneck(self) -> tuple[WaitKind | None, str | None]:
        """What most runs wait for."""
        engine = self._docpipe.engine
        if engine.paused_since is not None:
            return WaitKind.PAUSE, "pause"
        waits = Counter((wait.kind, wait.what) for _, wait in current_waits(engine))
        if engine.waiting:  # whoever has not begun waits for the places before the search
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
        rate = self._docpipe.quotas["docex.search"].rate
        if kind is WaitKind.QUOTA and rate is not None:
            engine = self._docpipe.engine
            before = sum(1 for run in engine.runs.values() if not run.results(Activity.SEARCH))
            left = (engine.waiting + before) * rate.per / rate.n
            rest = sum(self._after_search) / len(self._after_search) if self._after_search else 0.0
            return now + left + rest
        since = max(self._began, now - _LOOK_BACK_S)
        lately = sum(1 for when in self._ended if when >= since)
        if lately < _ENOUGH:
            return None
        return now + unfinished * (now - since) / lately


def _by_hour(hours: list[Hour], now: float) -> list[dict[str, Json]]:
    """Each of the last 24 hours, the present one included."""
    found = {hour.start: hour for hour in hours}
    last = now // _HOUR_S * _HOUR_S
    told = []
    for number in range(23, -1, -1):
        start = last - number * _HOUR_S
        hour = found.get(start)
        told.append(
            {
                "hour": iso(start),
                "finished": hour.runs if hour else 0,
                "documents": hour.documents if hour else 0,
            }
        )
    return told
