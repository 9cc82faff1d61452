"""CPU of a patient: docpipe against a bare script that makes the same requests without durability.

The servers run in a process of their own, and so do both clients, one after the other: what is counted is the
CPU of a client's process while it works, its start left out.
"""

import argparse
import asyncio
import contextlib
import io
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from docpipe import app
from docpipe.config.config import Config, Docex, Patients, State, Storage, Tasktracker
from docpipe.patients import PatientDatabase, checked
from docpipe.runtime.interpreter import tune_interpreter
from docpipe.util.fsync import sync_folder
from tests.benchmarks.figures import DISK, ROOT, Figure, cpu
from tests.simulation.world import CONVERTER

PATIENTS = 1000
_FAKES = (
    *("-m", "fakes", "--mix", "tiny", "--search-seconds", "0"),
    *("--search-rate", "none", "--status-rate", "none", "--tracker-rate", "none"),
)

Urls = dict[str, str]


@contextlib.contextmanager
def fakes_apart() -> Iterator[Urls]:
    """The servers in a process of their own, without quotas; their addresses."""
    words = (sys.executable, *_FAKES)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def person(name: str) -> dict[str, str]:
    return {"id": name, "given": "Ann", "family": "Lee", "birth_date": "1957-03-31"}


def _nothing(_: str, __: dict[str, bytes]) -> None:
    """What the bare script keeps."""


async def bare(
    urls: Urls, _: Path, patients: list[str], keep: Callable[[str, dict[str, bytes]], None] = _nothing
) -> dict[str, float]:
    """The same requests, nothing kept."""

    async def one(session: aiohttp.ClientSession, name: str) -> None:
        key = {"Idempotency-Key": f"bare-{name}"}
        task = {"title": f"patient {name}", "external_ref": f"bare-{name}", "status": "in_progress"}
        async with session.post(f"{urls['tracker_url']}/v1/tasks", json=task, headers=key) as answer:
            task_url = f"{urls['tracker_url']}/v1/tasks/{(await answer.json())['id']}"
        body = {"patient": person(name)}
        async with session.post(f"{urls['docex_url']}/v1/searches", json=body, headers=key) as answer:
            url = f"{urls['docex_url']}/v1/searches/{(await answer.json())['id']}"
        async with session.get(url) as answer:
            result = await answer.json()
        assert result["state"] == "ready", result
        async with session.get(result["archive"]["url"]) as answer:  # redirected, as docpipe is
            data = await answer.read()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {member: archive.read(member) for member in archive.namelist()}
        if keep is not _nothing:
            await asyncio.to_thread(keep, name, files)
        async with session.get(task_url) as answer:
            tag = {"If-Match": answer.headers["ETag"]}
            await answer.read()
        async with session.patch(task_url, json={"status": "completed"}, headers=tag) as answer:
            await answer.read()
        report = {"format": "markdown", "body": "done"}
        async with session.post(f"{task_url}/reports", json=report, headers=key) as answer:
            await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began, used = time.perf_counter(), cpu()
        await asyncio.gather(*(one(session, name) for name in patients))
        return {"cpu_s": cpu() - used, "wall_s": time.perf_counter() - began}


async def keeping(urls: Urls, folder: Path, patients: list[str]) -> dict[str, float]:
    """The same requests, and as many files as docpipe stores, on the disk; nothing that could be resumed."""

    def keep(name: str, files: dict[str, bytes]) -> None:
        for number, data in enumerate(files.values()):
            document = {"original.bin": data, "text.md": data, "metadata.json": b"{}"}
            _put(folder / "kept" / name / str(number), document)
        _put(folder / "kept" / name / "runs" / "1", dict.fromkeys(("a.html", "b.json", "c.json"), b"done"))

    return await bare(urls, folder, patients, keep)


def _put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, data in files.items():
        with (folder / "part").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (folder / "part").rename(folder / name)
    sync_folder(folder)
    sync_folder(folder.parent)


async def durable(urls: Urls, folder: Path, patients: list[str]) -> dict[str, float]:
    """docpipe itself, conversion passed through."""
    config = Config(
        docex=Docex(base_url=urls["docex_url"], search_rate=None, status_rate=None),
        tasktracker=Tasktracker(base_url=urls["tracker_url"], rate=None),
        patients=Patients(url=f"sqlite:///{folder}/patients.db"),
        storage=Storage(url=str(folder / "storage")),
        state=State(dir=str(folder / "state")),
    )
    database = PatientDatabase(config.patients.url)
    await database.put([checked(person(name)) for name in patients])
    await database.aclose()
    async with app.opened(config, rng=random.Random(0), converter=CONVERTER, inline=True) as docpipe:
        began, used = time.perf_counter(), cpu()
        await docpipe.engine.submit(patients)
        await docpipe.engine.wait()
        figures = {"cpu_s": cpu() - used, "wall_s": time.perf_counter() - began}
        runs = await docpipe.checkpoints.listing.page(limit=len(patients))
        assert {(run.patient_id, run.state) for run in runs} == {(name, "completed") for name in patients}
        return figures


CLIENTS: dict[str, Any] = {"bare": bare, "keeping": keeping, "durable": durable}


def apart(client: str, urls: Urls, folder: Path, patients: int, prefix: str = "B") -> dict[str, float]:
    """A client in a process of its own; patients' names begin with `prefix`."""
    words = (client, "--urls", json.dumps(urls), "--folder", str(folder), "--patients", str(patients))
    made = subprocess.run(
        (sys.executable, "-m", "tests.benchmarks.patients", *words, "--prefix", prefix),
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(made.stdout))


def overhead() -> list[Figure]:
    """CPU ms a patient of both, and patients a second."""
    with tempfile.TemporaryDirectory(dir=DISK) as name, fakes_apart() as urls:
        yardstick = apart("bare", urls, Path(name), PATIENTS)
        kept = apart("keeping", urls, Path(name), PATIENTS)
        mine = apart("durable", urls, Path(name), PATIENTS)
    each = 1000 / PATIENTS
    text, same = "bare script", "bare script that keeps the files"
    return [
        Figure("CPU", each * mine["cpu_s"], "ms", same, each * kept["cpu_s"], goal="<= 1.6 x"),
        Figure("CPU again", each * mine["cpu_s"], "ms", text, each * yardstick["cpu_s"]),
        Figure("patients", PATIENTS / mine["wall_s"], "/s", text, PATIENTS / yardstick["wall_s"]),
    ]


def main() -> None:
    """One of the clients, alone."""
    parser = argparse.ArgumentParser(description=overhead.__doc__)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--prefix", default="B")
    parser.add_argument("--urls", type=json.loads, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    args = parser.parse_args()
    os.umask(0o077)  # as the commands have it: what is private already is linked without another fsync
    tune_interpreter()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    patients = [f"{args.prefix}{number}" for number in range(args.patients)]
    print(json.dumps(asyncio.run(CLIENTS[args.client](args.urls, args.folder, patients))))


if __name__ == "__main__":
    main()
