"""Durable results a second of many callers at once, against one transaction each: the store alone."""

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

from docpipe.checkpoints import open_database
from tests.benchmarks.figures import DISK, Figure

NUMBER = 20_000
CALLERS = 1000


async def grouped(folder: Path) -> tuple[float, float]:
    """Results a second, and the seconds that one in a hundred took longer than."""
    async with open_database(folder, time.time) as store:
        turns = iter(range(NUMBER))
        latencies: list[float] = []

        async def caller() -> None:
            for turn in turns:
                began = time.perf_counter()
                store.begin_step("R", "A", str(turn))
                await store.finish_step("R", "A", str(turn), {"turn": turn})
                latencies.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        rate = NUMBER / (time.perf_counter() - began)
        return rate, sorted(latencies)[int(0.99 * NUMBER)]


def one_by_one(folder: Path, number: int = 500) -> float:
    """Transactions a second, each waited for."""
    db = sqlite3.connect(folder / "single.db", isolation_level=None)
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a, b)")
    began = time.perf_counter()
    for turn in range(number):
        db.execute("INSERT INTO t VALUES (?, ?)", (turn, "x"))
    took = time.perf_counter() - began
    db.close()
    return number / took


def checkpoints() -> list[Figure]:
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        rate, p99 = asyncio.run(grouped(Path(name)))
        yardstick = one_by_one(Path(name))
    return [
        Figure("results", rate, "/s", "one transaction each", yardstick),
        Figure("p99", 1000 * p99, "ms"),
    ]
