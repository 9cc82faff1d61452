"""CPU of a patient: docpipe against a bare script that makes the same requests without durability."""

import asyncio
import io
import logging
import random
import resource
import tempfile
import time
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import structlog

import fakes
from docpipe import service
from docpipe.patients import PatientDatabase, checked
from tests.simulation.world import CONVERTER, Plan, config_of

PATIENTS = 200


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def person(number: int) -> dict[str, str]:
    return {"id": f"B{number}", "given": "Ann", "family": "Lee", "birth_date": "1957-03-31"}


async def bare(running: fakes.Running) -> None:
    """The same requests, nothing kept."""

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        key = {"Idempotency-Key": f"bare-{number}"}
        task = {"title": f"patient B{number}", "external_ref": f"bare-{number}", "status": "in_progress"}
        async with session.post(f"{running.tracker_url}/v1/tasks", json=task, headers=key) as answer:
            task_url = f"{running.tracker_url}/v1/tasks/{(await answer.json())['id']}"
        body = {"patient": person(number)}
        async with session.post(f"{running.docex_url}/v1/searches", json=body, headers=key) as answer:
            url = f"{running.docex_url}/v1/searches/{(await answer.json())['id']}"
        while True:
            async with session.get(url) as answer:
                found = await answer.json()
            if found["state"] == "ready":
                break
            await asyncio.sleep(0.1)
        async with session.get(urljoin(running.docex_url, found["archive"]["url"])) as answer:
            data = await answer.read()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                archive.read(name)
        async with session.patch(task_url, json={"status": "completed"}) as answer:
            await answer.read()
        report = {"format": "markdown", "body": "done"}
        async with session.post(f"{task_url}/reports", json=report, headers=key) as answer:
            await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session, number) for number in range(PATIENTS)))


async def durable(running: fakes.Running, folder: Path) -> None:
    """docpipe itself, conversion passed through."""
    plan = Plan(folder, search_rate=None, status_rate=None, tracker_rate=None)
    config = config_of(plan, running)
    database = PatientDatabase(config.patients.url, time.time)
    await database.put([checked(person(number)) for number in range(PATIENTS)])
    await database.close()
    async with service.opened(config, rng=random.Random(0), converter=CONVERTER, inline=True) as docpipe:
        await docpipe.engine.submit([f"B{number}" for number in range(PATIENTS)])
        await docpipe.engine.wait()


def overhead() -> dict[str, float]:
    """CPU ms a patient of both, the servers' share (in the same process) included in both."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rates = {"search_rate": None, "status_rate": None, "tracker_rate": None}
    options = fakes.FakeOptions(mix="tiny", search_seconds=(0.0, 0.0), **rates)

    async def both(folder: Path) -> tuple[float, float]:
        async with fakes.serve(options) as running:
            began = cpu()
            await bare(running)
            middle = cpu()
            await durable(running, folder)
            return middle - began, cpu() - middle

    with tempfile.TemporaryDirectory() as name:
        yardstick, mine = asyncio.run(both(Path(name)))
    each = 1000 / PATIENTS
    return {"cpu_ms_a_patient": mine * each, "bare_ms": yardstick * each, "ratio": mine / yardstick}
