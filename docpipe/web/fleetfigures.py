"""Figures of a fleet: services, quotas, workers, throughput, and metrics."""

import asyncio
import dataclasses
from collections import Counter as Counted
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from docpipe import __version__
from docpipe.api import shapes
from docpipe.api.machines import Fleet, FleetWorker
from docpipe.api.shapes import moment
from docpipe.engine.pace import by_hour
from docpipe.engine.throughput import Throughput
from docpipe.errors import UnreachableError, UsageError
from docpipe.fleet.board import Heard
from docpipe.fleet.serving import FleetServing
from docpipe.model import Activity, RunState
from docpipe.web.overview import gates_view
from docpipe.wiring.metrics import of_quotas, of_schedules, of_services

_LOOK_BACK_S: Final = 900.0
_ENOUGH: Final = 5
"""At least this many runs have to end within `_LOOK_BACK_S` before their pace is used."""
_STEP_S: Final = 5.0
_WITHIN_S: Final = 3.0
"""Metrics wait no longer for Temporal, since who asks for them gives up soon."""


class Figures:
    """What the page's view of services, and the metrics, show."""

    def __init__(self, serving: FleetServing) -> None:
        self._serving = serving
        self._throughput = Throughput(serving.mirror.rows.listing)
        self._counts: dict[RunState, int] = {}
        self._notices: int | None = None
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    # Pausing

    @property
    def paused_since(self) -> float | None:
        """Since when everything is paused, None while it is not."""
        return self._serving.gates.pauses.get("")

    async def pause(self, name: str | None) -> None:
        """Pause a service for all, or everything; raises UsageError where there is no such service."""
        await self._serving.board.pause(self._known(name), self._serving.clock())

    async def unpause(self, name: str | None) -> None:
        """Take that back."""
        await self._serving.board.unpause(self._known(name))

    def _known(self, name: str | None) -> str:
        services = self._serving.gates.services
        if name is not None and name not in services:
            raise UsageError(f"There is no service {name!r}; there are {', '.join(services)}.")
        return name or ""

    # Services and workers

    def services(self) -> shapes.Services:
        """Services, quotas and workers."""
        gates, in_line = self._serving.gates, self._in_line()
        return shapes.Services(
            paused=moment(self.paused_since),
            services=[
                replace(one, quotas=[replace(quota, waiting=in_line[quota.name]) for quota in one.quotas])
                for one in gates_view(gates.services.values(), gates.quotas)
            ],
            workers=self._converters(),
            checkpoints=shapes.CheckpointDatabase(full_since=None, trouble=None, trouble_since=None),
            fleet=self._fleet(),
        )

    def _in_line(self) -> Counted[str]:
        """How many requests of all workers are in line, by quota."""
        in_line: Counted[str] = Counted()
        for one in self._serving.board.workers:
            in_line.update(one.presence.in_line)
        return in_line

    def _converters(self) -> shapes.Workers:
        """Those of all machines."""
        all_of = [one.presence.converters for one in self._serving.board.workers]
        return shapes.Workers(
            size=sum(one.size for one in all_of),
            busy=sum(one.busy for one in all_of),
            waiting=sum(one.waiting for one in all_of),
        )

    def _fleet(self) -> Fleet:
        """The workers: those that write of themselves, and those that only ask Temporal for work."""
        serving, now = self._serving, self._serving.clock()
        workers = {one.presence.name: _worker(one, now) for one in serving.board.workers}
        for name, last in serving.pollers.items():
            workers.setdefault(
                name,
                FleetWorker(
                    name=name,
                    queues=[],
                    doing={},
                    since=None,
                    heard=moment(_coarse(last)),
                    version="",
                    stopping=False,
                ),
            )
        return Fleet(
            workers=[workers[name] for name in sorted(workers)],
            ui=serving.config.fleet.ui or None,
            trouble=serving.mirror.trouble,
        )

    # Throughput

    async def summary(self) -> shapes.Summary:
        """Counts, throughput, and when all should be done."""
        now = self._serving.clock()
        counts = await self._serving.mirror.rows.listing.counts()
        hours = await self._throughput.hours(now)
        unfinished = sum(number for state, number in counts.items() if not state.finished)
        return shapes.Summary(
            counts={state.value: counts.get(state, 0) for state in RunState},
            throughput=by_hour(hours, now),
            expected_end=moment(await self._end(unfinished, now)),
            bottleneck=self._bottleneck() if unfinished else None,
        )

    async def _end(self, unfinished: int, now: float) -> float | None:
        """When all is done at the pace of the last quarter of an hour; None where that is unknown."""
        if not unfinished or self.paused_since is not None:
            return None
        lately = sum(hour.runs for hour in await self._serving.mirror.rows.listing.ended(now - _LOOK_BACK_S))
        return now + unfinished * _LOOK_BACK_S / lately if lately >= _ENOUGH else None

    def _bottleneck(self) -> str | None:
        """What most runs seem to wait for: what is away, else the quota with the longest line."""
        gates = self._serving.gates
        if self.paused_since is not None:
            return "pause"
        if gates.store is not None and gates.store.down_since is not None:
            return "quota store"
        for name in ("docex", "tasktracker", "patients"):
            if not gates.services[name].view().up:
                return name
        in_line = self._in_line()
        return max(in_line, key=in_line.__getitem__, default=None)

    # Metrics

    async def metrics(self) -> bytes:
        """Metrics in Prometheus' text format."""
        self._counts = await self._serving.mirror.rows.listing.counts()
        self._notices = await self._notices_waiting()
        return generate_latest(self._registry)

    async def _notices_waiting(self) -> int | None:
        """How many notifications wait; None where none are sent, or Temporal does not say it soon."""
        if not self._serving.config.notify.url or self._serving.mirror.trouble is not None:
            return None
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._serving.count_notices("Running")
        except (TimeoutError, UnreachableError):
            return None

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client.registry.Collector."""
        yield InfoMetricFamily("docpipe_build", "Which docpipe this is.", {"version": __version__})
        runs = GaugeMetricFamily("docpipe_runs", "Runs of the fleet.", labels=["state"])
        for state, count in self._counts.items():
            runs.add_metric([state], count)
        yield runs
        paused, reached = self.paused_since is not None, self._serving.mirror.trouble is None
        yield GaugeMetricFamily("docpipe_paused", "1 while everything is paused.", int(paused))
        yield GaugeMetricFamily("docpipe_temporal_up", "0 while Temporal does not answer.", int(reached))
        if self._notices is not None:
            yield GaugeMetricFamily("docpipe_notifications_waiting", "Not delivered yet.", self._notices)
        yield from of_schedules(self._serving.scheduler.views())
        gates, in_line = self._serving.gates, self._in_line()
        yield from of_services(service.view() for service in gates.services.values())
        up = None if gates.store is None else gates.store.down_since is None
        quotas = [quota.view() for quota in gates.quotas.values()]
        yield from of_quotas(
            [dataclasses.replace(one, waiting=in_line[one.name]) for one in quotas], store_up=up
        )
        yield from self._of_workers()

    def _of_workers(self) -> Iterator[Metric]:
        """Of all workers together; each has its own at `fleet.probes`."""
        converters, doing = self._converters(), Counted[str]()
        for one in self._serving.board.workers:
            doing.update(one.presence.doing)
        count = len(self._serving.board.workers)
        yield GaugeMetricFamily("docpipe_fleet_workers", "Workers that were heard of lately.", count)
        yield GaugeMetricFamily("docpipe_conversions", "Conversions under way.", converters.busy)
        yield GaugeMetricFamily("docpipe_conversions_waiting", "Documents in line.", converters.waiting)
        yield GaugeMetricFamily("docpipe_conversion_places", "Workers at most.", converters.size)
        under_way = GaugeMetricFamily("docpipe_activities_under_way", "Of all workers.", labels=["activity"])
        for activity in Activity:
            under_way.add_metric([activity], doing[activity])
        yield under_way


def _worker(one: Heard, now: float) -> FleetWorker:
    presence = one.presence
    return FleetWorker(
        name=presence.name,
        queues=presence.queues,
        doing=presence.doing,
        since=moment(presence.since),
        heard=moment(_coarse(now - one.age)),
        version=presence.version,
        stopping=presence.stopping,
    )


def _coarse(when: float) -> float:
    """So that not every beat of a worker is an event."""
    return when // _STEP_S * _STEP_S
