"""A forecast: when all will be done, what holds it up, and what would change that."""

import multiprocessing
import os
import statistics
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from docpipe.config import Config
from docpipe.model import Rate
from docpipe.plan.hours import Hour, hours
from docpipe.plan.setup import Setup
from docpipe.plan.simulate import Progress, simulate
from docpipe.plan.trace import Trace

_ALONE: Final = 500
"""So few patients are simulated faster than a process is started."""


@dataclass(frozen=True, slots=True)
class Course:
    """How it would go."""

    done_s: float
    """When the last run has ended, in seconds from the start."""
    hours: list[Hour]
    failed: int
    late_s: float
    """How late docpipe finds out that a search is ready, on average."""
    polls: float
    """Questions a search."""
    spool_b: int
    """The most that lies in the spool."""
    stored_b: int
    """What comes out of the archives."""
    ended: list[float]
    """When each run ended, in order."""


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen if something were otherwise."""

    what: str
    course: Course


@dataclass(frozen=True, slots=True)
class Forecast:
    """All that `plan` tells."""

    setup: Setup
    course: Course
    changes: list[Change]
    undisturbed: Course | None
    """Without the outages that were asked for."""


def forecast(setup: Setup, progress: Progress = lambda _: None) -> Forecast:
    """Simulate it, and what could be otherwise.

    Args:
        setup: what it depends on.
        progress: told how far the first simulation is, from 0 to 1.
    """
    undisturbed = _course(plain := replace(setup, outages=()), simulate(plain, progress))
    outages = (
        outage if outage.start is not None else replace(outage, start=undisturbed.done_s / 2)
        for outage in setup.outages
    )
    setup = replace(setup, outages=tuple(outages))
    course = _one(setup) if setup.outages else undisturbed
    others = dict(_otherwise(setup, {hour.bottleneck for hour in (*undisturbed.hours, *course.hours)}))
    courses = zip(others, _simulated(list(others.values())), strict=True)
    changes = [Change(what, found) for what, found in courses]
    return Forecast(setup, course, changes, undisturbed if setup.outages else None)


def _simulated(setups: list[Setup]) -> list[Course]:
    """In processes of their own, side by side."""
    if not setups or setups[0].patients < _ALONE:
        return [_one(setup) for setup in setups]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(setups), os.cpu_count() or 1), context) as pool:
        return list(pool.map(_one, setups))


def _one(setup: Setup) -> Course:
    return _course(setup, simulate(setup))


def _course(setup: Setup, trace: Trace) -> Course:
    late = [noticed - ready for noticed, ready in zip(trace.noticed, trace.ready, strict=True)]
    asked = len(trace.requests.get("docex.status", ()))
    return Course(
        done_s=trace.done_s,
        hours=hours(setup, trace),
        failed=trace.failed,
        late_s=statistics.fmean(late) if late else 0.0,
        polls=asked / len(late) if late else 0.0,
        spool_b=_most(trace.spool),
        stored_b=trace.stored_b,
        ended=sorted(trace.ended),
    )


def _most(changes: Iterable[tuple[float, int]]) -> int:
    most = now = 0
    for _, size in sorted(changes):
        now += size
        most = max(most, now)
    return most


def _otherwise(setup: Setup, bottlenecks: set[str]) -> Iterable[tuple[str, Setup]]:
    """Twice of each that holds something up; twice of anything else gives nothing."""
    config = setup.config
    if "conversion" in bottlenecks:
        yield f"{2 * setup.workers} conversion workers", replace(setup, workers=2 * setup.workers)
    if "search quota" in bottlenecks and (rate := _twice(config.docex.search_rate)):
        changed = _docex(config, search_rate=rate)
        yield f"search quota {rate}", replace(setup, config=changed)
    if "status quota" in bottlenecks and (rate := _twice(config.docex.status_rate)):
        yield f"status quota {rate}", replace(setup, config=_docex(config, status_rate=rate))
    if "tracker quota" in bottlenecks and (rate := _twice(config.tasktracker.rate)):
        changed = replace(config, tasktracker=replace(config.tasktracker, rate=rate))
        yield f"tracker quota {rate}", replace(setup, config=changed)
    if "downloads" in bottlenecks:
        number = 2 * config.docex.max_downloads
        yield (
            f"{number} downloads at the same time",
            replace(setup, config=_docex(config, max_downloads=number)),
        )


def _twice(rate: Rate | None) -> Rate | None:
    return None if rate is None else Rate(2 * rate.n, rate.per)


def _docex(config: Config, **changes: Any) -> Config:
    return replace(config, docex=replace(config.docex, **changes))
