"""How a fleet stands: services, quotas and workers, throughput, and metrics."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from docpipe import __version__
from docpipe.api import shapes
from docpipe.api.shapes import moment
from docpipe.engine.pace import by_hour
from docpipe.engine.throughput import Throughput
from docpipe.errors import UsageError
from docpipe.fleet.serving import FleetServing
from docpipe.model import RunState
from docpipe.web.overview import gates_view
from docpipe.wiring.metrics import of_quotas, of_services

_LOOK_BACK_S: Final = 900.0
_ENOUGH: Final = 5
_SEARCHES: Final = "docex.search"


class Figures:
    """What the page's view of services, and the metrics, show."""

    def __init__(self, serving: FleetServing) -> None:
        self._serving = serving
        self._throughput = Throughput(serving.mirror.rows.listing)
        self._counts: dict[RunState, int] = {}
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    @property
    def paused_since(self) -> float | None:
        """Since when everything is paused, None while it is not."""
        return self._serving.gates.pauses.get("")

    async def pause(self, name: str | None) -> None:
        """Pause a service, or everything."""
        raise UsageError(f"pause {name}")

    async def unpause(self, name: str | None) -> None:
        """Take that back."""
        raise UsageError(f"pause {name}")

    def services(self) -> shapes.Services:
        """Services, quotas and workers."""
        gates = self._serving.gates
        return shapes.Services(
            paused=moment(self.paused_since),
            services=gates_view(gates.services.values(), gates.quotas),
            workers=shapes.Workers(size=0, busy=0, waiting=0),
            checkpoints=shapes.CheckpointDatabase(full_since=None, trouble=None, trouble_since=None),
        )

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
        """What most runs seem to wait for: whoever is away, else the quota with a line."""
        gates = self._serving.gates
        if self.paused_since is not None:
            return "pause"
        if gates.store is not None and gates.store.down_since is not None:
            return "quota store"
        for name in ("docex", "tasktracker", "patients"):
            if not gates.services[name].view().up:
                return name
        return None

    async def metrics(self) -> bytes:
        """Metrics in Prometheus' text format."""
        self._counts = await self._serving.mirror.rows.listing.counts()
        return generate_latest(self._registry)

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
        gates = self._serving.gates
        yield from of_services(service.view() for service in gates.services.values())
        up = None if gates.store is None else gates.store.down_since is None
        yield from of_quotas((quota.view() for quota in gates.quotas.values()), store_up=up)
