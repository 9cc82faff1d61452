"""`docpipe serve` on a fleet while Temporal is away: it says so, lists what it knew, then continues."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from docpipe.fleet.worker import working
from tests.fleet_serve_support import FleetServed, serving
from tests.fleet_support import Machines, machines
from tests.fleet_worker import CONVERTER, ENTERED, OPEN

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
PROMPTLY_S = 30.0
"""Within this the service has to know: its patience with Temporal, and what a busy machine adds."""
SOON_S = 120.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Machines, FleetServed]]:
    async with (
        machines(tmp_path_factory.mktemp("fleet")) as made,
        working(made.config("worker"), converter=CONVERTER, inline=True),
        serving(made) as served,
    ):
        yield made, served


async def until(ask: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], seconds: float) -> Any:
    """The first answer that is good."""
    async with asyncio.timeout(seconds):
        while not good(answer := await ask()):
            await asyncio.sleep(0.2)
    return answer


async def test_temporal_is_away_and_comes_back(fleet: tuple[Machines, FleetServed]) -> None:
    """A run under way completes, what is read is what was known, and what cannot be done is refused soon."""
    made, served = fleet
    (done,) = await served.submit("P100")
    await until(lambda: served.get(f"/api/runs/{done}"), lambda run: run["state"] == "completed", SOON_S)
    OPEN.clear()
    while ENTERED.acquire(blocking=False):
        pass
    (held,) = await served.submit("P101")
    await asyncio.to_thread(ENTERED.acquire)
    made.temporal.kill()
    try:
        async with asyncio.timeout(PROMPTLY_S):
            refused = await served.ask("POST", "/api/runs", json={"patients": ["P102"]})
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10"), refused.body
        assert "Temporal does not answer" in refused.json["detail"]
        ready = await until(lambda: served.ask("GET", "/readyz"), lambda one: one.status == 503, PROMPTLY_S)
        assert "Temporal does not answer" in ready.json["detail"]
        await until(served.metrics, lambda text: "docpipe_temporal_up 0.0" in text, PROMPTLY_S)
        fleet_view = (await served.get("/api/services"))["fleet"]
        assert "Temporal does not answer" in fleet_view["trouble"]
        assert (await served.ask("GET", "/healthz")).status == 200
        known = {run["run_id"]: run["state"] for run in (await served.get("/api/runs"))["runs"]}
        assert (known[done], known[held]) == ("completed", "running")
    finally:
        made.temporal.start()
        OPEN.set()
    await until(lambda: served.ask("GET", "/readyz"), lambda one: one.status == 200, SOON_S)
    await until(lambda: served.get(f"/api/runs/{held}"), lambda run: run["state"] == "completed", SOON_S)
    await until(served.metrics, lambda text: "docpipe_temporal_up 1.0" in text, SOON_S)
    assert (await served.get("/api/services"))["fleet"]["trouble"] is None
    (again,) = await served.submit("P102")
    await until(lambda: served.get(f"/api/runs/{again}"), lambda run: run["state"] == "completed", SOON_S)
    assert len(made.tasks()) == 3
