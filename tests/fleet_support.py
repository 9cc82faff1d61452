"""A fleet in a folder: its servers, its fakes, and docpipe as several machines have it."""

import asyncio
import contextlib
import dataclasses
import signal
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

    def config(self, name: str) -> Config:
        """As of a machine, for workers inside the test."""
        return Config(
            docex=Docex(base_url=self.services.docex_url, search_rate=FAST, status_rate=FAST),
            tasktracker=Tasktracker(base_url=self.services.tracker_url, rate=FAST),
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
        env = {
            "DOCPIPE_DOCEX__BASE_URL": self.services.docex_url,
            "DOCPIPE_DOCEX__SEARCH_RATE": "10/sec",
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
async def machines(folder: Path, **options: Any) -> AsyncIterator[Machines]:
    """The servers of a fleet, without workers."""
    given = {"search_rate": FakeRate(10, 1.0), "mix": "tiny"} | options
    with fleet_servers.running(folder) as temporal, quota_store.running() as store:
        async with fakes.serve(fakes.FakeOptions(**given)) as services:
            made = Machines(folder, temporal, store, services, fleet_servers.key_file(folder))
            async with open_patients(made.config("client")) as database:
                await database.put([checked(row) for row in fakes.patients.sample()])
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
