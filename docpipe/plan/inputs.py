"""The inputs of a forecast: from the history, from the user, or assumed."""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from docpipe.checkpoints.history import PastRun, Present, past_runs, present
from docpipe.config.config import Config
from docpipe.model import Activity, Clock
from docpipe.plan.assumptions import Assumption, assumptions
from docpipe.plan.setup import Before, Case, Given, Mix, Setup
from docpipe.sources.polling import next_poll
from docpipe.workers.machine import default_workers

_SAME: Final = (
    0.1  # how far a pause may be from what docpipe would wait where the exchange reports no progress
)
_UNDISTURBED: Final = 0.25
_ONE_REQUEST: Final = (Activity.CREATE_TASK, Activity.APPEND_REPORT)
"""What takes as long as a request and its answer."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The basis of a forecast."""

    setup: Setup
    assumptions: tuple[Assumption, ...]
    runs: int
    """How many finished runs the history has."""


def _load() -> float:
    """The load of the last minutes; 0 where the system does not report it."""
    try:
        return os.getloadavg()[1]
    except OSError:
        return 0.0


def inputs_of(config: Config, given: Given, clock: Clock, load: Callable[[], float] = _load) -> Inputs:
    """Read the history of the state folder, and put what is given over it.

    Args:
        config: names the state folder, the quotas and the means.
        given: values of the user that replace those of the history.
        clock: the wall clock.
        load: how many CPUs others keep busy.

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
        reports_progress=_reports_progress(past),
        ask_after=_at(0.5, (run.ask_after for run in past if run.ask_after is not None)),
        outages=given.outages,
        before=_before(present(config.state_dir, now), now),
        seed=given.seed,
    )
    measured: dict[str, Any] = {
        "latency_s": given.latency_s if given.latency_s is not None else _undisturbed(past, *_ONE_REQUEST),
        "store_s": _undisturbed(past, Activity.STORE),
        "report_s": _undisturbed(past, Activity.REPORT),
        "row_s": _undisturbed(past, Activity.GET_PATIENT),
    }
    setup = replace(setup, **{name: value for name, value in measured.items() if value is not None})
    return Inputs(setup, tuple(assumptions(setup, given, load())), len(past))


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
    """A finished run as a case; its search became ready in the middle of the last pause."""
    before = run.asked[-2] if len(run.asked) > 1 else 0.0
    downloads = run.durations.get(Activity.DOWNLOAD, [])
    download_s = run.download_s if run.download_s is not None else min(downloads, default=0.0)
    convert_s = run.convert_s or run.durations.get(Activity.CONVERT, [])
    return Case((before + run.asked[-1]) / 2, run.archive_b, download_s, tuple(convert_s))


def _reports_progress(past: Sequence[PastRun]) -> bool:
    """Whether the exchange reports progress, concluded from the time between polls.

    The pause after the first poll is always the same: two polls are needed to know the speed of a search.
    """
    same = other = 0
    for run in past:
        for before, after in itertools.pairwise(run.asked[1:]):
            usual = next_poll(before, None, None, None)
            if abs(after - before - usual) < _SAME * usual:
                same += 1
            else:
                other += 1
    return same <= other


def _undisturbed(past: Iterable[PastRun], *activities: Activity) -> float | None:
    """The duration of activities that did not have to wait, in seconds; None where there were none.

    The lower quartile: recorded durations include waits for a quota or a thread, which the simulation adds
    itself.
    """
    seconds = (run.durations.get(activity, []) for run in past for activity in activities)
    return _at(_UNDISTURBED, itertools.chain.from_iterable(seconds))


def _at(part: float, values: Iterable[float]) -> float | None:
    """The quantile of values, `part` from 0 to 1; None for no values."""
    in_order = sorted(values)
    return in_order[int(part * (len(in_order) - 1))] if in_order else None


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
