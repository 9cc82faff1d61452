"""`python -m tests.benchmarks`: what docpipe costs, each figure as a ratio to a yardstick of the same run."""

import argparse
import asyncio
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
from docpipe.checkpoints import open_database
from tests.benchmarks.patients import overhead
from tests.benchmarks.resume import resume

ROOT = Path(__file__).parents[2]


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def best(work: Callable[[], float], times: int = 5) -> float:
    return min(work() for _ in range(times))


def command(*words: str) -> float:
    return timed(lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT))


def checkpoints(number: int = 20_000, callers: int = 1000) -> dict[str, float]:
    """Durable results a second, of many callers at once, against one transaction each."""

    async def grouped(folder: Path) -> float:
        async with open_database(folder, time.time) as store:
            turns = iter(range(number))
            latencies: list[float] = []

            async def caller() -> None:
                for turn in turns:
                    began = time.perf_counter()
                    store.begin_step("R", "A", str(turn))
                    await store.finish_step("R", "A", str(turn), {"turn": turn})
                    latencies.append(time.perf_counter() - began)

            began = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(callers)))
            rate = number / (time.perf_counter() - began)
            p99.append(sorted(latencies)[int(0.99 * number)])
            return rate

    def single(folder: Path, number: int = 500) -> float:
        db = sqlite3.connect(folder / "single.db", isolation_level=None)
        db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a, b)")
        took = timed(lambda: [db.execute("INSERT INTO t VALUES (?, ?)", (n, "x")) for n in range(number)])
        db.close()
        return number / took

    p99: list[float] = []
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        rate = asyncio.run(grouped(Path(name)))
        yardstick = single(Path(name))
    return {"per_s": rate, "p99_ms": p99[0] * 1000, "one_by_one_per_s": yardstick, "ratio": rate / yardstick}


def starts() -> dict[str, float]:
    """Start of the program, against the import of aiohttp alone."""
    yardstick = best(lambda: command("-c", "import aiohttp"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DOCPIPE_STATE__DIR"] = folder
        help_ = best(lambda: command("-m", "docpipe", "--help"))
        status = best(lambda: command("-m", "docpipe", "status"))
    return {
        "aiohttp_s": yardstick,
        "help_s": help_,
        "help_ratio": help_ / yardstick,
        "status_s": status,
        "status_ratio": status / yardstick,
    }


def first_request() -> dict[str, float]:
    """From the start of the process to the first request at a server, against the import of aiohttp alone."""

    async def once(folder: str) -> float:
        async with fakes.serve(fakes.FakeOptions()) as running:
            env = {
                "DOCPIPE_DOCEX__BASE_URL": running.docex_url,
                "DOCPIPE_TASKTRACKER__BASE_URL": running.tracker_url,
                "DOCPIPE_STATE__DIR": f"{folder}/state",
                "DOCPIPE_STORAGE__URL": f"{folder}/storage",
            }
            began = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "docpipe", "run", "--patient", "P123"),
                cwd=ROOT,
                env=os.environ | env,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            while not running.tracker.requests:
                await asyncio.sleep(0.001)
            took = time.perf_counter() - began
            process.terminate()
            await process.wait()
            return took

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(once(folder))

    yardstick = best(lambda: command("-c", "import aiohttp"))
    first = best(run)
    return {"first_request_s": first, "aiohttp_s": yardstick, "ratio": first / yardstick}


def main() -> None:
    """Run them all and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    table = {
        "checkpoints": checkpoints(),
        "start": starts(),
        "first request": first_request(),
        "overhead": overhead(),
        "resume": resume(command),
    }
    if args.json:
        print(json.dumps({"cpus": os.cpu_count(), **table}))
        return
    print(
        f"{os.cpu_count()} CPUs, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB"
    )
    for name, figures in table.items():
        print(f"{name:<15}" + "  ".join(f"{key} {value:,.3g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
