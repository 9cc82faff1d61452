"""A main process for tests, to be killed: `python -m tests.worker_parent FILE [fork] [slow]`.

Its one job names itself and the program it started in FILE, and hangs; the forkserver's id is printed.
`fork` leaves a copy of this process, and so of its sockets, that lives for a minute. `slow` has the
forkserver import for a minute, so that it never comes to a job.
"""

import asyncio
import os
import sys
import time

from docpipe.model import Ticket
from docpipe.workers.pool import Workers


async def main():
    file, options = sys.argv[1], sys.argv[2:]
    preload = "tests.worker_slow_import" if "slow" in options else None
    settings = {"size": 1, "memory": 2**28, "timeout": 600, "confined": False}  # so that files can be left
    pool = Workers("tests.worker_targets:act", preload=preload, **settings)
    spawn = {"do": "spawn", "file": file, "own_session": "own" in options}
    job = asyncio.create_task(pool.run(spawn, Ticket()))
    while pool._forkserver is None:
        await asyncio.sleep(0)
    os.write(1, b"%d\n" % pool._forkserver._process.pid)
    if "fork" in options and os.fork() == 0:
        for standard in (0, 1, 2):
            os.close(standard)
        time.sleep(60)  # noqa: ASYNC251 - this process has no loop to continue with
        os._exit(0)
    await job


asyncio.run(main())
