"""No worker outlives the main process, however it ends; signals meant for it do not end its workers."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from docpipe.model import Ticket
from tests.worker_support import alive, spawned, until, workers

ROOT = Path(__file__).parents[2]


async def parent(file, *options):
    """A main process in a session of its own, and its forkserver's process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.worker_parent",
        str(file),
        *options,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    return process, int(await process.stdout.readline())


@pytest.mark.parametrize("options", [(), ("own",), ("fork",)], ids=["plain", "own-session", "socket-held"])
async def test_killed_parent_leaves_nobody(tmp_path, options):
    """SIGKILL of the main process ends forkserver, worker, and the program the worker started.

    Even one in a session of its own; and even if somebody else holds the control socket open.
    """
    process, forkserver = await parent(tmp_path / "pids", *options)
    pids = await spawned(tmp_path / "pids")
    process.kill()
    await until(lambda: not any(map(alive, [forkserver, *pids])))
    if "fork" in options:
        os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


async def test_parent_killed_while_the_forkserver_imports(tmp_path):
    """A forkserver that is still importing when its parent dies does not continue."""
    process, forkserver = await parent(tmp_path / "pids", "slow")
    assert alive(forkserver)
    process.kill()
    await until(lambda: not alive(forkserver))
    await process.communicate()


async def test_killed_with_its_forkserver(tmp_path):
    """Should main process and forkserver be killed at once, the kernel ends the workers."""
    process, forkserver = await parent(tmp_path / "pids")
    worker, program = await spawned(tmp_path / "pids")
    process.kill()
    os.kill(forkserver, signal.SIGKILL)
    await until(lambda: not any(map(alive, [forkserver, worker])))
    await process.communicate()
    os.kill(program, signal.SIGKILL)  # the one thing that may be left


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
async def test_signals_for_the_service_are_not_for_workers(tmp_path, number):
    """A signal to every process of a service ends no job: the main process decides when to stop."""
    file = tmp_path / "pids"
    async with workers(size=1) as pool:
        job = asyncio.create_task(pool.run({"do": "spawn", "file": str(file)}, Ticket()))
        pids = await spawned(file)
        everybody = [pool._forkserver._process.pid, *pids]
        for pid in everybody:
            os.kill(pid, number)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert alive(everybody[0])
        file.unlink()
        again = asyncio.create_task(pool.run({"do": "spawn", "file": str(file)}, Ticket()))
        pids = await spawned(file)
        for pid in pids:
            os.kill(pid, number)
        assert await pool_survives(pids)
        again.cancel()
        await asyncio.wait({again})


async def pool_survives(pids):
    """Whether processes live after the kernel delivered what they were sent."""
    status = [Path(f"/proc/{pid}/status") for pid in pids]
    await until(lambda: all("SigPnd:\t0000000000000000" in file.read_text() for file in status))
    return all(map(alive, pids))
