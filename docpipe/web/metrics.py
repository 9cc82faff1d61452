"""Metrics for Prometheus. No label holds data of a patient or of a run."""

import asyncio
import contextlib
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
from docpipe.gates import QuotaView, ServiceView
from docpipe.model import Activity, Outcome, RunState
from docpipe.notify import NotifierView
from docpipe.schedule import ScheduleView
from docpipe.wiring.metrics import DURATIONS, Requests, of_quotas, of_schedules, of_services
from docpipe.workers.pool import PoolState

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True, slots=True)
class _Moment:
    """The gauges of one scrape."""

    runs: dict[RunState, int]
    waiting: int
    """Runs that wait for their turn to begin."""
    services: list[ServiceView]
    quotas: list[QuotaView]
    store_up: bool | None
    """Whether the quota store answers; None where this process counts alone."""
    workers: PoolState
    downloads: tuple[int, int]
    """Under way, and waiting."""
    paused: bool
    disk_full: bool
    blocked: bool
    spool: int
    free: dict[str, int]
    schedules: list[ScheduleView]
    notifications: NotifierView | None


@dataclass(slots=True, eq=False)
class Metrics:
    """Counters since the start of the process, and gauges of the moment."""

    docpipe: Docpipe
    _registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _moment: _Moment | None = None
    _began: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _activities: Counter = field(init=False)
    _durations: Histogram = field(init=False)
    _documents: Counter = field(init=False)
    _ended: Counter = field(init=False)
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
            buckets=DURATIONS,
            registry=here,
        )
        self._documents = Counter(
            "docpipe_documents", "Documents converted, by outcome.", ("outcome",), registry=here
        )
        self._ended = Counter("docpipe_runs_ended", "Runs that have ended.", ("state",), registry=here)
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
        self.docpipe.observers.append(Requests(here).attempted)
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

    def _committed(self, seconds: float, statements: int) -> None:
        self._commits.observe(seconds)
        self._statements.inc(statements)

    # Exposition

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
            store_up=None if docpipe.gates.store is None else docpipe.gates.store.down_since is None,
            workers=docpipe.workers.snapshot(),
            downloads=(activities.downloads.held, len(activities.downloads.line)),
            paused=engine.paused_since is not None,
            disk_full=docpipe.checkpoints.full_since is not None,
            blocked=docpipe.checkpoints.trouble is not None,
            spool=spool,
            free=free,
            schedules=docpipe.scheduler.views(),
            notifications=None if docpipe.notifier is None else await docpipe.notifier.view(),
        )
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client.registry.Collector."""
        yield InfoMetricFamily("docpipe_build", "Which docpipe this is.", {"version": __version__})
        if (now := self._moment) is not None:
            yield from _of_runs(now)
            yield from of_services(now.services)
            yield from of_quotas(now.quotas, store_up=now.store_up)
            yield from _of_the_machine(now)
            yield from _of_plans(now)


def _of_runs(now: _Moment) -> Iterator[Metric]:
    runs = GaugeMetricFamily("docpipe_runs", "Runs in the checkpoint database.", labels=["state"])
    for state, count in now.runs.items():
        runs.add_metric([state], count)
    yield runs
    yield GaugeMetricFamily("docpipe_runs_waiting", "Runs that wait for their turn.", now.waiting)
    yield GaugeMetricFamily("docpipe_paused", "1 while everything is paused.", int(now.paused))


def _of_plans(now: _Moment) -> Iterator[Metric]:
    yield from of_schedules(now.schedules)
    if now.notifications is not None:
        yield GaugeMetricFamily(
            "docpipe_notifications_waiting", "Not delivered yet.", now.notifications.waiting
        )
        yield CounterMetricFamily("docpipe_notifications", "Delivered.", now.notifications.delivered)


def _of_the_machine(now: _Moment) -> Iterator[Metric]:
    yield GaugeMetricFamily("docpipe_conversions", "Conversions under way.", now.workers.busy)
    yield GaugeMetricFamily("docpipe_conversions_waiting", "Documents in line.", now.workers.waiting)
    yield GaugeMetricFamily("docpipe_conversion_places", "Workers at most.", now.workers.size)
    yield GaugeMetricFamily("docpipe_downloads", "Archives being downloaded.", now.downloads[0])
    yield GaugeMetricFamily("docpipe_downloads_waiting", "Archives in line.", now.downloads[1])
    yield GaugeMetricFamily("docpipe_spool_bytes", "Archives and files in the spool.", now.spool)
    yield GaugeMetricFamily("docpipe_disk_full", "1 while checkpoints wait for room.", int(now.disk_full))
    yield GaugeMetricFamily(
        "docpipe_checkpoints_blocked",
        "1 while checkpoints cannot be written, for any reason.",
        int(now.blocked),
    )
    free = GaugeMetricFamily("docpipe_disk_free_bytes", "Free on the disk of a folder.", labels=["folder"])
    for folder, size in now.free.items():
        free.add_metric([folder], size)
    yield free


def _disk(spool: Path, folders: dict[str, Path]) -> tuple[int, dict[str, int]]:
    size = 0
    for path in spool.rglob("*"):
        try:
            size += path.lstat().st_size
        except OSError:  # gone meanwhile
            continue
    return size, dict(_free(folders))


def _free(folders: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """Free bytes of each folder that can be looked into; a mount may have lost its server."""
    for name, folder in folders.items():
        with contextlib.suppress(OSError):
            yield name, shutil.disk_usage(folder).free
