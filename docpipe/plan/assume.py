"""What a forecast takes for granted: read from the history, given by the user, or assumed; and said so."""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from docpipe.checkpoints.history import PastRun, Present, past_runs, present
from docpipe.config import Config
from docpipe.model import Activity, Clock, Rate
from docpipe.plan.setup import (
    DEFAULT_CONVERT_S,
    DEFAULT_DOCUMENTS,
    DEFAULT_SEARCH_S,
    Before,
    Case,
    Mix,
    Outage,
    Setup,
    Span,
)
from docpipe.polling import next_poll
from docpipe.workers.machine import default_workers

_SAME: Final = 0.1  # how far a pause may be from what docpipe would wait where no progress is told


@dataclass(frozen=True, slots=True)
class Given:
    """What the user says. None: the history's, or the configuration's."""

    patients: int = 0
    search_s: Span | None = None
    documents: Span | None = None
    convert_s: Span | None = None
    archive_b: Span | None = None
    bandwidth: float | None = None
    latency_s: float | None = None
    workers: int | None = None
    downloads: int | None = None
    rates: dict[str, Rate | None] = field(default_factory=dict)
    """By the quota's name."""
    outages: tuple[Outage, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing taken for granted."""

    what: str
    value: str
    source: str
    """`given`, `history`, `configuration`, `machine` or `assumed`."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a forecast stands on."""

    setup: Setup
    assumptions: tuple[Assumption, ...]
    runs: int
    """How many finished runs the history has."""


def ground(config: Config, given: Given, clock: Clock) -> Ground:
    """Read the history of the state folder, and put what is given over it.

    Raises:
        StateError: if the checkpoint database is there and cannot be read.
    """
    past = [run for run in past_runs(config.state_dir) if run.asked and run.accepted is not None]
    cases = tuple(map(_case, past))
    config = _with_rates(config, given)
    mix = Mix(cases, given.search_s, given.documents, given.convert_s, given.archive_b, given.bandwidth)
    now = clock()
    setup = Setup(
        patients=given.patients,
        config=config,
        workers=given.workers or config.convert.workers or default_workers(config.convert.memory),
        mix=mix,
        threads=min(32, (os.cpu_count() or 1) + 4),  # as asyncio.to_thread has them
        tells_progress=_tells_progress(past),
        ask_after=_median(run.ask_after for run in past if run.ask_after is not None),
        outages=given.outages,
        before=_before(present(config.state_dir, now), now),
        seed=given.seed,
    )
    measured: dict[str, Any] = {
        "latency_s": _median(_each(past, Activity.CREATE_TASK), given=given.latency_s, at=0.1),
        "store_s": _median(_each(past, Activity.STORE)),
        "report_s": _median(_each(past, Activity.REPORT)),
        "row_s": _median(_each(past, Activity.GET_PATIENT)),
    }
    setup = replace(setup, **{name: value for name, value in measured.items() if value is not None})
    return Ground(setup, tuple(_told(setup, given)), len(past))


def _with_rates(config: Config, given: Given) -> Config:
    docex, tracker, rates = config.docex, config.tasktracker, given.rates
    docex = replace(
        docex,
        search_rate=rates.get("docex.search", docex.search_rate),
        status_rate=rates.get("docex.status", docex.status_rate),
        max_downloads=given.downloads or docex.max_downloads,
    )
    return replace(
        config, docex=docex, tasktracker=replace(tracker, rate=rates.get("tasktracker", tracker.rate))
    )


def _case(run: PastRun) -> Case:
    """A finished run as the world held it; its search was ready in the middle of the last pause."""
    before = run.asked[-2] if len(run.asked) > 1 else 0.0
    downloads = run.durations.get(Activity.DOWNLOAD, [])
    download_s = run.download_s if run.download_s is not None else min(downloads, default=0.0)
    convert_s = run.convert_s or run.durations.get(Activity.CONVERT, [])
    return Case((before + run.asked[-1]) / 2, run.archive_b, download_s, tuple(convert_s))


def _tells_progress(past: Sequence[PastRun]) -> bool:
    """Whether the exchange tells its progress, by how long docpipe waited between its questions."""
    same = other = 0
    for run in past:
        for before, after in zip(run.asked, run.asked[1:], strict=False):
            usual = next_poll(before, None, None, None)
            if abs(after - before - usual) < _SAME * usual:
                same += 1
            else:
                other += 1
    return same <= other


def _each(past: Iterable[PastRun], activity: Activity) -> list[float]:
    return [seconds for run in past for seconds in run.durations.get(activity, [])]


def _median(values: Iterable[float], *, given: float | None = None, at: float = 0.5) -> float | None:
    """The value that so large a part is below; None for no values."""
    in_order = sorted(values)
    if given is not None or not in_order:
        return given
    return in_order[int(at * (len(in_order) - 1))]


def _before(now_there: Present, now: float) -> Before:
    return Before(
        queued=now_there.queued,
        searched=tuple(max(0.0, now - at) for at in now_there.searched),
        grants=tuple(
            (name, replace(grant, at=now - grant.at, answered=grant.answered and now - grant.answered))
            for name, grant in now_there.grants
        ),
        alive=None if now_there.alive is None else max(0.0, now - now_there.alive),
    )


def _told(setup: Setup, given: Given) -> Iterable[Assumption]:
    mix, config = setup.mix, setup.config
    known = "history" if mix.history else "assumed"
    cases = mix.history

    def of(what: str, span: Span | None, usual: Span, past: Callable[[Case], float], unit: str) -> Assumption:
        if span is None and cases:
            low, middle, high = _spread([past(case) for case in cases])
            return Assumption(what, f"{low:.3g} to {high:.3g} {unit}, median {middle:.3g}", "history")
        shown = span or usual
        text = (
            f"{shown[0]:.3g} {unit}" if shown[0] == shown[1] else f"{shown[0]:.3g} to {shown[1]:.3g} {unit}"
        )
        return Assumption(what, text, "given" if span else "assumed")

    yield of("search time", mix.search_s, DEFAULT_SEARCH_S, lambda case: case.search_s, "s")
    yield of("documents a patient", mix.documents, DEFAULT_DOCUMENTS, lambda case: len(case.convert_s), "")
    yield of("conversion a document", mix.convert_s, DEFAULT_CONVERT_S, _mean_convert, "s")
    latency = "given" if given.latency_s is not None else known
    yield Assumption("latency of a request", f"{1000 * setup.latency_s:.3g} ms", latency)
    yield Assumption("storing a document", f"{1000 * setup.store_s:.3g} ms", known)
    workers = "given" if given.workers else "configuration" if config.convert.workers else "machine"
    yield Assumption("conversion workers", str(setup.workers), workers)
    downloads = "given" if given.downloads else "configuration"
    yield Assumption("downloads at the same time", str(config.docex.max_downloads), downloads)
    for name, rate in (
        ("docex.search", config.docex.search_rate),
        ("docex.status", config.docex.status_rate),
        ("tasktracker", config.tasktracker.rate),
    ):
        source = "given" if name in given.rates else "configuration"
        yield Assumption(f"quota of {name}", str(rate or "none"), source)


def _mean_convert(case: Case) -> float:
    return statistics.fmean(case.convert_s) if case.convert_s else 0.0


def _spread(values: list[float]) -> tuple[float, float, float]:
    in_order = sorted(values)
    last = len(in_order) - 1
    return in_order[round(0.05 * last)], in_order[round(0.5 * last)], in_order[round(0.95 * last)]
