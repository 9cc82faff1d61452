"""Metrics for Prometheus. No label bears anything of a patient or of a run."""

import asyncio
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from docpipe import __version__
from docpipe.app import Docpipe
from docpipe.engine.engine import Change
from docpipe.gates import Attempt, QuotaView, ServiceView
from docpipe.model import Activity, Outcome, RunState
from docpipe.workers.pool import PoolState

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_LONG: Final = (0.01, 0.05, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What stands at the moment of a scrape."""

    runs: dict[RunState, int]
    waiting: int
    """Runs that wait for their turn to begin."""
    services: list[ServiceView]
    quotas: list[QuotaView]
    workers: PoolState
    downloads: tuple[int, int]
    """Under way, and waiting."""
    paused: bool
    disk_full: bool
    spool: int
    free: dict[str, int]


@dataclass(slots=True, eq=False)
class Metrics:
    """Counts what a docpipe does from now on, and tells it with what stands at the moment."""

    docpipe: Docpipe
    _registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _moment: _Moment | None = None
    _began: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _activities: Counter = field(init=False)
    _durations: Histogram = field(init=False)
    _documents: Counter = field(init=False)
    _ended: Counter = field(init=False)
    _requests: Counter = field(init=False)
    _latency: Histogram = field(init=False)
    _waits: Histogram = field(init=False)
    _commits: Histogram = field(init=False)
    _statements: Counter = field(init=False)

    def __post_init__(self) -> None:
        here = self._registry
        self._activities = Counter(
            "docpipe_activities", "Activities that have ended.", ("activity", "outcome"), registry=here
        )
        self._durations = Histogram(
            "docpipe_activity_duration_seconds",
            "How long activities took, waits included.",
            ("activity",),
            buckets=_LONG,
            registry=here,
        )
        self._documents = Counter(
            "docpipe_documents", "Documents converted, by outcome.", ("outcome",), registry=here
        )
        self._ended = Counter("docpipe_runs_ended", "Runs that have ended.", ("state",), registry=here)
        self._requests = Counter(
            "docpipe_requests", "Attempts on the wire.", ("endpoint", "status"), registry=here
        )
        self._latency = Histogram(
            "docpipe_request_duration_seconds",
            "From sending an attempt to its answer.",
            ("endpoint",),
            registry=here,
        )
        self._waits = Histogram(
            "docpipe_quota_wait_seconds",
            "How long attempts stood in line before they were sent.",
            ("endpoint",),
            buckets=_LONG,
            registry=here,
        )
        self._commits = Histogram(
            "docpipe_checkpoint_commit_seconds",
            "How long transactions of the checkpoint database took.",
            buckets=_SHORT,
            registry=here,
        )
        self._statements = Counter(
            "docpipe_checkpoint_statements", "Statements that were committed.", registry=here
        )
        ProcessCollector(registry=here)
        here.register(self)
        for activity in Activity:
            self._durations.labels(activity)
        for outcome in Outcome:
            self._documents.labels(outcome)
        self.docpipe.engine.listeners.append(self._changed)
        self.docpipe.observers.append(self._attempted)
        self.docpipe.checkpoints.writer.observers.append(self._committed)

    # What happens

    def _changed(self, change: Change) -> None:
        if change.activity is None:
            self._ended.labels(change.outcome).inc()
            return
        key = (change.run_id, change.activity, change.item)
        now = self.docpipe.engine.clock()
        if change.outcome is None:
            self._began[key] = now
            return
        self._activities.labels(change.activity, change.outcome).inc()
        self._durations.labels(change.activity).observe(max(0.0, now - self._began.pop(key, now)))
        if change.activity is Activity.CONVERT and change.result:
            self._documents.labels(change.result["outcome"]).inc()

    def _attempted(self, attempt: Attempt) -> None:
        endpoint = _endpoint(attempt.endpoint)
        self._requests.labels(endpoint, attempt.status or "none").inc()
        self._latency.labels(endpoint).observe(attempt.seconds)
        self._waits.labels(endpoint).observe(attempt.waited)

    def _committed(self, seconds: float, statements: int) -> None:
        self._commits.observe(seconds)
        self._statements.inc(statements)

    # What is told

    async def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        docpipe = self.docpipe
        engine, activities = docpipe.engine, docpipe.activities
        folders = {"state": docpipe.state.path}
        if docpipe.storage.folder is not None:
            folders["storage"] = docpipe.storage.folder
        spool, free = await asyncio.to_thread(_disk, docpipe.state.spool, folders)
        self._moment = _Moment(
            runs=await docpipe.checkpoints.listing.counts(),
            waiting=engine.waiting,
            services=[service.view() for service in docpipe.services.values()],
            quotas=[quota.view() for quota in docpipe.quotas.values()],
            workers=docpipe.workers.snapshot(),
            downloads=(activities.downloads.held, len(activities.downloads.line)),
            paused=engine.paused_since is not None,
            disk_full=docpipe.checkpoints.full_since is not None,
            spool=spool,
            free=free,
        )
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client.registry.Collector."""
        yield InfoMetricFamily("docpipe_build", "Which docpipe this is.", {"version": __version__})
        if (now := self._moment) is not None:
            yield from _of_runs(now)
            yield from _of_services(now)
            yield from _of_quotas(now)
            yield from _of_the_machine(now)


def _of_runs(now: _Moment) -> Iterator[Metric]:
    runs = GaugeMetricFamily("docpipe_runs", "Runs in the checkpoint database.", labels=["state"])
    for state, count in now.runs.items():
        runs.add_metric([state], count)
    yield runs
    yield GaugeMetricFamily("docpipe_runs_waiting", "Runs that wait for their turn.", now.waiting)
    yield GaugeMetricFamily("docpipe_paused", "1 while everything is paused.", int(now.paused))


def _of_services(now: _Moment) -> Iterator[Metric]:
    up = GaugeMetricFamily("docpipe_service_up", "0 while a service is down.", labels=["service"])
    paused = GaugeMetricFamily("docpipe_service_paused", "1 while it is paused.", labels=["service"])
    outages = CounterMetricFamily("docpipe_service_outages", "Outages that are over.", labels=["service"])
    views: dict[str, list[ServiceView]] = {}
    for view in now.services:
        views.setdefault(_endpoint(view.name), []).append(view)
    for name, those in views.items():
        up.add_metric([name], int(all(view.up for view in those)))
        paused.add_metric([name], int(any(view.paused_since is not None for view in those)))
        outages.add_metric([name], sum(view.outages for view in those))
    yield from (up, paused, outages)


def _of_quotas(now: _Moment) -> Iterator[Metric]:
    labels = ["endpoint"]
    used = GaugeMetricFamily("docpipe_quota_used", "Places of a quota that are taken.", labels=labels)
    limit = GaugeMetricFamily("docpipe_quota_limit", "Places of a quota.", labels=labels)
    window = GaugeMetricFamily("docpipe_quota_window_seconds", "The window of a quota.", labels=labels)
    waiting = GaugeMetricFamily("docpipe_quota_waiting", "Requests in line.", labels=labels)
    closed = GaugeMetricFamily("docpipe_quota_closed", "1 while it is closed, as by a 429.", labels=labels)
    for view in now.quotas:
        name = [view.name]
        waiting.add_metric(name, view.waiting)
        closed.add_metric(name, int(view.closed_until is not None))
        if view.rate is not None:
            used.add_metric(name, view.used)
            limit.add_metric(name, view.rate.n)
            window.add_metric(name, view.rate.per)
    yield from (used, limit, window, waiting, closed)


def _of_the_machine(now: _Moment) -> Iterator[Metric]:
    yield GaugeMetricFamily("docpipe_conversions", "Conversions under way.", now.workers.busy)
    yield GaugeMetricFamily("docpipe_conversions_waiting", "Documents in line.", now.workers.waiting)
    yield GaugeMetricFamily("docpipe_conversion_places", "Workers at most.", now.workers.size)
    yield GaugeMetricFamily("docpipe_downloads", "Archives being downloaded.", now.downloads[0])
    yield GaugeMetricFamily("docpipe_downloads_waiting", "Archives in line.", now.downloads[1])
    yield GaugeMetricFamily("docpipe_spool_bytes", "Archives and files in the spool.", now.spool)
    yield GaugeMetricFamily("docpipe_disk_full", "1 while checkpoints wait for room.", int(now.disk_full))
    free = GaugeMetricFamily("docpipe_disk_free_bytes", "Free on the disk of a folder.", labels=["folder"])
    for folder, size in now.free.items():
        free.add_metric([folder], size)
    yield free


def _endpoint(name: str) -> str:
    """The origins of archives are data of the exchange; however many there are, they share a label."""
    return "archives" if name.startswith("archives of ") else name


def _disk(spool: Path, folders: dict[str, Path]) -> tuple[int, dict[str, int]]:
    size = 0
    for path in spool.rglob("*"):
        try:
            size += path.lstat().st_size
        except OSError:  # gone meanwhile
            continue
    return size, {name: shutil.disk_usage(folder).free for name, folder in folders.items()}
