"""`python -m tests.benchmarks.web`: what the HTTP API costs, and what its readers cost the pipeline."""

import argparse
import asyncio
import contextlib
import io
import json
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from tests.benchmarks.figures import Figure
from tests.benchmarks.filled import fill
from tests.benchmarks.load import ROUNDS, RUNNING, loads
from tests.benchmarks.readers import READERS
from tests.web_support import serving

PATIENTS = 10_000
SIZES = (10_000, 100_000)


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

            async def ask(path: str) -> None:
                served.web.shared.invalidate()  # each answer is made
                await served.get(path)

            figures = {
                reported: await latency(lambda path=path: ask(path), 100) for reported, path in PATHS.items()
            }
            async with lag() as longest:
                for path in PATHS.values():
                    await ask(path)
            return {**figures, "longest lag": (longest[0], longest[0])}


def _opening(runs: int) -> tuple[float, float]:
    from tests.benchmarks.page import opening  # noqa: PLC0415 -- the others need no browser

    return opening(runs)


def web() -> list[Figure]:
    """What people wait for, and what the pipeline loses beside them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    runs, loaded = SIZES[-1], asyncio.run(loads())
    lists = asyncio.run(listing(runs))
    first, later = _opening(runs)
    taken = asyncio.run(submissions())
    slowest = max(lists[reported][0] for reported, path in PATHS.items() if path.startswith("/api/runs"))
    beside = f"{RUNNING} patients beside {READERS} readers"
    return [
        Figure(f"{beside}, throughput lost", loaded.loss, "%", goal="<= 3"),
        Figure("the standard error of that mean", loaded.loss_error, "%"),
        *(
            Figure(
                f"{beside}, CPU of the {of} a patient",
                loaded.cpu_ms(of, beside=True),
                "ms",
                "no readers",
                loaded.cpu_ms(of, beside=False),
            )
            for of in ("service", "workers")
        ),
        Figure("share of the CPUs that goes to the readers", loaded.share, "%", goal="<= 5"),
        Figure("CPU of the service for the readers", loaded.service_for_readers, "ms/s"),
        Figure("CPU of the readers themselves", loaded.reader("cpu_ms_a_second"), "ms/s"),
        Figure("an answer to a reader", loaded.reader("median_ms"), "ms"),
        Figure("an answer to a reader, p99", loaded.reader("p99_ms"), "ms"),
        Figure(f"the slowest list of {runs:,} runs", slowest, "ms", goal="<= 50"),
        Figure(f"a summary of {runs:,} runs", lists["summary"][0], "ms", goal="<= 10"),
        Figure(f"the page with {runs:,} runs opens", later, "ms", goal="<= 300"),
        Figure("the same, the first in a fresh browser", first, "ms"),
        *(
            Figure(f"{PATIENTS:,} patients taken in, as {form.upper()}", taken[f"{form}_s"], "s", goal="<= 2")
            for form in ("json", "csv")
        ),
    ]


def main() -> None:
    """Run them, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = ["submit", "list", "load", "page"]
    parser.add_argument("only", nargs="*", choices=[*every, []], help="all, if left out")
    parser.add_argument("--pairs", type=int, default=ROUNDS, help="of batches with readers and without")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    only = args.only or every
    if "submit" in only:
        figures = asyncio.run(submissions())
        print(f"submit {PATIENTS:,}:", "  ".join(f"{name} {figure:.3g}" for name, figure in figures.items()))
    for runs in SIZES if "list" in only else ():
        print(f"{runs:,} runs, ms (median, p99):")
        for message, (median, p99) in asyncio.run(listing(runs)).items():
            print(f"  {message:<16}{median:8.1f}{p99:8.1f}")
    if "load" in only:
        loaded = asyncio.run(loads(args.pairs))
        print(
            f"loss beside {READERS} readers: {loaded.loss:.1f} ± {loaded.loss_error:.1f} %; "
            f"they cost the service {loaded.service_for_readers:.0f} ms of CPU a second"
        )
    for runs in SIZES if "page" in only else ():
        first, later = _opening(runs)
        print(f"{runs:,} runs: the page opens in {later:.0f} ms, at first in {first:.0f} ms")


if __name__ == "__main__":
    main()
