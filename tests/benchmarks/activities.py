"""Durable activities a second through the engine: log, checkpoints and listeners around work of no cost."""

import asyncio
import logging
import resource
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

from docpipe.checkpoints import open_database
from docpipe.engine.engine import Engine
from docpipe.engine.run import ActiveRun
from docpipe.model import Activity, RunIds, Step
from docpipe.runtime.activity_log import ActivityLog
from docpipe.runtime.interpreter import tune_interpreter
from docpipe.util.json import to_json
from tests.benchmarks.checkpoints import one_by_one
from tests.benchmarks.figures import DISK, Figure, cpu
from tests.benchmarks.resume import results

RUNS = 1000
"""Under way at the same time, each with one activity at a time."""
DOCUMENTS = 20
"""Of each run; each is converted and stored."""


def loop_cpu() -> float:
    """Seconds of CPU that this thread, the event loop's, has used."""
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_utime + used.ru_stime


async def through_engine(folder: Path) -> dict[str, Any]:
    """Rate, latencies, and CPU of the loop and of the whole process."""
    heard, latencies = [0], list[float]()
    async with (
        open_database(folder, time.time) as store,
        ActivityLog(folder, time.time) as log,
        Engine(
            checkpoints=store, activity_log=log, activities=None, clock=time.time, ids=RunIds(time.time)
        ) as engine,
    ):

        def listen(_: object) -> None:
            heard[0] += 1

        engine.listeners.append(listen)
        ids = RunIds(time.time)
        stored = await store.create_runs({f"P{number}": ids.new() for number in range(RUNS)}, 0)

        async def work(_: Step, result: Any) -> Any:
            return result

        async def one(run: ActiveRun) -> None:
            made = results(run.id, run.patient_id, "t-1")
            for number in range(DOCUMENTS):
                for activity in (Activity.CONVERT, Activity.STORE):
                    began = time.perf_counter()
                    await run.do(
                        activity,
                        work,
                        made[activity],
                        item=f"{number:05d}",
                        about={"document_id": "8f0e57f5cd6d4d0b", "size": 1000},
                    )
                    latencies.append(time.perf_counter() - began)

        runs = [ActiveRun(engine, run, {}) for run in stored]
        began, used, used_here = time.perf_counter(), cpu(), loop_cpu()
        await asyncio.gather(*map(one, runs))
        took, used, used_here = time.perf_counter() - began, cpu() - used, loop_cpu() - used_here
        kept = await store.read("SELECT count(*) FROM steps WHERE result IS NOT NULL")
    number = len(latencies)
    assert kept[0][0] == number == heard[0] // 2, (kept, number, heard)
    latencies.sort()
    return {
        "rate": number / took,
        "p99": latencies[number * 99 // 100],
        "cpu": used / number,
        "loop": used_here / number,
    }


async def bare(folder: Path) -> tuple[float, float]:
    """Activities a second and p99 of a loop that does no more than a future and a row for each."""
    loop = asyncio.get_running_loop()
    db = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    db.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
        "CREATE TABLE t (run TEXT, item TEXT, result TEXT, PRIMARY KEY (run, item)) WITHOUT ROWID"
    )
    waiting: list[tuple[tuple[str, str, str], asyncio.Future[None]]] = []
    latencies: list[float] = []

    def write(rows: list[tuple[str, str, str]]) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        db.execute("COMMIT")

    async def one(run: str) -> None:
        for number in range(2 * DOCUMENTS):
            began, done = time.perf_counter(), loop.create_future()
            waiting.append(((run, f"{number:05d}", to_json(made)), done))
            await done
            latencies.append(time.perf_counter() - began)

    made = results("run", "P1", "t-1")[Activity.CONVERT]
    began = time.perf_counter()
    tasks = [asyncio.create_task(one(f"{number:026d}")) for number in range(RUNS)]
    while len(latencies) < 2 * DOCUMENTS * RUNS:
        await asyncio.sleep(0)
        if waiting:
            batch, waiting[:] = waiting[:], []
            await loop.run_in_executor(None, write, [row for row, _ in batch])
            for _, done in batch:
                done.set_result(None)
    took = time.perf_counter() - began
    await asyncio.gather(*tasks)
    db.close()
    latencies.sort()
    return len(latencies) / took, latencies[len(latencies) * 99 // 100]


def activities() -> list[Figure]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tune_interpreter()  # as `docpipe run` does
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        actual = asyncio.run(through_engine(Path(name)))
        yardstick = one_by_one(Path(name))
        most, least = asyncio.run(bare(Path(name)))
    return [
        Figure("rate", actual["rate"], "/s", "one transaction each", yardstick, goal=">= 20000"),
        Figure("p99", 1000 * actual["p99"], "ms", "a future and a row each", 1000 * least, goal="<= 50"),
        Figure("rate of a bare loop", most, "/s"),
        Figure("CPU", 1e6 * actual["cpu"], "us"),
        Figure("CPU of the loop", 1e6 * actual["loop"], "us"),
    ]
