"""A forecast: when all will be done, what delays it, and what would change that."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from docpipe.model import Rate
from docpipe.plan.course import Course
from docpipe.plan.parallel import simulated
from docpipe.plan.setup import Setup

Progress = Callable[[str, float], None]
"""Called with what is being simulated, and the part of it that is done."""
_PLAIN: Final = "without the outages"
_PLANNED: Final = "as planned"


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen if something were otherwise."""

    what: str
    means: str
    """Which bottleneck that is about, as hours name it."""
    course: Course


@dataclass(frozen=True, slots=True)
class Forecast:
    """Everything that `plan` prints."""

    setup: Setup
    course: Course
    changes: list[Change]
    undisturbed: Course | None
    """Without the outages that were asked for."""


def forecast(setup: Setup, progress: Progress = lambda _what, _part: None) -> Forecast:
    """Simulate it, and what could be otherwise; side by side what does not depend on each other."""
    courses: dict[str, Course] = {}

    def simulate(wanted: Mapping[str, Setup], what: str) -> None:
        missing = {name: setup for name, setup in wanted.items() if name not in courses}
        results = simulated(list(missing.values()), lambda part: progress(what, part))
        courses.update(zip(missing, results, strict=True))

    plain = replace(setup, outages=())
    placed = all(outage.start is not None for outage in setup.outages)
    simulate({_PLAIN: plain} | ({_PLANNED: setup} if placed and setup.outages else {}), "the plan")
    if not placed:
        setup = _placed(setup, courses[_PLAIN].done_s / 2)
    if not setup.outages:
        courses[_PLANNED] = courses[_PLAIN]
    others: list[tuple[str, str, Setup]] = []
    for _ in range(2):  # the outage itself may make another bottleneck
        known = [courses[name] for name in (_PLAIN, _PLANNED) if name in courses]
        others = _otherwise(setup, known)
        simulate({_PLANNED: setup} | {what: changed for what, _, changed in others}, "what would change it")
    changes = [Change(what, means, courses[what]) for what, means, _ in others]
    return Forecast(setup, courses[_PLANNED], changes, courses[_PLAIN] if setup.outages else None)


def _placed(setup: Setup, middle: float) -> Setup:
    outages = (
        outage if outage.start is not None else replace(outage, start=middle) for outage in setup.outages
    )
    return replace(setup, outages=tuple(outages))


def _otherwise(setup: Setup, courses: Iterable[Course]) -> list[tuple[str, str, Setup]]:
    """Twice of each that holds something up; twice of anything else gives nothing.

    Returns:
        What is changed, which bottleneck that is about, and what to simulate.
    """
    bottlenecks = {hour.bottleneck for course in courses for hour in course.hours}
    return [change for change in _duplicates(setup) if change[1] in bottlenecks]


def _duplicates(setup: Setup) -> Iterator[tuple[str, str, Setup]]:
    config = setup.config
    docex, tracker = config.docex, config.tasktracker
    workers, downloads = 2 * setup.workers, 2 * docex.max_downloads
    yield f"{workers} conversion workers", "conversion", replace(setup, workers=workers)
    if rate := _twice(docex.search_rate):
        yield f"search quota {rate}", "search quota", _docex(setup, search_rate=rate)
    if rate := _twice(docex.status_rate):
        yield f"status quota {rate}", "status quota", _docex(setup, status_rate=rate)
    if rate := _twice(tracker.rate):
        more = replace(config, tasktracker=replace(tracker, rate=rate))
        yield f"tracker quota {rate}", "tracker quota", replace(setup, config=more)
    yield f"{downloads} downloads at the same time", "downloads", _docex(setup, max_downloads=downloads)


def _twice(rate: Rate | None) -> Rate | None:
    return None if rate is None else Rate(2 * rate.n, rate.per)


def _docex(setup: Setup, **changes: Any) -> Setup:
    return replace(setup, config=replace(setup.config, docex=replace(setup.config.docex, **changes)))
