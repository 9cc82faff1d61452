"""`docpipe check` reads the patients of schedules, and tries the receiver of notifications where asked to."""

import base64
import json
import time
from pathlib import Path

import pytest
from aiohttp import web

from docpipe.check import Bench, Finding
from docpipe.check.plans import receiver, schedules
from docpipe.config.config import Config, Docex, Patients, State, Tasktracker
from docpipe.config.notify import Notify
from docpipe.config.parsing import Secret
from docpipe.config.schedule import Schedule
from docpipe.model import Patient
from docpipe.patients import PatientDatabase
from docpipe.workers.inline import InlineWorkers

SECRET = Secret("whsec_" + base64.b64encode(b"k" * 24).decode())


def bench(config: Config, *, notify: bool = False) -> Bench:
    return Bench(config, lambda _: InlineWorkers("nowhere:nothing", clock=time.time), notify=notify)


async def test_schedules_are_read(tmp_path: Path) -> None:
    """How many patients each is for, and when; a file and a column that are not there are findings."""
    config = Config(
        patients=Patients(url=f"sqlite:///{tmp_path}/patients.db"),
        state=State(dir=str(tmp_path / "state")),
        source=tmp_path / "config.toml",
        schedule=(
            Schedule(name="all of them", patients=("all",), every="7d"),
            Schedule(name="listed", patients=("nobody.csv",), every="7d"),
            Schedule(name="ward", patients=("ward=B2",), every="0 3 * * *"),
            Schedule(name="one", patients=("id=P1",), every="7d"),
        ),
    )
    database = PatientDatabase(config.patients.url)
    await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ("P1", "P2")])
    await database.aclose()
    first, second, third, last = [result async for result in schedules(bench(config))]
    assert "2 patients, next 20" in str(first)
    assert "nobody.csv cannot be read" in str(second)
    assert isinstance(third, Finding)
    assert "1 patient, next 20" in str(last)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (204, "takes notifications (204)"),
        (401, "status 401"),
        (410, "status 410"),
        (404, "status 404"),
        (503, "status 503"),
    ],
)
async def test_the_receiver_is_tried_once(status: int, sentence: str) -> None:
    """One signed event that is no run's, and only where asked for; the path is not printed."""
    events = []

    async def receive(request: web.Request) -> web.Response:
        events.append(json.loads(await request.read()))
        assert request.headers["webhook-signature"].startswith("v1,")
        return web.Response(status=status)

    there = web.Application()
    there.router.add_post("/secret-path", receive)
    runner = web.AppRunner(there)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        notify = Notify(url=f"http://127.0.0.1:{port}/secret-path", secret=SECRET)
        config = Config(docex=Docex(base_url="fake"), tasktracker=Tasktracker(base_url="fake"), notify=notify)
        (untried,) = [result async for result in receiver(bench(config))]
        assert "`docpipe check --notify`" in str(untried)
        assert events == []
        (tried,) = [result async for result in receiver(bench(config, notify=True))]
        assert sentence in str(tried)
        assert "secret-path" not in f"{untried} {tried}"
        assert [event["type"] for event in events] == ["docpipe.test"]
    finally:
        await runner.cleanup()


async def test_nothing_is_tried_without_a_receiver() -> None:
    """Nor are there schedules."""
    assert [result async for result in receiver(bench(Config(), notify=True))] == []
    assert [result async for result in schedules(bench(Config()))] == []
