"""Start of the program, and the time to its first request, against the import of aiohttp alone."""

import asyncio
import os
import sys
import tempfile
import time

import fakes
from tests.benchmarks.figures import ROOT, Figure, best, command

_AIOHTTP = "import aiohttp"


def starts() -> list[Figure]:
    yardstick = best(lambda: command("-c", _AIOHTTP))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DOCPIPE_STATE__DIR"] = folder
        help_ = best(lambda: command("-m", "docpipe", "--help"))
        status = best(lambda: command("-m", "docpipe", "status"))
    return [
        Figure("--help", help_, "s", _AIOHTTP, yardstick),
        Figure("status", status, "s", _AIOHTTP, yardstick),
    ]


async def _once(folder: str) -> float:
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


def first_request() -> list[Figure]:
    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(_once(folder))

    yardstick = best(lambda: command("-c", _AIOHTTP))
    return [Figure("of a run", best(run), "s", _AIOHTTP, yardstick)]
