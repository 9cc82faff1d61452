"""The bottleneck of each hour."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from docpipe.plan.setup import Outage, Setup
from docpipe.plan.trace import Job, Trace
from docpipe.wiring.gates import rates

SATURATED: Final = 0.9
"""What is busy for so large a part of an hour holds the others up: latency costs a quota a few percent."""
SEARCHES: Final = "the searches themselves"
_SPANS_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
_FEWEST: Final = 6
_REST: Final = 1 / 3
_NAMES: Final = {
    "tasktracker": "tracker quota",
    "docex.search": "search quota",
    "docex.status": "status quota",
    "downloads": "downloads",
    "conversion": "conversion",
    "disk": "disk",
}
"""What can hold a run up, in the order in which a run first comes there."""
_SERVICES: Final = {
    "tasktracker": "tasktracker",
    "docex.search": "docex",
    "docex.status": "docex",
    "downloads": "docex",
}
_MOST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour, or a shorter time where the whole is short. Seconds from the start."""

    start: float
    seconds: float
    done: int
    """Runs that had ended at its end, of all."""
    used: dict[str, float]
    """What part of each means was used."""
    outages: dict[str, float]
    """Which services were down, and for what part of it."""
    bottleneck: str


def hours(setup: Setup, trace: Trace) -> list[Hour]:
    """The time until all was done, in parts."""
    spent = {name: sorted(trace.requests.get(name, ())) for name in rates(setup.config)}
    ended = sorted(trace.ended)
    listed = []
    for start, end in _parts(trace.done_s):
        used = _used(setup, trace, spent, start, end)
        outages = {
            outage.service: part for outage in setup.outages if (part := _down(outage, start, end)) > 0
        }
        done = bisect.bisect_right(ended, end)
        listed.append(Hour(start, end - start, done, used, outages, _bottleneck(used, outages)))
    return listed


def _parts(seconds: float) -> list[tuple[float, float]]:
    """Parts of an hour, or less where there would be too few; a rest that says little goes with the last."""
    span = max((span for span in _SPANS_S if span * _FEWEST <= seconds), default=_SPANS_S[0])
    number = max(1, int(seconds / span + 1 - _REST))
    return [
        (part * span, seconds if part == number - 1 else (part + 1) * span)
        for part in range(number if seconds > 0 else 0)
    ]


def _down(outage: Outage, start: float, end: float) -> float:
    began = outage.start or 0.0
    return _overlap(began, began + outage.seconds, start, end) / (end - start)


def _used(
    setup: Setup, trace: Trace, spent: Mapping[str, Sequence[float]], start: float, end: float
) -> dict[str, float]:
    used = {}
    for name, rate in rates(setup.config).items():
        if rate is not None:
            number = bisect.bisect_left(spent[name], end) - bisect.bisect_left(spent[name], start)
            used[name] = number / (rate.n * (end - start) / rate.per)
    for name, jobs, places in (
        ("downloads", trace.downloads, setup.config.docex.max_downloads),
        ("conversion", trace.conversions, setup.workers),
        ("disk", trace.writes, setup.threads),
    ):
        used[name] = _busy(jobs, start, end) / (places * (end - start))
    return {name: used[name] for name in _NAMES if name in used}


def _busy(jobs: Iterable[Job], start: float, end: float) -> float:
    return sum(_overlap(began, over, start, end) for _, began, over in jobs)


def _overlap(start: float, end: float, other_start: float, other_end: float) -> float:
    return max(0.0, min(end, other_end) - max(start, other_start))


def _bottleneck(used: dict[str, float], outages: dict[str, float]) -> str:
    """The last of those that are busy all the time: what comes before it delivers as fast as it can take.

    What belongs to a service is busy all the time if it is for as long as the service is up. Where none is,
    everybody waits for the exchange to find something.
    """
    worst = max(outages, key=lambda name: outages[name], default="")
    if worst and outages[worst] >= _MOST:
        return f"outage of {worst}"
    up = {name: 1 - outages.get(_SERVICES.get(name, ""), 0.0) for name in used}
    busy = [name for name, part in used.items() if part >= SATURATED * up[name]]
    if busy:
        return _NAMES[busy[-1]]
    return f"outage of {worst}" if worst and outages[worst] > 1 - SATURATED else SEARCHES
