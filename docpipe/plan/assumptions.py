"""The assumptions of a forecast in words, each with its source."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from docpipe.plan.setup import (
    DEFAULT_CONVERT_S,
    DEFAULT_DOCUMENTS,
    DEFAULT_SEARCH_S,
    Case,
    Given,
    Setup,
    Span,
)
from docpipe.wiring.gates import rates
from docpipe.workers.machine import usable_cpus

_BUSY: Final = 0.5
"""Where others keep so large a part of the CPUs busy, docpipe may be slower than the forecast says."""
_MINUTES_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Assumption:
    """One assumption."""

    what: str
    value: str
    source: str
    """`given`, `history`, `configuration`, `machine` or `assumed`."""


def assumptions(setup: Setup, given: Given, load: float) -> Iterator[Assumption]:
    """List every assumption, those about the machine last.

    Args:
        setup: what is simulated.
        given: what of that the user gave.
        load: how many CPUs are busy now.
    """
    yield from _world(setup, given)
    yield from _means(setup, given)
    cpus = max(1, usable_cpus())
    free = "none"
    if load > _BUSY * cpus:
        free = f"none, but its load is {load:.1f} on {cpus} CPUs: while that lasts it takes longer"
    yield Assumption("other work on this machine", free, "assumed")


def _world(setup: Setup, given: Given) -> Iterator[Assumption]:
    mix = setup.mix

    def of(
        what: str,
        span: Span | None,
        usual: Span,
        past: Callable[[Case], float],
        words: Callable[[float], str],
    ) -> Assumption:
        if span is None and mix.history:
            low, middle, high = _spread(past(case) for case in mix.history)
            spread = _from_to((low, high), words)
            return Assumption(what, spread if low == high else f"{spread}, median {words(middle)}", "history")
        return Assumption(what, _from_to(span or usual, words), "given" if span else "assumed")

    yield of("search time", mix.search_s, DEFAULT_SEARCH_S, lambda case: case.search_s, _time)
    yield of(
        "documents a patient", mix.documents, DEFAULT_DOCUMENTS, lambda case: len(case.convert_s), _number
    )
    yield of("conversion a document", mix.convert_s, DEFAULT_CONVERT_S, _mean_convert, _time)
    known = "history" if mix.history else "assumed"
    latency = "given" if given.latency_s is not None else known
    yield Assumption("latency of a request", _time(setup.latency_s), latency)
    yield Assumption("storing a document", _time(setup.store_s), known)


def _means(setup: Setup, given: Given) -> Iterator[Assumption]:
    config = setup.config
    workers = "given" if given.workers else "configuration" if config.convert.workers else "machine"
    yield Assumption("conversion workers", str(setup.workers), workers)
    downloads = "given" if given.downloads else "configuration"
    yield Assumption("downloads at the same time", str(config.docex.max_downloads), downloads)
    for name, rate in rates(config).items():
        source = "given" if name in given.rates else "configuration"
        yield Assumption(f"quota of {name}", str(rate or "none"), source)


def _from_to(span: Span, words: Callable[[float], str]) -> str:
    low, high = map(words, span)
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    return f"{value:g}"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < _MINUTES_S else f"{seconds / 60:.3g} min"


def _mean_convert(case: Case) -> float:
    return statistics.fmean(case.convert_s) if case.convert_s else 0.0


def _spread(values: Iterable[float]) -> tuple[float, float, float]:
    in_order = sorted(values)
    last = len(in_order) - 1
    return in_order[round(0.05 * last)], in_order[round(0.5 * last)], in_order[round(0.95 * last)]
