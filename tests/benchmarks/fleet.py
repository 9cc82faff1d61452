"""A fleet: what patients and documents cost, what waits cost, and how soon it goes on after a loss.

`python -m tests.benchmarks --only fleet` prints it; `--only "fleet large"` (a quarter of an hour) does so for
10,000 documents in one archive and 2,000 patients that wait. Servers, fakes and workers are processes; the
CPU is of workers (`tests.fleet_worker`, which copies documents) and of Temporal's development server.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp

from docpipe.fleet.client import FleetRuns
from docpipe.fleet.views import FleetRun
from docpipe.model import RunState
from tests.benchmarks.figures import Figure, table, written
from tests.benchmarks.fleet_losses import losses
from tests.fleet_support import BareWorker, Machines, machines
from tests.memory import folder as memory_folder
from tests.ports import free_port

WORKERS = (1, 2, 4)
PATIENTS = 60
_WARM = 4
DOCUMENTS, MANY_DOCUMENTS = 600, 10_000
WAITING, MANY_WAITING = 200, 2_000
_SAMPLES = 20
_UNDER_WAY = "docpipe_activities_under_way{"
_TICK = os.sysconf("SC_CLK_TCK")
QUICK: dict[str, Any] = {
    "search_seconds": (0.0, 0.0),
    "search_rate": None,
    "status_rate": None,
    "tracker_rate": None,
}
_COPY = {"DOCPIPE_TEST_CONVERTER": "copy"}


@dataclass(frozen=True)
class Used:
    """CPU seconds so far, of the workers and of Temporal."""

    workers: float
    temporal: float

    def __sub__(self, before: "Used") -> "Used":
        return Used(self.workers - before.workers, self.temporal - before.temporal)


def _tree(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child in children for one in _tree(int(child)))]


def _cpu(pid: int) -> float:
    """Seconds of a process, its descendants and those it has waited for."""
    total = 0
    for one in _tree(pid):
        total += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return total / _TICK


def _memory(pid: int, what: str) -> float:
    """`VmRSS` or `VmHWM` of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise ValueError(what)


def used(made: Machines, workers: Sequence[BareWorker]) -> Used:
    """The CPU so far."""
    return Used(sum(_cpu(worker.process.pid) for worker in workers), _cpu(made.temporal.pid))


@asynccontextmanager
async def at_work(made: Machines, number: int, **env: str) -> AsyncIterator[list[BareWorker]]:
    """Workers, killed at the end."""
    names = [f"{number}-{one}" for one in range(number)]
    workers = await asyncio.gather(*(BareWorker.started(made, name, **_COPY | env) for name in names))
    try:
        yield workers
    finally:
        for worker in workers:
            await worker.killed()


async def completed(runs: FleetRuns, patients: Sequence[str]) -> list[FleetRun]:
    """Submit patients and wait for them; each completes."""
    submitted = await runs.submit(patients)
    ended = await runs.wait(submitted)
    assert {run.state for run in ended} == {RunState.COMPLETED}, [run.error for run in ended]
    return submitted


async def histories(runs: FleetRuns, run: FleetRun) -> tuple[int, int, int]:
    """How many histories a run has, their events, and their bytes."""
    count = events = size = 0
    async for one in runs.client.list_workflows(f"WorkflowId = '{run.workflow}'"):
        described = await runs.client.get_workflow_handle(one.id, run_id=one.run_id).describe()
        info = described.raw_description.workflow_execution_info
        count, events, size = count + 1, events + info.history_length, size + info.history_size_bytes
    return count, events, size


async def _patients() -> list[Figure]:
    """Patients with 4 documents, no quotas, and more and more workers."""
    figures: list[Figure] = []
    everybody = [f"P{number}" for number in range(200, 200 + len(WORKERS) * (PATIENTS + _WARM))]
    with memory_folder() as folder:
        async with machines(folder, rate=None, patients=400, **QUICK) as made, made.runs() as runs:
            for number in WORKERS:
                some, everybody = everybody[: PATIENTS + _WARM], everybody[PATIENTS + _WARM :]
                async with at_work(made, number) as workers:
                    await completed(runs, some[:_WARM])
                    before, began = used(made, workers), time.perf_counter()
                    ended = await completed(runs, some[_WARM:])
                    took, spent = time.perf_counter() - began, used(made, workers) - before
                each, who = 1000 / PATIENTS, "1 worker" if number == 1 else f"{number} workers"
                figures += [
                    Figure(f"patients, {who}", PATIENTS / took, "/s"),
                    Figure(f"CPU of workers a patient, {who}", spent.workers * each, "ms"),
                    Figure(f"CPU of Temporal a patient, {who}", spent.temporal * each, "ms"),
                ]
            _, events, size = await histories(runs, ended[0])
    return [*figures, Figure("history of a patient", size / 1024, "KiB"), Figure("its events", events)]


async def _archive(number: int) -> list[Figure]:
    """Many small documents in one archive."""
    with memory_folder() as folder:
        documents = folder / "documents"
        documents.mkdir()
        for one in range(number):
            (documents / f"{one:05}.txt").write_text(f"document {one}")
        async with (
            machines(folder, rate=None, documents=documents, **QUICK) as made,
            made.runs() as runs,
            at_work(made, 1) as workers,
        ):
            before, began = used(made, workers), time.perf_counter()
            (run,) = await completed(runs, ["P100"])
            took, spent = time.perf_counter() - began, used(made, workers) - before
            count, events, size = await histories(runs, run)
            (stand,) = await runs.runs("P100")
            assert stand.stored.counts == {"converted": number}, stand
            payloads = folder / "storage" / ".fleet" / "payloads"
            kept = sum(path.stat().st_size for path in payloads.rglob("*") if path.is_file())
            peak = _memory(workers[0].process.pid, "VmHWM")
    what, each = f"{number} documents in one archive", 1000 / number
    return [
        Figure(what, took, "s"),
        Figure(f"{what}: CPU of the worker a document", spent.workers * each, "ms"),
        Figure(f"{what}: CPU of Temporal a document", spent.temporal * each, "ms"),
        Figure(f"{what}: histories", count),
        Figure(f"{what}: events", events),
        Figure(f"{what}: all histories", size / 2**20, "MiB"),
        Figure(f"{what}: payloads in the storage", kept / 2**20, "MiB"),
        Figure(f"{what}: peak of the worker", peak, "MiB", goal="<= 512"),
    ]


async def _waiting(number: int) -> list[Figure]:
    """Patients whose searches take an hour, and whom the exchange asks back in 5 minutes: none has a slot."""
    patients = [f"P{one}" for one in range(200, 200 + number)]
    slow = QUICK | {"search_seconds": (3600.0, 3600.0)}
    probes = f"127.0.0.1:{free_port()}"
    with memory_folder() as folder, mock.patch("fakes.docex.whole_seconds", return_value="300"):
        async with (
            machines(folder, rate=None, patients=number + 100, **slow) as made,
            made.runs() as runs,
            at_work(made, 1, DOCPIPE_FLEET__PROBES=probes) as workers,
        ):
            pid, database = workers[0].process.pid, made.temporal.database
            idle, empty, before = _memory(pid, "VmRSS"), _size(database), used(made, workers)
            began = time.perf_counter()
            await runs.submit(patients)
            while len(made.services.docex.ledger.of("docex.status")) < number:
                await asyncio.sleep(0.5)
            took = time.perf_counter() - began
            held = await _held(probes)
            spent, rss, kept = used(made, workers) - before, _memory(pid, "VmRSS"), _size(database)
    what = f"{number} patients waiting"
    return [
        Figure(f"{what}: all asked once after", took, "s"),
        Figure(f"{what}: slots held on the average", held, goal="<= 2"),
        Figure(f"{what}: memory of the worker each", 1024 * (rss - idle) / number, "KiB"),
        Figure(f"{what}: memory of the worker", rss, "MiB", "without them", idle),
        Figure(f"{what}: database of Temporal each", (kept - empty) / 1024 / number, "KiB"),
        Figure(f"{what}: CPU each so far", 1000 * (spent.workers + spent.temporal) / number, "ms"),
    ]


async def _held(probes: str) -> float:
    """How many activities a worker has under way, on the average of some seconds."""
    counts = []
    async with aiohttp.ClientSession() as session:
        for _ in range(_SAMPLES):
            await asyncio.sleep(0.5)
            async with session.get(f"http://{probes}/metrics") as answer:
                lines = [line for line in (await answer.text()).splitlines() if line.startswith(_UNDER_WAY)]
            counts.append(sum(float(line.split()[-1]) for line in lines))
    return sum(counts) / len(counts)


def _size(database: Path) -> int:
    """Of Temporal's database with its journal, in bytes."""
    return sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*"))


def fleet() -> list[Figure]:
    """What is reported at the head, in some minutes."""
    return asyncio.run(_all(DOCUMENTS, WAITING))


def large() -> list[Figure]:
    """Of the same, what has to be large."""

    async def both() -> list[Figure]:
        return [*await _archive(MANY_DOCUMENTS), *await _waiting(MANY_WAITING)]

    return asyncio.run(both())


async def _all(documents: int, waiting: int) -> list[Figure]:
    return [*await _patients(), *await _archive(documents), *await _waiting(waiting), *await losses()]


if __name__ == "__main__":
    works: dict[str, Callable[..., Awaitable[list[Figure]]]] = {
        "patients": _patients,
        "archive": _archive,
        "waiting": _waiting,
        "losses": losses,
    }
    name, *numbers = sys.argv[1:]
    print(table(written({"fleet": asyncio.run(works[name](*map(int, numbers)))})))
