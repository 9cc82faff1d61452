"""Notifications in virtual time: each end of a run once, signed, through outages, restarts and crashes."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web

import fakes
from docpipe import app
from docpipe.config.config import Config
from docpipe.config.notify import Notify
from docpipe.config.parsing import Secret
from docpipe.model import Patient, Rate, RunState
from docpipe.patients import PatientDatabase
from docpipe.storage import hashed_names
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of

pytestmark = pytest.mark.virtual

KEY = bytes(range(32))
SECRET = Secret("whsec_" + base64.b64encode(KEY).decode())


@dataclass
class Receiver:
    """Notes every request, verifies its signature, and answers as a test wants."""

    answers: Callable[[int], int] = lambda _: 204
    """The status for each request, by its number from 0."""
    bodies: dict[str, list[bytes]] = field(default_factory=dict)
    """The bodies of each id that was confirmed."""
    times: list[float] = field(default_factory=list)
    url: str = ""

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        message, sent = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        digest = hmac.new(KEY, f"{message}.{sent}.".encode() + body, hashlib.sha256).digest()
        assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert abs(float(sent) - virtual.wall_clock()) <= 1.0
        self.times.append(virtual.wall_clock())
        status = self.answers(len(self.times) - 1)
        if 200 <= status < 300:
            self.bodies.setdefault(message, []).append(body)
        return web.Response(status=status)

    @property
    def events(self) -> list[dict]:
        return [json.loads(bodies[0]) for bodies in self.bodies.values()]


@contextlib.asynccontextmanager
async def world(folder: Path, receiver: Receiver, patients: int = 6, **notify) -> AsyncIterator[Config]:
    """The fakes, a receiver, and a configuration that notifies it."""
    plan = Plan(folder, patients=patients, search_rate=None)
    there = web.Application()
    there.router.add_post("/hook", receiver.receive)
    runner = web.AppRunner(there)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    async with fakes.serve(options_of(plan)) as running:
        notify = {"url": receiver.url, "secret": SECRET, **notify}
        config = replace(config_of(plan, running), notify=Notify(**notify))
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Zoe", "Quux", "1957-03-31") for id_ in ids(patients)])
        await database.aclose()
        try:
            yield config
        finally:
            await runner.cleanup()


def opened(config: Config):
    return app.opened(
        config, clock=virtual.wall_clock, rng=random.Random(1), converter=CONVERTER, inline=True
    )


async def test_each_end_of_a_run_is_notified_once(tmp_path: Path) -> None:
    """Completed, failed and cancelled runs, and a retry again: state, counts and times, and nobody's name."""
    receiver = Receiver()
    async with world(tmp_path, receiver) as config:
        async with opened(config) as docpipe:
            runs = await docpipe.engine.submit([*ids(5), "nobody"])
            await docpipe.engine.cancel(runs[4].run_id)
            await docpipe.engine.wait()
            await docpipe.engine.retry(runs[5].run_id)
            await docpipe.engine.wait()
            ended = {run.run_id: run for run in await docpipe.checkpoints.runs([run.run_id for run in runs])}
        assert all(len(bodies) == 1 for bodies in receiver.bodies.values())
        data = [event["data"] for event in receiver.events]
        assert Counter(one["run_id"] for one in data) == Counter([*ended, runs[5].run_id])
        assert Counter(one["state"] for one in data) == {"completed": 4, "failed": 2, "cancelled": 1}
        assert [one["retries"] for one in data if one["run_id"] == runs[5].run_id] == [0, 1]
        for event in receiver.events:
            one, run = event["data"], ended[event["data"]["run_id"]]
            assert event["type"] == "run.ended"
            assert event["timestamp"] == one["finished_at"]
            assert one["finished_at"].endswith("Z")
            if run.state is RunState.COMPLETED:
                assert {name: count for name, count in one["documents"].items() if count} == run.counts
            assert "patient" not in one
        sent = b"".join(body for bodies in receiver.bodies.values() for body in bodies)
        assert not any(word in sent for word in (b"Zoe", b"Quux", b"1957", b"S0000", b"nobody"))


async def test_a_keyed_hash_names_the_patient(tmp_path: Path) -> None:
    """Where that is configured: the name of the patient's folder in a storage with hashed names."""
    receiver = Receiver()
    async with world(tmp_path, receiver, patient="hash") as config:
        key = "k" * 32
        config = replace(config, storage=replace(config.storage, prefix_key=Secret(key)))  # noqa: PLW2901
        async with opened(config) as docpipe:
            await docpipe.engine.submit(ids(1))
            await docpipe.engine.wait()
    assert [event["data"]["patient"] for event in receiver.events] == [hashed_names(key)("S00000")]


@pytest.mark.parametrize("status", [503, 404, 401, 500])
async def test_an_outage_of_the_receiver_is_waited_out(tmp_path: Path, status: int) -> None:
    """Runs do not wait for it; while it is down one request probes, and afterwards each comes once."""
    receiver = Receiver()
    async with world(tmp_path, receiver) as config, opened(config) as docpipe:
        began = virtual.wall_clock()
        receiver.answers = lambda _: 204 if virtual.wall_clock() >= began + 3600.0 else status
        await docpipe.engine.submit(ids(6))
        await docpipe.engine.wait()
        assert virtual.wall_clock() < began + 600.0
        await asyncio.sleep(1200.0)
        view = await docpipe.notifier.view()
        assert (view.waiting, view.delivered, view.stopped) == (6, 0, False)
        assert not docpipe.services["notify"].view().up
        await asyncio.sleep(3600.0)
        view = await docpipe.notifier.view()
        assert (view.waiting, view.delivered, view.stopped) == (0, 6, False)
        assert len(receiver.bodies) == 6
        assert len(receiver.times) < 100


async def test_what_was_not_delivered_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    """The same ids and bytes, whichever process sends them; where none is configured, nothing is noted."""
    receiver = Receiver(lambda _: 503)
    async with world(tmp_path, receiver) as config:
        async with opened(config) as docpipe:
            await docpipe.engine.submit(ids(3))
            await docpipe.engine.wait()
        async with opened(replace(config, notify=Notify())) as docpipe:
            await docpipe.engine.submit(ids(6)[3:])
            await docpipe.engine.wait()
        assert receiver.bodies == {}
        receiver.answers = lambda _: 200
        async with opened(config) as docpipe:
            await asyncio.sleep(5.0)
            assert (await docpipe.notifier.view()).waiting == 0
        assert len(receiver.bodies) == 3


async def test_a_lost_confirmation_repeats_the_same(tmp_path: Path) -> None:
    """A process that dies between delivery and its note delivers again: the same id, the same bytes."""
    receiver = Receiver()
    async with world(tmp_path, receiver) as config:
        async with opened(config) as docpipe:
            outbox = docpipe.checkpoints.outbox
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(type(outbox), "delivered", lambda *_: asyncio.Event().wait())
                await docpipe.engine.submit(ids(1))
                await docpipe.engine.wait()
                await asyncio.sleep(5.0)
                assert [len(bodies) for bodies in receiver.bodies.values()] == [1]
                docpipe.notifier._task.cancel()
        async with opened(config):
            await asyncio.sleep(5.0)
        ((first, second),) = receiver.bodies.values()
        assert first == second


async def test_a_receiver_that_is_gone_gets_no_more(tmp_path: Path) -> None:
    """410 ends the delivery for this process; the notifications wait for the next one."""
    receiver = Receiver(lambda _: 410)
    async with world(tmp_path, receiver) as config:
        async with opened(config) as docpipe:
            await docpipe.engine.submit(ids(6))
            await docpipe.engine.wait()
            await asyncio.sleep(3600.0)
            view = await docpipe.notifier.view()
            assert (view.waiting, view.stopped) == (6, True)
            assert len(receiver.times) <= 6
        receiver.answers = lambda _: 204
        async with opened(config):
            await asyncio.sleep(5.0)
        assert len(receiver.bodies) == 6


async def test_nothing_leaves_while_everything_is_paused(tmp_path: Path) -> None:
    """Nor while `notify` alone is paused."""
    receiver = Receiver()
    async with world(tmp_path, receiver) as config, opened(config) as docpipe:
        await docpipe.pause("notify")
        await docpipe.engine.submit(ids(2))
        await docpipe.engine.wait()
        await asyncio.sleep(600.0)
        assert receiver.times == []
        await docpipe.unpause("notify")
        await asyncio.sleep(5.0)
        assert len(receiver.bodies) == 2


async def test_the_quota_of_the_receiver(tmp_path: Path) -> None:
    """Never more requests in a window than it asks for."""
    receiver = Receiver()
    async with world(tmp_path, receiver, patients=12, rate=None) as config:
        slow = replace(config, notify=replace(config.notify, rate=Rate(3, 60.0)))
        async with opened(slow) as docpipe:
            await docpipe.engine.submit(ids(12))
            await docpipe.engine.wait()
            await asyncio.sleep(600.0)
    assert len(receiver.bodies) == 12
    assert all(
        later - earlier >= 59.0 for earlier, later in zip(receiver.times, receiver.times[3:], strict=False)
    )


async def test_redirects_lead_nowhere_else(tmp_path: Path) -> None:
    """A receiver that redirects to another origin is down; nothing is sent there."""
    other = Receiver()
    receiver = Receiver()

    async def lead_away(request: web.Request) -> web.Response:
        receiver.times.append(virtual.wall_clock())
        return web.Response(status=307, headers={"Location": other.url})

    receiver.receive = lead_away
    elsewhere, here = tmp_path / "other", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    async with world(elsewhere, other), world(here, receiver) as config, opened(config) as docpipe:
        await docpipe.engine.submit(ids(1))
        await docpipe.engine.wait()
        await asyncio.sleep(600.0)
        assert (await docpipe.notifier.view()).waiting == 1
    assert receiver.times
    assert other.times == []


async def test_the_end_and_its_notification_are_one_transaction(tmp_path: Path) -> None:
    """Whatever the disk has at any moment: as many ended runs as notifications, while none is delivered."""
    receiver = Receiver(lambda _: 503)
    async with world(tmp_path, receiver) as config, opened(config) as docpipe:
        await docpipe.engine.submit(ids(6))
        working = asyncio.create_task(docpipe.engine.wait())
        seen = set()
        while not working.done():
            with contextlib.closing(sqlite3.connect(config.state_dir / "checkpoints.db")) as db:
                counts = db.execute(
                    "SELECT (SELECT count(*) FROM runs WHERE finished_at IS NOT NULL), "
                    "(SELECT count(*) FROM notifications)"
                ).fetchone()
            assert counts[0] == counts[1]
            seen.add(counts[0])
            await asyncio.sleep(0.5)
        assert len(seen) > 1
