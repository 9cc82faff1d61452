"""What a worker answers to an orchestrator and to Prometheus: nothing of a patient, and no token."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from temporalio.service import RPCError, RPCStatusCode

from docpipe.errors import ConfigError
from docpipe.fleet.activities import FleetActivities
from docpipe.fleet.probes import Probes, listening
from docpipe.gates import Attempt
from docpipe.model import Activity
from tests.object_stores import gate_of
from tests.ports import free_port


class Temporal:
    """A connection whose health a test sets."""

    def __init__(self) -> None:
        self.healthy = True
        self.service_client = self

    async def check_health(self, **_words: Any) -> bool:
        if not self.healthy:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        return True


@pytest.fixture
def temporal() -> Any:
    return Temporal()


@pytest.fixture
async def gates() -> Any:
    gate = gate_of()
    store = SimpleNamespace(down_since=None)
    return SimpleNamespace(
        services={"docex": gate.service}, quotas={"docex.search": gate.quota}, observers=[], store=store
    )


@pytest.fixture
def fleet_activities(temporal: Any) -> FleetActivities:
    return FleetActivities(temporal, SimpleNamespace(), SimpleNamespace())


async def asked(address: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{address}{path}") as answer:
        return answer.status, await answer.text()


async def test_a_worker_is_ready_until_temporal_is_away_or_it_stops(
    temporal: Any, gates: Any, fleet_activities: FleetActivities
) -> None:
    """It lives all the while: to start it anew would mend nothing."""
    async with listening(Probes(temporal, gates, fleet_activities), f"127.0.0.1:{free_port()}") as address:
        assert await asked(address, "/readyz") == (200, '{"ready": true, "reasons": []}')
        temporal.healthy = False
        status, text = await asked(address, "/readyz")
        assert (status, "Temporal does not answer" in text) == (503, True)
        assert (await asked(address, "/livez"))[0] == 200
        temporal.healthy = True
        fleet_activities.stopping.set()
        status, text = await asked(address, "/readyz")
        assert (status, "docpipe is stopping" in text) == (503, True)
        assert (await asked(address, "/"))[0] == 404


async def test_metrics(temporal: Any, gates: Any, fleet_activities: FleetActivities) -> None:
    """Activities, requests, services, quotas and the quota store, as they are counted elsewhere."""
    async with listening(Probes(temporal, gates, fleet_activities), f"127.0.0.1:{free_port()}") as address:
        step: Any = object()
        fleet_activities.under_way[step] = Activity.CONVERT
        fleet_activities.listeners[0](Activity.STORE, "ok", 0.5)
        fleet_activities.delivery, fleet_activities.notified = SimpleNamespace(), 3  # type: ignore[assignment]
        gates.observers[0](Attempt("docex", "docex.search", "R1", "POST", 0.1, 0.0, 0.2, 202, None))
        gates.store.down_since = 1.0
        status, text = await asked(address, "/metrics")
    assert status == 200
    for line in (
        'docpipe_activities_under_way{activity="ConvertFile"} 1.0',
        'docpipe_activities_total{activity="PutToStorage",outcome="ok"} 1.0',
        'docpipe_requests_total{endpoint="docex.search",status="202"} 1.0',
        'docpipe_service_up{service="storage"} 1.0',
        "docpipe_quota_store_up 0.0",
        "docpipe_notifications_total 3.0",
    ):
        assert line in text.splitlines()
    assert "R1" not in text


async def test_an_address_that_is_taken_is_named(
    temporal: Any, gates: Any, fleet_activities: FleetActivities
) -> None:
    """With what to do."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConfigError, match=rf"fleet\.probes: 127\.0\.0\.1:{port} cannot be listened on"):
            async with listening(Probes(temporal, gates, fleet_activities), f"127.0.0.1:{port}"):
                pass
