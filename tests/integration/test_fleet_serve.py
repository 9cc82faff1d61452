"""`docpipe serve` on a fleet: the page's API over Temporal, with one worker in this process."""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from docpipe.config.notify import Notify
from docpipe.config.parsing import Secret
from docpipe.fleet.worker import FleetWorker, working
from tests.fleet_serve_support import FleetServed, serving
from tests.fleet_support import Machines, machines
from tests.fleet_worker import CONVERTER, ENTERED, OPEN

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
UI = "https://temporal.example/ui"


class Receiver:
    """Takes notifications, unless it is away."""

    def __init__(self) -> None:
        self.url = ""
        self.away = False
        self.messages: list[str] = []
        self.bodies: list[bytes] = []

    async def receive(self, request: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=503)
        self.messages.append(request.headers["webhook-id"])
        self.bodies.append(await request.read())
        return web.Response(status=204)


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """One that listens."""
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/", receiver.receive)
    server = TestServer(app)
    await server.start_server()
    receiver.url = str(server.make_url("/"))
    try:
        yield receiver
    finally:
        await server.close()


class World:
    """A fleet with a worker and a service."""

    def __init__(self, made: Machines, served: FleetServed, worker: FleetWorker, receiver: Receiver) -> None:
        self.machines = made
        self.receiver = receiver
        self.worker = worker
        self.served = served

    async def until(self, run_id: str, *states: str) -> Any:
        """The run, as soon as it is in one of these states."""
        async with asyncio.timeout(60):
            while (run := await self.served.get(f"/api/runs/{run_id}"))["state"] not in states:
                await asyncio.sleep(0.1)
        return run


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with machines(tmp_path_factory.mktemp("fleet")) as made, receiving() as receiver:
        notify = Notify(url=receiver.url, secret=Secret(f"whsec_{b64encode(bytes(32)).decode()}"))
        config = replace(made.config("worker"), notify=notify)
        async with (
            working(config, converter=CONVERTER, inline=True) as worker,
            serving(made, ui=UI, notify=notify) as served,
        ):
            yield World(made, served, worker, receiver)


async def test_a_run_from_end_to_end(world: World) -> None:
    """Submitted, seen with what it is at, listed, with activities and documents in the end."""
    OPEN.clear()
    while ENTERED.acquire(blocking=False):
        pass
    served = world.served
    answer = await served.ask("POST", "/api/runs", json={"patients": ["P100"], "priority": 3})
    (accepted,) = answer.json["runs"]
    assert (answer.status, accepted["created"], accepted["patient_id"]) == (202, True, "P100")
    (again,) = (await served.ask("POST", "/api/runs", json={"patients": ["P100"]})).json["runs"]
    assert (again["run_id"], again["created"]) == (accepted["run_id"], False)
    run_id = accepted["run_id"]
    await asyncio.to_thread(ENTERED.acquire)
    run = await world.until(run_id, "running")
    while run["doing"] is None or run["doing"]["activity"] != "ConvertFile":
        run = await served.get(f"/api/runs/{run_id}")
    assert run["task_id"]
    assert run["files"] == 4
    assert [step["activity"] for step in run["activities"]][:3] == [
        "GetPatientFromDB",
        "TaskTracker_Create",
        "DocEx_Search",
    ]
    (listed,) = (await served.get("/api/runs?state=running&q=P100"))["runs"]
    assert (listed["run_id"], listed["doing"]["activity"], listed["priority"]) == (run_id, "ConvertFile", 3)
    so_far = (await served.get(f"/api/runs/{run_id}/documents"))["documents"]
    assert len(so_far) == 4
    OPEN.set()
    run = await world.until(run_id, "completed")
    assert (run["documents"]["converted"], run["files"], run["doing"]) == (8, 8, None)
    assert {step["outcome"] for step in run["activities"]} == {"ok"}
    documents = (await served.get(f"/api/runs/{run_id}/documents"))["documents"]
    text = await served.ask("GET", documents[0]["files"]["text.md"])
    assert (text.status, bool(text.body)) == (200, True)
    async with asyncio.timeout(30):
        while (await served.get("/api/search?q=inner&patient=P100"))["total"] != 4:
            await asyncio.sleep(0.1)
    report = await served.ask("GET", f"/api/runs/{run_id}/files/report.html")
    assert (report.status, b"P100" in report.body) == (200, True)
    patient = await served.get("/api/patients/P100")
    assert patient["person"]["family"]
    assert [one["run_id"] for one in patient["runs"]] == [run_id]
    assert len(patient["documents"]) == 8


async def test_cancelled_and_refused(world: World) -> None:
    """A cancelled run says so at once, and ends; it cannot be cancelled again, nor retried."""
    OPEN.clear()
    while ENTERED.acquire(blocking=False):
        pass
    (run_id,) = await world.served.submit("P101")
    await asyncio.to_thread(ENTERED.acquire)
    answer = await world.served.ask("POST", f"/api/runs/{run_id}/cancel")
    assert (answer.status, answer.json["state"]) == (202, "cancelling")
    OPEN.set()
    run = await world.until(run_id, "cancelled")
    course = world.served.serving.mirror.run(run_id)
    assert course is not None
    page = (
        f"{UI}/namespaces/default/workflows/{course.workflow.replace(':', '%3A')}/{course.execution}/history"
    )
    assert run["temporal_url"] == page
    for what in ("cancel", "retry"):
        answer = await world.served.ask("POST", f"/api/runs/{run_id}/{what}")
        assert answer.status == 409, answer.body
    unknown = await world.served.ask("GET", f"/api/runs/{run_id[:-4]}0000")
    assert (unknown.status, unknown.json["type"]) == (404, "urn:docpipe:problem:no-such-run")


async def test_a_retry(world: World) -> None:
    """From an activity on; the run is the same one."""
    (run_id,) = await world.served.submit("P102")
    await world.until(run_id, "completed")
    answer = await world.served.ask("POST", f"/api/runs/{run_id}/retry", json={"from": "GenerateReport"})
    assert (answer.status, answer.json["retries"], answer.json["run_id"]) == (202, 1, run_id)
    run = await world.until(run_id, "completed")
    assert run["retries"] == 1


async def test_a_submission_with_a_key(world: World) -> None:
    """Sent again, also to another service of the fleet, it has the same answer and no second effect."""
    words: Any = {"json": {"patients": ["P103"]}, "headers": {"Idempotency-Key": "once"}}
    first = await world.served.ask("POST", "/api/runs", **words)
    run_id = first.json["runs"][0]["run_id"]
    await world.until(run_id, "completed")
    async with serving(world.machines, "another") as another:
        again = await another.ask("POST", "/api/runs", **words)
        assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
        other = await another.ask("POST", "/api/runs", **{**words, "json": {"patients": ["P104"]}})
        assert other.status == 422
        assert [run["run_id"] for run in (await another.get("/api/runs?q=P103"))["runs"]] == [run_id]
    assert not [path for path in world.machines.folder.rglob("replies/*/*") if b"P103" in path.read_bytes()]


async def test_runs_of_others(world: World) -> None:
    """What a command begins, and ends, comes to be known by itself; pages follow each other."""
    async with world.machines.runs() as runs:
        submitted = await runs.submit([f"P{number}" for number in range(105, 110)])
        await runs.wait(submitted)
    ids = sorted((run.stored.run_id for run in submitted), reverse=True)
    async with asyncio.timeout(30):
        known = set[str]()
        while not known >= set(ids):
            known = {run["run_id"] for run in (await world.served.get("/api/runs?state=completed"))["runs"]}
    seen = []
    cursor: str | None = ""
    while cursor is not None:
        page = await world.served.get(f"/api/runs?state=completed&limit=2{cursor and f'&cursor={cursor}'}")
        seen += [run["run_id"] for run in page["runs"]]
        cursor = page["next"]
    assert seen[:5] == ids
    assert page["total"] == len(seen)
    summary = await world.served.get("/api/summary")
    assert summary["counts"]["completed"] == len(seen)


async def test_events(world: World) -> None:
    """A reader hears of a run from its begin to its end."""
    url = f"{world.served.address}/api/events"
    async with world.served.session.get(url) as response, asyncio.timeout(60):
        await response.content.readuntil(b"event: reset")
        OPEN.clear()
        (run_id,) = await world.served.submit("P111")
        await _event_of(response, run_id, "ConvertFile")
        OPEN.set()
        await _event_of(response, run_id, '"state":"completed"')


async def _event_of(response: aiohttp.ClientResponse, run_id: str, words: str) -> None:
    """Wait for an event of a run with these words."""
    heard = b""
    while not (heard.count(b"event: run") and run_id.encode() in heard and words.encode() in heard):
        heard = await response.content.readuntil(b"\n\n")


async def test_a_service_is_paused_for_all_workers(world: World) -> None:
    """A run waits for it, and says so; Redis may lose the pause meanwhile. Then it is taken back."""
    served = world.served
    assert (await served.ask("POST", "/api/services/nothing/pause")).status == 404
    assert (await served.ask("POST", "/api/services/tasktracker/pause")).status == 204
    await _until(lambda: "tasktracker" in world.worker.gates.pauses)
    (run_id,) = await served.submit("P112")
    async with asyncio.timeout(60):
        run = await served.get(f"/api/runs/{run_id}")
        while (run["doing"] or {}).get("wait") is None or run["doing"]["wait"]["kind"] != "pause":
            await asyncio.sleep(0.2)
            run = await served.get(f"/api/runs/{run_id}")
    world.machines.store.empty()
    await _until(lambda: bool(world.machines.store.client.exists("{docpipe}:pauses")))
    async with serving(world.machines, "other") as other:
        (tracker,) = [
            one for one in (await other.get("/api/services"))["services"] if one["name"] == "tasktracker"
        ]
        assert tracker["state"] == "paused" or await _paused(other, "tasktracker")
        assert (await other.ask("POST", "/api/services/tasktracker/resume")).status == 204
    await world.until(run_id, "completed")


async def test_everything_is_paused(world: World) -> None:
    """A run that was submitted meanwhile goes on when it is taken back."""
    assert (await world.served.ask("POST", "/api/pause")).status == 204
    assert (await world.served.get("/api/services"))["paused"]
    await _until(lambda: "" in world.worker.gates.pauses)
    (run_id,) = await world.served.submit("P113")
    assert (await world.served.ask("POST", "/api/resume")).status == 204
    await world.until(run_id, "completed")


async def _paused(served: FleetServed, name: str) -> bool:
    async with asyncio.timeout(30):
        while not any(
            one["name"] == name and one["paused"] for one in (await served.get("/api/services"))["services"]
        ):
            await asyncio.sleep(0.2)
    return True


async def _until(true: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.1)


async def test_the_workers_and_quotas(world: World) -> None:
    """Who works and what at, from Redis and Temporal; quotas as all processes have used them."""
    OPEN.clear()
    while ENTERED.acquire(blocking=False):
        pass
    try:
        (run_id,) = await world.served.submit("P114")
        await asyncio.to_thread(ENTERED.acquire)
        async with asyncio.timeout(30):
            while not (services := await world.served.get("/api/services"))["fleet"]["workers"][0][
                "doing"
            ].get("ConvertFile"):
                await asyncio.sleep(0.2)
        (worker,) = services["fleet"]["workers"]
        assert (worker["name"], worker["queues"]) == (
            world.worker.name,
            ["begin", "docex", "tracker", "convert"],
        )
        assert worker["doing"]["ConvertFile"] >= 1
        assert services["workers"]["busy"] == 1
        assert "docpipe_fleet_workers 1.0" in await world.served.metrics()
    finally:
        OPEN.set()
    used = 0.0
    (other_id,) = await world.served.submit("P115")
    async with asyncio.timeout(60):
        while not used:
            services = (await world.served.get("/api/services"))["services"]
            used = sum(quota["used"] for one in services for quota in one["quotas"])
            await asyncio.sleep(0.1)
    for one in (run_id, other_id):
        await world.until(one, "completed")


async def test_a_receiver_is_notified_once(world: World) -> None:
    """Of each end, also of one while it was away, without keeping the run unfinished."""
    world.receiver.away = True
    (run_id,) = await world.served.submit("P116")
    await world.until(run_id, "completed")
    assert (await world.served.get("/api/notifications"))["configured"]
    async with asyncio.timeout(30):
        while "docpipe_notifications_waiting 1.0" not in await world.served.metrics():
            await asyncio.sleep(0.2)
    assert f"msg_{run_id}_0" not in world.receiver.messages
    world.receiver.away = False
    await _until(lambda: f"msg_{run_id}_0" in world.receiver.messages, 60)
    async with asyncio.timeout(60):
        while (await world.served.get("/api/notifications"))["waiting"]:
            await asyncio.sleep(0.2)
    assert world.receiver.messages.count(f"msg_{run_id}_0") == 1
    assert "docpipe_notifications_waiting 0.0" in await world.served.metrics()
    assert world.worker.fleet_activities.notified == len(world.receiver.messages)
    assert not [body for body in world.receiver.bodies if b"P116" in body]


async def test_a_patient_is_forgotten(world: World) -> None:
    """Documents and histories go, and the list has no run any more."""
    (run_id,) = await world.served.submit("P117")
    await world.until(run_id, "completed")
    answer = await world.served.ask("DELETE", "/api/patients/P117")
    assert (answer.status, answer.json["runs"]) == (200, [run_id]), answer.body
    assert answer.json["documents"] == 8
    assert not (await world.served.get("/api/runs?q=P117"))["runs"]
    assert (await world.served.ask("GET", f"/api/runs/{run_id}/documents")).status in (200, 404)


async def test_health_and_metrics(world: World) -> None:
    """Ready while Temporal and the storage answer; runs are counted."""
    assert (await world.served.get("/readyz")) == {"ready": True}
    text = await world.served.metrics()
    assert 'docpipe_runs{state="completed"}' in text
    assert "docpipe_temporal_up 1.0" in text
    assert "docpipe_quota_store_up 1.0" in text
