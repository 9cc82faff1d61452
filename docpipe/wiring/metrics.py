"""Metrics of requests, services and quotas, for the service and for workers. No label names a patient."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from docpipe.gates import Attempt, QuotaView, ServiceView
from docpipe.schedule import ScheduleView

DURATIONS: Final = (0.01, 0.05, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
disable_created_metrics()  # type: ignore[no-untyped-call]  # of no use for what begins with the process


@dataclass(slots=True, eq=False)
class Requests:
    """Counts attempts on the wire: `attempted` is an observer of gates."""

    registry: CollectorRegistry
    _requests: Counter = field(init=False)
    _latency: Histogram = field(init=False)
    _waits: Histogram = field(init=False)

    def __post_init__(self) -> None:
        here = self.registry
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
            buckets=DURATIONS,
            registry=here,
        )

    def attempted(self, attempt: Attempt) -> None:
        """Count one."""
        endpoint = _endpoint(attempt.endpoint)
        self._requests.labels(endpoint, attempt.status or "none").inc()
        self._latency.labels(endpoint).observe(attempt.seconds)
        self._waits.labels(endpoint).observe(attempt.waited)


def of_services(services: Iterable[ServiceView]) -> Iterator[Metric]:
    """The state of services; the origins of archives share a label."""
    up = GaugeMetricFamily("docpipe_service_up", "0 while a service is down.", labels=["service"])
    paused = GaugeMetricFamily("docpipe_service_paused", "1 while it is paused.", labels=["service"])
    outages = CounterMetricFamily("docpipe_service_outages", "Outages that are over.", labels=["service"])
    views: dict[str, list[ServiceView]] = {}
    for view in services:
        views.setdefault(_endpoint(view.name), []).append(view)
    for name, those in views.items():
        up.add_metric([name], int(all(view.up for view in those)))
        paused.add_metric([name], int(any(view.paused_since is not None for view in those)))
        outages.add_metric([name], sum(view.outages for view in those))
    yield from (up, paused, outages)


def of_quotas(quotas: Iterable[QuotaView], *, store_up: bool | None) -> Iterator[Metric]:
    """Quotas; `store_up`: whether the quota store answers, None where this process counts alone."""
    labels = ["endpoint"]
    used = GaugeMetricFamily("docpipe_quota_used", "Places of a quota that are taken.", labels=labels)
    limit = GaugeMetricFamily("docpipe_quota_limit", "Places of a quota.", labels=labels)
    window = GaugeMetricFamily("docpipe_quota_window_seconds", "The window of a quota.", labels=labels)
    waiting = GaugeMetricFamily("docpipe_quota_waiting", "Requests in line.", labels=labels)
    closed = GaugeMetricFamily("docpipe_quota_closed", "1 while it is closed, as by a 429.", labels=labels)
    for view in quotas:
        name = [view.name]
        waiting.add_metric(name, view.waiting)
        closed.add_metric(name, int(view.closed_until is not None))
        if view.rate is not None:
            used.add_metric(name, view.used)
            limit.add_metric(name, view.rate.n)
            window.add_metric(name, view.rate.per)
    yield from (used, limit, window, waiting, closed)
    if store_up is not None:
        yield GaugeMetricFamily("docpipe_quota_store_up", "0 while the quota store is down.", int(store_up))


def _endpoint(name: str) -> str:
    """The origins of archives are data of the exchange; however many there are, they share a label."""
    return "archives" if name.startswith("archives of ") else name


def of_schedules(schedules: Iterable[ScheduleView]) -> Iterator[Metric]:
    """How schedules stand."""
    labels = ["schedule"]
    members = GaugeMetricFamily("docpipe_schedule_patients", "Patients of a schedule.", labels=labels)
    begun = GaugeMetricFamily("docpipe_schedule_begun", "Runs begun in its latest round.", labels=labels)
    next_at = GaugeMetricFamily(
        "docpipe_schedule_next_timestamp_seconds", "When its next patient is due.", labels=labels
    )
    last_at = GaugeMetricFamily(
        "docpipe_schedule_last_timestamp_seconds", "When runs were last begun.", labels=labels
    )
    paused = GaugeMetricFamily("docpipe_schedule_paused", "1 while it is paused.", labels=labels)
    for view in schedules:
        name, stored = [view.schedule.name], view.stored
        begun.add_metric(name, stored.begun)
        paused.add_metric(name, int(stored.paused is not None))
        for family, value in ((members, view.members), (next_at, view.next_at), (last_at, stored.last_at)):
            if value is not None:
                family.add_metric(name, value)
    yield from (members, begun, next_at, last_at, paused)
