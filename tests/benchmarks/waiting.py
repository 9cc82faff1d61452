"""100,000 patients submitted at once: what each costs that waits, and whether the loop looks after others.

The exchange lets ten searches a minute go, so nearly all of them wait from beginning to end.
"""

import asyncio
import contextlib
import gc
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import structlog

from docpipe import app
from docpipe.config.config import Config, Docex, Patients, State, Storage, Tasktracker
from docpipe.patients import PatientDatabase, checked
from docpipe.runtime.interpreter import tune_interpreter
from tests.benchmarks.figures import DISK, Figure, cpu
from tests.benchmarks.patients import fakes_apart

PATIENTS = 100_000
WATCHED_S = 3.0
"""For so long the loop is watched after they were taken."""
_TICK_S = 0.001


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def lags() -> AsyncIterator[tuple[list[float], list[float]]]:
    """How much too late, in seconds, each tick of a millisecond came; and the CPU used since the one before.

    The latter is what the former would be on a machine that nobody else uses, or less.
    """
    late, busy = list[float](), list[float]()

    async def watch() -> None:
        while True:
            due, used = time.perf_counter() + _TICK_S, time.process_time()
            await asyncio.sleep(_TICK_S)
            late.append(max(0.0, time.perf_counter() - due))
            busy.append(time.process_time() - used)

    task = asyncio.create_task(watch())
    try:
        yield late, busy
    finally:
        task.cancel()


def p99(late: list[float]) -> float:
    """Of time, not of ticks: a pause of a second is one tick, and a thousand that never came."""
    total, sofar = sum(_TICK_S + lag for lag in late), 0.0
    for lag in sorted(late, reverse=True):
        sofar += _TICK_S + lag
        if sofar >= 0.01 * total:
            return lag
    return 0.0


def _id(number: int) -> str:
    return f"W{number:06d}"


async def _life(
    config: Config, work: Callable[[app.Docpipe], Awaitable[object]]
) -> tuple[float, list[float], list[float], int]:
    """Seconds until they are taken, lags until a while after by the clock and by CPU, and bytes they hold."""
    async with app.opened(config) as docpipe:
        before = resident()
        async with lags() as (late, busy):
            await asyncio.sleep(0.1)
            began = time.perf_counter()
            await work(docpipe)
            took = time.perf_counter() - began
            assert docpipe.engine.waiting > 0.99 * PATIENTS
            await asyncio.sleep(WATCHED_S)
        return took, late, busy, resident() - before


async def _both(config: Config) -> list[Figure]:
    """Taken for the first time, and found again by another process, so to speak."""
    database = PatientDatabase(config.patients.url)
    await database.put([checked({**_ANN, "id": _id(number)}) for number in range(1000)])
    await database.aclose()
    ids = [_id(number) for number in range(PATIENTS)]
    figures = []
    for message, work in (
        ("submit", lambda docpipe: docpipe.engine.submit(ids)),
        ("resume", lambda docpipe: docpipe.engine.resume()),
    ):
        used = cpu()
        took, late, busy, held = await _life(config, work)
        figures += [
            Figure(f"{message}: taken", took, "s", goal="<= 10"),
            Figure(f"{message}: memory each", held / PATIENTS, "bytes", goal="<= 4096"),
            Figure(f"{message}: loop p99", 1000 * p99(late), "ms", goal="<= 50"),
            Figure(f"{message}: loop longest", 1000 * max(late), "ms"),
            Figure(f"{message}: loop p99, CPU", 1000 * p99(busy), "ms"),
            Figure(f"{message}: loop longest, CPU", 1000 * max(busy), "ms"),
            Figure(f"{message}: CPU", cpu() - used, "s"),
        ]
    return figures


_ANN = {"given": "Ann", "family": "Lee", "birth_date": "1957-03-31"}


def waiting() -> list[Figure]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tune_interpreter()
    with tempfile.TemporaryDirectory(dir=DISK) as folder, fakes_apart() as urls:
        config = Config(
            docex=Docex(base_url=urls["docex_url"]),
            tasktracker=Tasktracker(base_url=urls["tracker_url"]),
            patients=Patients(url=f"sqlite:///{folder}/patients.db"),
            storage=Storage(url=f"{folder}/storage"),
            state=State(dir=f"{folder}/state"),
        )
        return asyncio.run(_both(config))
