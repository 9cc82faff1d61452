"""A worker as a process, with a converter that can be held up: `python -m tests.fleet_worker`.

It prints a line when it is at work, and ends at SIGTERM. DOCPIPE_TEST_HOLD names a file: while it exists, no
conversion ends.
"""

import asyncio
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from docpipe.config.loading import load
from docpipe.fleet.worker import working

CONVERTER = "tests.fleet_worker:" + os.environ.get("DOCPIPE_TEST_CONVERTER", "convert")
OPEN, ENTERED = threading.Event(), threading.Semaphore(0)
"""For tests with the worker inside: conversions end while it is open, and each lets know that it began."""
OPEN.set()
HOLD = os.environ.get("DOCPIPE_TEST_HOLD")
HEARTBEAT_S = float(os.environ.get("DOCPIPE_TEST_HEARTBEAT_S", "20"))
"""After so long without a word of a worker its activities are others'."""

WORTH_S = float(os.environ.get("DOCPIPE_TEST_WORTH_S", "3600"))
"""Of a level of priority."""


def copy(job: dict[str, Any]) -> dict[str, Any]:
    """Copy the document: the cheapest conversion that still has an output."""
    (Path(job["folder"]) / "text.md").write_bytes(Path(job["path"]).read_bytes())
    return {
        "outcome": "converted",
        "reason": None,
        "media_type": "text/plain",
        "extension": ".txt",
        "outputs": ["text.md"],
        "metadata": {"media_type": "text/plain", "warnings": []},
        "embedded": [],
        "warnings": [],
    }


def convert(job: dict[str, Any]) -> dict[str, Any]:
    """Copy the document; each has another in it, which is in a file of its own."""
    ENTERED.release()
    OPEN.wait()
    while HOLD and Path(HOLD).exists():
        Path("holding").touch()
        time.sleep(0.02)
    folder, content = Path(job["folder"]), Path(job["path"]).read_bytes()
    made = copy(job)
    if not content.startswith(b"inner"):
        (folder / "embedded").mkdir()
        (folder / "embedded" / "001").write_bytes(b"inner " + content)
        made["embedded"] = [{"name": "inner.txt", "declared": None}]
    return made


async def main() -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    heartbeat = timedelta(seconds=HEARTBEAT_S)
    with (
        mock.patch("docpipe.fleet.course.HEARTBEAT", heartbeat),
        mock.patch("docpipe.fleet.queues.PRIORITY_WORTH_S", WORTH_S),
    ):
        async with working(load(None), converter=CONVERTER, inline=True) as worker:
            print(f"docpipe works as {worker.name}", flush=True)  # noqa: T201 -- whoever started it waits for that
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)
