"""`docpipe plan`: forecasts how long patients would take, and what the bottleneck would be."""

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docpipe.cli.phrases import print_line, span_words, time_words
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import UsageError
from docpipe.model import count_of
from docpipe.plan.assumptions import Assumption
from docpipe.plan.course import Course
from docpipe.plan.forecast import Forecast, Progress, forecast
from docpipe.plan.hours import Hour
from docpipe.plan.inputs import Inputs, inputs_of
from docpipe.plan.picture import drawn
from docpipe.plan.setup import Given, Outage
from docpipe.util.times import iso
from docpipe.wiring.backends import storage_folder
from docpipe.workers.machine import usable_cpus

_WIDTH: Final = 40
_FEW: Final = 20
"""Runs; the mean of fewer is off by more than a fifth of their standard deviation."""
_LEAST: Final = 0.005
"""A gain of at most this part is not put into figures."""
_LONG_S: Final = 60.0
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def plan(args: argparse.Namespace) -> int:
    """Forecast; returns the exit status."""
    config = load(args.config, services=False)
    if args.svg is not None:
        _can_be_written(args.svg)  # sooner than after minutes
    inputs = inputs_of(config, _overrides(args), time.time)
    with _progress() as show:
        forecast_ = forecast(inputs.setup, show)
    if args.svg is not None:
        _write(args.svg, drawn(forecast_))
    if args.json:
        print_line(json.dumps(_as_json(inputs, forecast_)))
        return 0
    for line in _lines(inputs, forecast_, config):
        print_line(line)
    if args.svg is not None:
        print_line(f"\nDrawn in {args.svg}.")
    return 0


def _overrides(args: argparse.Namespace) -> Given:
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


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Shows on a terminal how far it is; gone when it is over."""
    if not sys.stderr.isatty():
        yield lambda _what, _part: None
        return
    last_line = ""

    def show(what: str, part: float) -> None:
        nonlocal last_line
        if (line := f"simulating {what}: {part:.0%}") != last_line:
            last_line = line
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _can_be_written(path: Path) -> None:
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written: name a file in a folder that is there and yours.")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def _lines(inputs: Inputs, forecast_: Forecast, config: Config) -> Iterator[str]:
    course, before = forecast_.course, inputs.setup.before
    ends = time_words(time.time() + course.done_s)
    span = span_words(course.done_s)
    take = "takes" if inputs.setup.patients == 1 else "take"
    yield f"{count_of(inputs.setup.patients, 'patient')} {take} {span}: started now, all is done at {ends}."
    if unfinished := before.queued + len(before.searched):
        come, it = ("comes", "it") if unfinished == 1 else ("come", "them")
        these = count_of(unfinished, "unfinished run")
        yield f"Before them {come} {these} of the state folder; the forecast includes {it}."
    if forecast_.undisturbed is not None:
        for outage in forecast_.setup.outages:
            since = span_words(outage.start or 0.0)
            yield f"{outage.service} is down for {span_words(outage.seconds)} from {since} on."
        yield f"Without that it takes {span_words(forecast_.undisturbed.done_s)}."
    if course.failed:
        yield f"Of all runs, {course.failed} would fail."
    yield ""
    yield from _table(course, len(course.ended))
    yield ""
    yield from _changes(forecast_)
    late = f"{course.late_s:.1f} s" if course.late_s < _LONG_S else span_words(course.late_s)
    yield (
        f"That a search is ready is noticed {late} late on average, after {course.polls:.1f} polls. "
        f"The spool holds at most {_size(course.spool_b)}, the originals to store {_size(course.stored_b)}."
    )
    yield from _room(course, config)
    yield ""
    yield from _assumed(inputs.assumptions, inputs.runs, config)


def _table(course: Course, total: int) -> Iterator[str]:
    columns = list(course.hours[0].used) if course.hours else []
    full = "█" if sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    yield "  ".join(
        ["from".rjust(9), "done".rjust(7), *(name.rjust(len(name)) for name in columns), "held up by"]
    )
    for hour in course.hours:
        # A burst uses the places of a whole window within a part of it.
        used = (f"{min(1.0, hour.used[name]):.0%}".rjust(len(name)) for name in columns)
        bar = full * round(_WIDTH * hour.done / total) if total else ""
        yield "  ".join(
            [_clock(hour.start).rjust(9), str(hour.done).rjust(7), *used, f"{hour.bottleneck:<22}", bar]
        ).rstrip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _changes(forecast_: Forecast) -> Iterator[str]:
    done_s, tried = forecast_.course.done_s, {change.means for change in forecast_.changes}
    for change in forecast_.changes:
        gain = done_s - change.course.done_s
        span = span_words(change.course.done_s)
        gain_words = f"{span_words(gain)} less" if gain > _LEAST * done_s else "hardly less"
        still = (
            ""
            if change.course.main_bottleneck == change.means
            else f" The bottleneck is then {change.course.main_bottleneck}."
        )
        yield f"With {change.what}: {span}, {gain_words}.{still}"
        if change.means == "conversion" and (cpus := max(1, usable_cpus())) < 2 * forecast_.setup.workers:
            yield f"  (That many workers need as many CPUs; this machine has {cpus}.)"
    if not tried:
        yield "Neither more workers nor higher quotas would make it faster: nothing is busy all the time."
        return
    if "conversion" not in tried:
        busy = _average(forecast_.course, "conversion")
        yield f"More conversion workers would not help: they are {busy:.0%} busy, and hold nothing up."
    if "search quota" not in tried and forecast_.setup.config.docex.search_rate is not None:
        used = _average(forecast_.course, "docex.search")
        yield f"A higher search quota would not help: {used:.0%} of it is used, and it holds nothing up."


def _average(course: Course, name: str) -> float:
    used = sum(hour.used[name] * hour.seconds for hour in course.hours)
    return used / course.done_s if course.done_s else 0.0


def _room(course: Course, config: Config) -> Iterator[str]:
    """What does not fit on a disk here."""
    needed = [("the spool", config.state_dir, course.spool_b)]
    if (storage := storage_folder(config)) is not None:
        needed.append(("the originals", storage, course.stored_b))
    for what, folder, size in needed:
        there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        if (free := shutil.disk_usage(there).free) < size:
            yield f"There is no room for {what}: {there} has {_size(free)} left."


def _assumed(assumptions: tuple[Assumption, ...], runs: int, config: Config) -> Iterator[str]:
    where = "no finished runs to learn from"
    if runs:
        where = f"{count_of(runs, 'finished run')} in {config.state_dir}"
        where += ": so few make a rough forecast" if runs < _FEW else ""
    yield f"Assumptions ({where}):"
    for item in assumptions:
        yield f"  {item.what:<28}{item.value}  ({item.source})"


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 -- the next unit
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _as_json(inputs: Inputs, forecast_: Forecast) -> dict[str, object]:
    now = time.time()
    return {
        "patients": inputs.setup.patients,
        "unfinished": inputs.setup.before.queued + len(inputs.setup.before.searched),
        "done_s": forecast_.course.done_s,
        "ends_at": iso(now + forecast_.course.done_s),
        "done_at": now + forecast_.course.done_s,  # in seconds, for one release
        **_course_json(forecast_.course),
        "parts": [_part_json(hour, now) for hour in forecast_.course.hours],
        "hours": [_hour_json(hour) for hour in forecast_.course.hours],  # an earlier name, for one release
        "changes": [
            {
                "what": change.what,
                "done_s": change.course.done_s,
                "bottleneck": change.course.main_bottleneck,
                **_course_json(change.course),
            }
            for change in forecast_.changes
        ],
        "outages": [
            {"service": outage.service, "start_s": outage.start, "seconds": outage.seconds}
            for outage in forecast_.setup.outages
        ],
        "undisturbed_s": forecast_.undisturbed.done_s if forecast_.undisturbed else None,
        "history_runs": inputs.runs,
        "assumptions": [
            {"what": item.what, "value": item.value, "source": item.source} for item in inputs.assumptions
        ],
    }


def _course_json(course: Course) -> dict[str, object]:
    return {
        "failed": course.failed,
        "late_s": course.late_s,
        "polls_a_search": course.polls,
        "spool_bytes": course.spool_b,
        "stored_bytes": course.stored_b,
    }


def _part_json(hour: Hour, now: float) -> dict[str, object]:
    """An hour of the forecast, or what is left of one, as `--json` prints it."""
    return {"start_at": iso(now + hour.start), **_hour_json(hour)}


def _hour_json(hour: Hour) -> dict[str, object]:
    return {
        "start_s": hour.start,
        "seconds": hour.seconds,
        "done": hour.done,
        "used": hour.used,
        "outages": hour.outages,
        "bottleneck": hour.bottleneck,
    }
