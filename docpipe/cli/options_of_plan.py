"""The options of `docpipe plan`."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from docpipe.config.parsing import integer, parse_duration, parse_rate, parse_size
from docpipe.model import Rate

_T = TypeVar("_T")
Span = tuple[float, float]
_MILLI = re.compile(r"(\d+(?:\.\d+)?)\s*ms")


def add_plan(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    plan = commands.add_parser(
        "plan",
        parents=parents,
        help="forecast how long it takes, and the bottleneck",
        description="Forecast how long a number of patients take: the real scheduling in virtual time, with "
        "search times, documents and conversion times of the finished runs in the state folder, or as given. "
        "Unfinished runs there come first; what is spent of the quotas counts. It needs no network and "
        "changes nothing.",
        epilog="A SPAN is one value, or two with .. between them: 30s, 2min..30min. Example: docpipe plan "
        "--patients 5000 --search-time 2min..30min --documents 20 --convert-time 500ms --outage docex:2h@1h",
    )
    add = plan.add_argument
    add(
        "--patients",
        type=_of(integer(1, 1_000_000), "N"),
        required=True,
        metavar="N",
        help="to plan for",
    )
    _add_world(plan.add_argument_group("assumptions, where they differ from the history"))
    _add_means(plan.add_argument_group("resources, where they differ from the configuration"))
    add = plan.add_argument
    add("--svg", type=Path, metavar="FILE", help="draw the forecast into this file")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the simulation: another number, another course of events (default 0)",
    )


def _add_world(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--search-time", type=_span(_seconds), metavar="SPAN", help="of the exchange for a patient")
    add(
        "--documents",
        type=_span(integer(0, 100_000)),
        metavar="SPAN",
        help="of a patient: 20, 5..40",
    )
    add(
        "--convert-time",
        type=_span(_seconds),
        metavar="SPAN",
        help="of a document in a worker: 500ms",
    )
    add(
        "--archive-size",
        type=_span(parse_size),
        metavar="SPAN",
        help="of a patient: 10MB, 5MB..2GB",
    )
    add(
        "--bandwidth",
        type=_of(_bandwidth, "SIZE"),
        metavar="SIZE",
        help="how much is fetched and extracted in a second: 20MB",
    )
    add(
        "--latency",
        type=_of(_seconds, "TIME"),
        metavar="TIME",
        help="of a request and its answer: 50ms",
    )
    add(
        "--outage",
        type=_of(_outage, "OUTAGE"),
        action="append",
        default=[],
        metavar="SERVICE:TIME[@TIME]",
        help="an outage of docex or tasktracker: how long it lasts and, after @, when it begins (default: in "
        "the middle), such as docex:2h@1h; may be repeated",
    )


def _add_means(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--workers", type=_of(integer(1, 1024), "N"), metavar="N", help="that convert documents")
    add("--downloads", type=_of(integer(1, 1000), "N"), metavar="N", help="archives fetched at the same time")
    for name in ("search", "status", "tracker"):
        add(f"--{name}-rate", type=_of(_rate, "RATE"), metavar="RATE", help=f"{name} quota: 10/min, none")


def _of(parse: Callable[[str], _T], name: str) -> Callable[[str], _T]:
    """A parser whose ValueError names the right form."""

    def read(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} cannot be used as {name}: {error}") from error

    return read


def _span(parse: Callable[[str], float]) -> Callable[[str], Span]:
    def read(text: str) -> Span:
        low, dots, high = text.partition("..")
        span = (float(parse(low)), float(parse(high if dots else low)))
        if span[0] > span[1]:
            raise ValueError("the first value has to be the smaller one")
        return span

    return _of(read, "SPAN")


def _seconds(text: str) -> float:
    match = _MILLI.fullmatch(text.strip())
    return float(match[1]) / 1000 if match else parse_duration(text)


def _bandwidth(text: str) -> int:
    if (size := parse_size(text)) == 0:
        raise ValueError("more than zero")
    return size


def _rate(text: str) -> tuple[Rate | None]:
    return (parse_rate(text),)  # None is a rate, too: not that nothing was given


def _outage(text: str) -> tuple[str, float, float | None]:
    service, colon, when = text.partition(":")
    if service not in ("docex", "tasktracker") or not colon:
        raise ValueError('docex or tasktracker and a time, such as "docex:2h" or "docex:2h@1h"')
    seconds, at, start = when.partition("@")
    return service, _seconds(seconds), _seconds(start) if at else None
