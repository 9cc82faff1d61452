"""What the tests of the worker pool share."""

import asyncio
from pathlib import Path

from docpipe.workers.pool import Workers

TARGET = "tests.worker_targets:act"
MIB = 2**20


def workers(**changes):
    """A pool for tests: two workers, 256 MiB, 60 s, one try; not confined, so that they can leave traces."""
    settings = {
        "preload": None,
        "size": 2,
        "memory": 256 * MIB,
        "timeout": 60.0,
        "tries": 1,
        "confined": False,
    }
    return Workers(TARGET, **(settings | changes))


def unhurried(pool):
    """Give each job of a pool a minute from now on: a busy machine needs long to answer."""
    pool._timeout = 60.0


async def until(true):
    """Wait for what other processes do; they set no events of ours."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


def alive(pid):
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def spawned(file):
    """The worker and the program of a job `spawn`."""
    await until(file.exists)
    pids = [int(pid) for pid in file.read_text().split()]
    assert all(map(alive, pids))
    return pids
