"""The cost of readers for the pipeline: batches of patients in one service, with readers and without."""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

import fakes
from docpipe.model import Patient
from docpipe.patients import PatientDatabase
from tests.benchmarks.readers import READERS

ROOT = Path(__file__).parents[2]
RUNNING: Final = 200
ROUNDS: Final = 20
"""In each, once with readers and once without; which comes first alternates."""
_WARM: Final = 16
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch of patients took."""

    wall_s: float
    service_s: float
    """CPU of the service's own process."""
    workers_s: float
    """CPU of what it has started."""
    readers: dict[str, float] | None
    """What they saw, None where there were none."""

    def in_words(self) -> str:
        """In a line."""
        text = (
            f"{self.wall_s:5.2f} s  CPU ms a patient: service {self.service_s * 1000 / RUNNING:.1f}, "
            f"workers {self.workers_s * 1000 / RUNNING:.1f}"
        )
        if self.readers:
            text += "  readers: " + " ".join(f"{name} {value:.4g}" for name, value in self.readers.items())
        return text


@dataclass(frozen=True, slots=True)
class Loads:
    """Pairs of batches, without and with readers."""

    pairs: list[tuple[Taken, Taken]]

    @property
    def loss(self) -> float:
        """By how much the throughput falls, in percent; the mean of the pairs."""
        return statistics.mean(self._losses())

    @property
    def loss_error(self) -> float:
        """The standard error of that mean, in percent."""
        return statistics.stdev(self._losses()) / len(self.pairs) ** 0.5

    def _losses(self) -> list[float]:
        return [100 * (1 - alone.wall_s / beside.wall_s) for alone, beside in self.pairs]

    def cpu_ms(self, of: str, *, beside: bool) -> float:
        """CPU ms a patient, the median."""
        return statistics.median(getattr(pair[beside], f"{of}_s") * 1000 / RUNNING for pair in self.pairs)

    @property
    def share(self) -> float:
        """How much of the machine's CPUs goes to the readers, in percent, whatever else continues there.

        That is what a pipeline loses that keeps all of them busy. Their own process is not in it: people
        read on other machines.
        """
        return self.service_for_readers / 10 / len(os.sched_getaffinity(0))

    @property
    def service_for_readers(self) -> float:
        """CPU of the service in ms for each second of the readers; the median."""
        return statistics.median(
            (beside.service_s - alone.service_s) * 1000 / beside.wall_s for alone, beside in self.pairs
        )

    def reader(self, name: str) -> float:
        """A figure of the readers', the median."""
        return statistics.median((beside.readers or {})[name] for _, beside in self.pairs)


async def loads(rounds: int = ROUNDS) -> Loads:
    """Batches of patients at no quota, with real conversions, in one service."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        given = {"mix": "tiny", "search_rate": None, "status_rate": None, "tracker_rate": None}
        running = await stack.enter_async_context(fakes.serve(fakes.FakeOptions(**given)))
        database = PatientDatabase(f"sqlite:///{folder}/patients.db")
        ids = [f"T{number:05d}" for number in range(_WARM + 2 * rounds * RUNNING)]
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids])
        await database.aclose()
        env = environment(folder, running)
        served = await stack.enter_async_context(process(env, "docpipe", "serve", "--port", "0"))
        assert served.stdout is not None
        address = (await served.stdout.readline()).decode().split()[-1]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await _through(session, address, ids[:_WARM])  # the workers are warm
        left = iter(ids[_WARM:])

        async def batch(*, readers: bool) -> Taken:
            some = [next(left) for _ in range(RUNNING)]
            taken = await _batch(session, address, served.pid, some, readers=readers)
            print(
                f"{RUNNING} patients, {READERS if readers else 0:>2} readers: {taken.in_words()}",
                file=sys.stderr,
            )
            return taken

        pairs = []
        for turn in range(rounds):
            first = await batch(readers=turn % 2 == 1)
            second = await batch(readers=turn % 2 == 0)
            pairs.append((first, second) if turn % 2 == 0 else (second, first))
        return Loads(pairs)


async def _batch(
    session: aiohttp.ClientSession, address: str, pid: int, ids: list[str], *, readers: bool
) -> Taken:
    async with contextlib.AsyncExitStack() as stack:
        reading = None
        if readers:
            words = ("tests.benchmarks.readers", address)
            reading = await stack.enter_async_context(process({}, *words))
            await asyncio.sleep(3)  # all of them are there
        service, workers = _cpu(pid)
        wall = await _through(session, address, ids)
        service_after, workers_after = _cpu(pid)
        body = None
        if reading is not None:
            reading.terminate()
            out, _ = await reading.communicate()
            body = json.loads(out)
            assert not body["lost"], "a stream of events was lost"
            assert reading.returncode == 0, "a reader was refused"
        return Taken(wall, service_after - service, workers_after - workers, body)


async def _through(session: aiohttp.ClientSession, address: str, ids: list[str]) -> float:
    """Seconds from the submission until the last has ended, by the service's own account of it."""
    began = time.time()
    async with session.post(f"{address}/api/runs", json={"patients": ids}) as answer:
        assert answer.status == 202
    while True:
        async with session.get(f"{address}/api/summary") as answer:
            counts = (await answer.json())["counts"]
        if not counts["queued"] + counts["running"] + counts["cancelling"]:
            break
        await asyncio.sleep(0.5)
    async with session.get(f"{address}/api/runs?limit={len(ids)}") as answer:
        runs: list[dict[str, Any]] = (await answer.json())["runs"]
    assert {run["patient_id"] for run in runs} == set(ids)
    assert {run["state"] for run in runs} <= {"completed", "completed_with_errors"}
    return max(datetime.fromisoformat(run["finished_at"]).timestamp() for run in runs) - began


def environment(folder: Path, running: fakes.Running) -> dict[str, str]:
    """Of a service that works in a folder, at no quota."""
    return {
        "DOCPIPE_DOCEX__BASE_URL": running.docex_url,
        "DOCPIPE_DOCEX__SEARCH_RATE": "none",
        "DOCPIPE_DOCEX__STATUS_RATE": "none",
        "DOCPIPE_TASKTRACKER__BASE_URL": running.tracker_url,
        "DOCPIPE_TASKTRACKER__RATE": "none",
        "DOCPIPE_PATIENTS__URL": f"sqlite:///{folder}/patients.db",
        "DOCPIPE_SERVICE__TOKEN": "none",
        "DOCPIPE_STATE__DIR": f"{folder}/state",
        "DOCPIPE_STORAGE__URL": f"{folder}/storage",
    }


@contextlib.asynccontextmanager
async def process(env: dict[str, str], *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of this repository as a process, killed in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=ROOT,
        env=os.environ | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def _cpu(pid: int) -> tuple[float, float]:
    """CPU seconds of a process, and of all that descend from it, those that have ended included."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text("ascii").rpartition(")")[2].split()
            one = int(path.parent.name)
            parents[one] = int(fields[1])
            used[one] = (
                (int(fields[11]) + int(fields[12])) / _TICK,
                (int(fields[13]) + int(fields[14])) / _TICK,
            )

    def descends(one: int) -> bool:
        while one in parents:
            one = parents[one]
            if one == pid:
                return True
        return False

    own, ended = used[pid]
    return own, ended + sum(sum(times) for one, times in used.items() if descends(one))
