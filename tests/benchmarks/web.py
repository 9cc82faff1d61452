"""`python -m tests.benchmarks.web`: what the HTTP API costs, and what its readers cost the pipeline."""

import argparse
import asyncio
import contextlib
import io
import json
import logging
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from docpipe.checkpoints import open_database
from docpipe.model import RunIds
from tests.benchmarks.load import loads
from tests.benchmarks.readers import READERS
from tests.web_support import serving

PATIENTS = 10_000
SIZES = (10_000, 100_000)
_STATES = ("completed",) * 17 + ("completed_with_errors", "failed", "queued")


@contextlib.asynccontextmanager
async def lag() -> AsyncIterator[list[float]]:
    """The longest times, in ms, for which the loop did nothing else."""
    longest = [0.0]

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest[0] = max(longest[0], (time.perf_counter() - began) * 1000 - 1)

    task = asyncio.create_task(watch())
    try:
        yield longest
    finally:
        task.cancel()


async def submissions() -> dict[str, float]:
    """10,000 patients at once, as JSON and as CSV, until the answer is there; the client is in here, too."""
    ids = [f"T{number:05d}" for number in range(PATIENTS)]
    bodies = {
        "json": (json.dumps({"patients": ids}).encode(), "application/json"),
        "csv": ("\n".join(["id", *ids]).encode(), "text/csv"),
    }
    figures = {}
    for name, (body, media_type) in bodies.items():
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder), time.time) as served, lag() as longest:
                served.docpipe.engine.pause()
                headers = {"Content-Type": media_type, "Idempotency-Key": "k"}
                began = time.perf_counter()
                answer = await served.post("/api/runs", data=io.BytesIO(body), headers=headers)
                figures[f"{name}_s"] = time.perf_counter() - began
                figures[f"{name}_lag_ms"] = longest[0]
                assert answer.status == 202, answer.body
                assert len(answer.json["runs"]) == PATIENTS
    return figures


def fill(folder: Path, runs: int) -> None:
    """A database of runs that have ended, but for one in twenty, which is queued."""
    state = folder / "state"
    state.mkdir(mode=0o700)

    async def make() -> None:
        async with open_database(state, time.time):
            pass

    asyncio.run(make())
    ids, now = RunIds(), time.time()
    counts = json.dumps({"converted": 20, "stored": 1})
    rows = [
        (ids.new(), f"T{number:06d}", number % 3, _STATES[number % 20], now - number, now - number, counts)
        for number in range(runs)
    ]
    with contextlib.closing(sqlite3.connect(state / "checkpoints.db")) as db, db:
        db.executemany(
            "INSERT INTO runs (run_id, patient_id, priority, state, created_at, finished_at, counts) "
            "VALUES (?, ?, ?, ?, ?, CASE WHEN ?6 THEN ?6 END, ?7)",
            rows,
        )
        db.execute("UPDATE runs SET finished_at = NULL WHERE state = 'queued'")


async def latency(ask: Callable[[], Awaitable[Any]], times: int = 200) -> tuple[float, float]:
    """The median, and what one in a hundred exceeds, in ms."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[times // 2], took[times * 99 // 100]


PATHS = {
    "first": "/api/runs",
    "500": "/api/runs?limit=500",
    "two states": "/api/runs?state=completed&state=failed",
    "urgent": "/api/runs?order=urgent",
    "queued, urgent": "/api/runs?state=queued&order=urgent",
    "found": "/api/runs?q=T0012",
    "not found": "/api/runs?q=nobody",
    "summary": "/api/summary",
    "metrics": "/metrics",
}


async def listing(runs: int) -> dict[str, tuple[float, float]]:
    """Pages of the list, with the client in the same process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await asyncio.to_thread(fill, folder, runs)
        async with serving(folder, time.time, options={"search_seconds": (9e4, 9e4)}) as served:
            served.docpipe.engine.pause()
            figures = {
                told: await latency(lambda path=path: served.get(path), 100) for told, path in PATHS.items()
            }
            async with lag() as longest:
                for path in PATHS.values():
                    await served.get(path)
            return {**figures, "longest lag": (longest[0], longest[0])}


def main() -> None:
    """Run them, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=["submit", "list", "load", []], help="all, if left out")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    only = args.only or ["submit", "list", "load"]
    if "submit" in only:
        figures = asyncio.run(submissions())
        print(f"submit {PATIENTS:,}:", "  ".join(f"{name} {figure:.3g}" for name, figure in figures.items()))
    for runs in SIZES if "list" in only else ():
        print(f"{runs:,} runs, ms (median, p99):")
        for told, (median, p99) in asyncio.run(listing(runs)).items():
            print(f"  {told:<16}{median:8.1f}{p99:8.1f}")
    if "load" in only:
        told = asyncio.run(loads())
        print(f"loss beside {READERS} readers: {told.loss:.1f} %")


if __name__ == "__main__":
    main()
