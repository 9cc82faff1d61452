"""`docpipe plan`: what would happen, told before it does."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from docpipe.cli.words import say, told_span
from docpipe.config import Config, load
from docpipe.errors import UsageError
from docpipe.model import Json
from docpipe.plan.assume import Assumption, Given, Ground, ground
from docpipe.plan.forecast import Course, Forecast, forecast
from docpipe.plan.hours import Hour
from docpipe.plan.picture import drawn
from docpipe.plan.setup import Outage

_WIDTH: Final = 40
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def plan(args: argparse.Namespace) -> int:
    """Forecast; returns the exit status."""
    config = load(args.config, services=False)
    found = ground(config, _given(args), time.time)
    told = forecast(found.setup, _progress())
    if args.svg is not None:
        _write(args.svg, drawn(told))
    if args.json:
        say(json.dumps(_as_json(found, told)))
        return 0
    for line in _lines(found, told, config):
        say(line)
    if args.svg is not None:
        say(f"\nDrawn in {args.svg}.")
    return 0


def _given(args: argparse.Namespace) -> Given:
    names = {"docex.search": "search_rate", "docex.status": "status_rate", "tasktracker": "tracker_rate"}
    rates = {name: given[0] for name, key in names.items() if (given := getattr(args, key)) is not None}
    return Given(
        patients=args.patients,
        search_s=args.search_time,
        documents=args.documents,
        convert_s=args.convert_time,
        archive_b=args.archive_size,
        bandwidth=args.bandwidth,
        latency_s=args.latency,
        workers=args.workers,
        downloads=args.downloads,
        rates=rates,
        outages=tuple(Outage(*outage) for outage in args.outage),
        seed=args.seed,
    )


def _progress() -> Callable[[float], None]:
    """Shows on a terminal how far it is."""
    if not sys.stderr.isatty():
        return lambda _: None
    shown = -1

    def show(part: float) -> None:
        nonlocal shown
        if (percent := int(100 * part)) != shown:
            shown = percent
            end = "\r" if percent < 100 else "\r\x1b[K"  # noqa: PLR2004 -- all of it
            print(f"simulating: {percent} %", end=end, file=sys.stderr, flush=True)

    return show


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def _lines(found: Ground, told: Forecast, config: Config) -> Iterator[str]:
    course, before = told.course, found.setup.before
    ends = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + course.done_s))
    yield (
        f"{found.setup.patients} patients take {told_span(course.done_s)}: begun now, all is done at {ends}."
    )
    if unfinished := before.queued + len(before.searched):
        yield f"{unfinished} unfinished runs of the state folder come before them, and are counted in."
    if told.undisturbed is not None:
        for outage in told.setup.outages:
            since = told_span(outage.start or 0.0)
            yield f"{outage.service} is down for {told_span(outage.seconds)} from {since} on."
        yield f"Without that it takes {told_span(told.undisturbed.done_s)}."
    if course.failed:
        yield f"{course.failed} runs fail."
    yield ""
    yield from _table(course, len(course.ended))
    yield ""
    yield from _changes(told)
    yield (
        f"A search is found ready {course.late_s:.1f} s late on average, after {course.polls:.1f} questions. "
        f"The spool holds at most {_size(course.spool_b)}, the originals to store {_size(course.stored_b)}."
    )
    yield ""
    yield from _assumed(found.assumptions, found.runs, config)


def _table(course: Course, total: int) -> Iterator[str]:
    columns = list(course.hours[0].used) if course.hours else []
    full = "█" if sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    yield "  ".join(
        ["from".rjust(9), "done".rjust(7), *(name.rjust(len(name)) for name in columns), "held up by"]
    )
    for hour in course.hours:
        used = (f"{hour.used[name]:.0%}".rjust(len(name)) for name in columns)
        bar = full * round(_WIDTH * hour.done / total) if total else ""
        yield "  ".join(
            [_clock(hour.start).rjust(9), str(hour.done).rjust(7), *used, f"{hour.bottleneck:<22}", bar]
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _changes(told: Forecast) -> Iterator[str]:
    for change in told.changes:
        gain = told.course.done_s - change.course.done_s
        yield f"With {change.what}: {told_span(change.course.done_s)}, {told_span(gain)} less."
    if not told.changes:
        yield "Neither more workers nor higher quotas would make it faster: nothing is busy all the time."
    elif not any(change.what.endswith("workers") for change in told.changes):
        busy = sum(hour.used["conversion"] * hour.seconds for hour in told.course.hours)
        part = busy / told.course.done_s if told.course.done_s else 0.0
        yield f"More conversion workers give nothing: they are {part:.0%} busy, and hold nothing up."


def _assumed(assumptions: tuple[Assumption, ...], runs: int, config: Config) -> Iterator[str]:
    where = f"{runs} finished runs in {config.state_dir}" if runs else "no finished runs to learn from"
    yield f"Taken for granted ({where}):"
    for item in assumptions:
        yield f"  {item.what:<28}{item.value}  ({item.source})"


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 -- the next unit
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _as_json(found: Ground, told: Forecast) -> Json:
    now = time.time()
    return {
        "patients": found.setup.patients,
        "unfinished": found.setup.before.queued + len(found.setup.before.searched),
        "done_s": told.course.done_s,
        "done_at": now + told.course.done_s,
        **_course_json(told.course),
        "hours": [_hour_json(hour) for hour in told.course.hours],
        "changes": [
            {"what": change.what, "done_s": change.course.done_s, **_course_json(change.course)}
            for change in told.changes
        ],
        "outages": [
            {"service": outage.service, "start_s": outage.start, "seconds": outage.seconds}
            for outage in told.setup.outages
        ],
        "undisturbed_s": told.undisturbed.done_s if told.undisturbed else None,
        "history_runs": found.runs,
        "assumptions": [
            {"what": item.what, "value": item.value, "source": item.source} for item in found.assumptions
        ],
    }


def _course_json(course: Course) -> dict[str, Json]:
    return {
        "failed": course.failed,
        "late_s": course.late_s,
        "polls_a_search": course.polls,
        "spool_bytes": course.spool_b,
        "stored_bytes": course.stored_b,
    }


def _hour_json(hour: Hour) -> Json:
    return {
        "start_s": hour.start,
        "seconds": hour.seconds,
        "done": hour.done,
        "used": hour.used,
        "outages": hour.outages,
        "bottleneck": hour.bottleneck,
    }
