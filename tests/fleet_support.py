"""A fleet in a folder: its servers, its fakes, and docpipe as several machines have it."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fakes
from docpipe.config.config import Config, Convert, Docex, Patients, State, Storage, Tasktracker
from docpipe.config.fleet import Fleet
from docpipe.config.parsing import Secret
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.opening import open_fleet
from docpipe.model import Rate
from docpipe.patients import checked
from docpipe.wiring.backends import open_patients
from fakes.quota import Rate as FakeRate
from tests import fleet_servers, quota_store
from tests.acceptance.conftest import ROOT, Box, Ended

PATIENTS = [f"P{number}" for number in range(100, 130)]
FAST = Rate(10, 1.0)
"""A window so short that the quotas of a fresh store open soon."""


@dataclasses.dataclass
class Machines:
    """Servers and fakes of a fleet."""

    folder: Path
    temporal: fleet_servers.TemporalServer
    store: quota_store.QuotaServer
    services: fakes.Running
    key: Path
    rate: Rate | None = FAST
    """Of each quota."""

    def config(self, name: str) -> Config:
        """As of a machine, for workers inside the test."""
        return Config(
            docex=Docex(base_url=self.services.docex_url, search_rate=self.rate, status_rate=self.rate),
            tasktracker=Tasktracker(base_url=self.services.tracker_url, rate=self.rate),
            patients=Patients(url=f"sqlite:///{self.folder}/patients.db"),
            storage=Storage(url=str(self.folder / "storage")),
            state=State(dir=str(self.folder / name)),
            convert=Convert(workers=1, ocr=False, libreoffice=False),
            fleet=Fleet(
                redis=self.store.url, temporal=self.temporal.address, key=Secret(self.key.read_text())
            ),
        )

    def machine(self, name: str) -> Box:
        """A machine with docpipe on it, as processes."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
        words = "none" if self.rate is None else f"{self.rate.n}/sec"
        env = {
            "DOCPIPE_DOCEX__BASE_URL": self.services.docex_url,
            "DOCPIPE_DOCEX__SEARCH_RATE": words,
            "DOCPIPE_DOCEX__STATUS_RATE": words,
            "DOCPIPE_TASKTRACKER__RATE": words,
            "DOCPIPE_TASKTRACKER__BASE_URL": self.services.tracker_url,
            "DOCPIPE_PATIENTS__URL": f"sqlite:///{self.folder}/patients.db",
            "DOCPIPE_STORAGE__URL": str(self.folder / "storage"),
            "DOCPIPE_STATE__DIR": "state",
            "DOCPIPE_CONVERT__WORKERS": "1",
            "DOCPIPE_CONVERT__OCR": "false",
            "DOCPIPE_CONVERT__LIBREOFFICE": "false",
            "DOCPIPE_FLEET__REDIS": self.store.url,
            "DOCPIPE_FLEET__TEMPORAL": self.temporal.address,
            "DOCPIPE_FLEET__KEY_FILE": str(self.key),
        }
        return Box(folder, env)

    @contextlib.asynccontextmanager
    async def runs(self, **more: Any) -> AsyncIterator[FleetRuns]:
        """The runs of the fleet, as commands have them."""
        config = self.config("client")
        async with open_fleet(config) as fleet:
            yield FleetRuns(fleet.client, fleet.keys, config.fleet.prefix, **more)

    def tasks(self) -> list[Any]:
        """Tasks at the tracker."""
        return list(self.services.tracker.tasks.values())


@contextlib.asynccontextmanager
async def machines(
    folder: Path, *, rate: Rate | None = FAST, patients: int = 100, **options: Any
) -> AsyncIterator[Machines]:
    """The servers of a fleet, without workers; `options` are of the fakes."""
    given = {"search_rate": FakeRate(10, 1.0), "search_seconds": (0.0, 0.0), "mix": "tiny"} | options
    with fleet_servers.running(folder) as temporal, quota_store.running() as store:
        store.open("docex.search", "docex.status", "tasktracker")
        async with fakes.serve(fakes.FakeOptions(**given)) as services:
            made = Machines(folder, temporal, store, services, fleet_servers.key_file(folder), rate)
            async with open_patients(made.config("client")) as database:
                await database.put([checked(row) for row in fakes.patients.sample(count=patients)])
            yield made


class WorkerProcess:
    """`docpipe worker` as a process."""

    def __init__(self, box: Box, process: asyncio.subprocess.Process) -> None:
        self.box = box
        self.process = process

    @classmethod
    async def started(cls, box: Box, *words: str) -> "WorkerProcess":
        """One that has taken up its work."""
        process = await box.start("worker", *words)
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.startswith(b"docpipe works as"):
            _, err = await process.communicate()
            raise AssertionError(err.decode())
        return cls(box, process)

    async def ended(self, number: int = signal.SIGTERM) -> Ended:
        """What it leaves when it is sent a signal."""
        self.process.send_signal(number)
        out, err = await self.process.communicate()
        return Ended(self.process.returncode or 0, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def working_processes(made: Machines, *names: str) -> AsyncIterator[list[WorkerProcess]]:
    """Workers as processes, killed at the end where they still live."""
    workers = await asyncio.gather(*(WorkerProcess.started(made.machine(name)) for name in names))
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.process.returncode is None:
                await worker.ended(signal.SIGKILL)


class BareWorker:
    """`tests.fleet_worker` in a process of its own, on a machine of its own."""

    def __init__(self, box: Box, process: asyncio.subprocess.Process) -> None:
        self.box = box
        self.process = process

    @classmethod
    async def started(cls, made: Machines, name: str, **env: str) -> "BareWorker":
        """One that is at work. While the file `hold` is in the folder of the fleet no conversion ends."""
        box, log = made.machine(name), made.folder / f"{name}.log"
        hold = {"DOCPIPE_TEST_HOLD": str(made.folder / "hold")}
        with log.open("ab") as written:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.fleet_worker"),
                cwd=box.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **box.env, **hold, **env},
                stdout=asyncio.subprocess.PIPE,
                stderr=written,
            )
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line.startswith(b"docpipe works as"):
                return cls(box, process)
        raise AssertionError(log.read_text())

    def send(self, number: int) -> None:
        """A signal."""
        self.process.send_signal(number)

    async def killed(self) -> None:
        """SIGKILL, where it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
