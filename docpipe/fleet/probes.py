"""The probes of a worker: liveness, readiness and metrics on a port of its own.

Nothing there is about a patient, so that it needs no token.
"""

import asyncio
import contextlib
from collections import Counter as Counted
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from temporalio.client import Client
from temporalio.service import RPCError

from docpipe import __version__
from docpipe.errors import ConfigError
from docpipe.fleet.activities import FleetActivities
from docpipe.model import Activity
from docpipe.wiring.gates import Gates
from docpipe.wiring.metrics import DURATIONS, Requests, of_quotas, of_services

_PATIENCE_S: Final = 3.0


class Probes:
    """The answers of one worker.

    Args:
        client: its connection to Temporal.
        gates: what its requests pass.
        fleet_activities: what it does.
    """

    def __init__(self, client: Client, gates: Gates, fleet_activities: FleetActivities) -> None:
        self._client = client
        self._gates = gates
        self._doer = fleet_activities
        here = self._registry = CollectorRegistry()
        self._activities = Counter(
            "docpipe_activities",
            "Tries of activities that have ended.",
            ("activity", "outcome"),
            registry=here,
        )
        self._durations = Histogram(
            "docpipe_activity_duration_seconds",
            "How long tries of activities took, waits on this worker included.",
            ("activity",),
            buckets=DURATIONS,
            registry=here,
        )
        ProcessCollector(registry=here)
        here.register(self)
        fleet_activities.listeners.append(self._ended)
        gates.observers.append(Requests(here).attempted)

    def _ended(self, activity: Activity, outcome: str, seconds: float) -> None:
        self._activities.labels(activity, outcome).inc()
        self._durations.labels(activity).observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client.registry.Collector."""
        yield InfoMetricFamily("docpipe_build", "Which docpipe this is.", {"version": __version__})
        counted = Counted(self._doer.under_way.values())
        doing = GaugeMetricFamily("docpipe_activities_under_way", "Of this worker.", labels=["activity"])
        for activity in Activity:
            doing.add_metric([activity], counted[activity])
        yield doing
        yield from of_services(service.view() for service in self._gates.services.values())
        store = self._gates.store
        up = None if store is None else store.down_since is None
        yield from of_quotas((quota.view() for quota in self._gates.quotas.values()), store_up=up)
        if self._doer.delivery is not None:
            yield CounterMetricFamily("docpipe_notifications", "Delivered.", self._doer.notified)

    async def livez(self, _request: web.Request) -> web.Response:
        """200 as long as the event loop runs."""
        return web.json_response({"live": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 where it can take up work, else 503 with the reasons."""
        reasons = []
        if self._doer.stopping.is_set():
            reasons.append("docpipe is stopping.")
        elif not await self._temporal_answers():
            reasons.append("Temporal does not answer.")
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def _temporal_answers(self) -> bool:
        try:
            timeout = timedelta(seconds=_PATIENCE_S)
            async with asyncio.timeout(2 * _PATIENCE_S):
                return await self._client.service_client.check_health(timeout=timeout)
        except (RPCError, RuntimeError, TimeoutError):
            return False

    async def metrics(self, _request: web.Request) -> web.Response:
        """Metrics in Prometheus' text format."""
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


@contextlib.asynccontextmanager
async def listening(probes: Probes, address: str) -> AsyncIterator[str]:
    """Answer on an address, as of `fleet.probes`; yields that which it has.

    Raises:
        ConfigError: if the address cannot be had.
    """
    app = web.Application()
    app.add_routes(
        [
            web.get("/livez", probes.livez),
            web.get("/readyz", probes.readyz),
            web.get("/metrics", probes.metrics),
        ]
    )
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, host.strip("[]"), int(port))
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"fleet.probes: {address} cannot be listened on: {error.strerror}. Name an address of this "
                "machine with a free port, or leave it out."
            ) from error
        yield f"http://{address}"
    finally:
        await runner.cleanup()
