"""What a process and its descendants use, by /proc."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from docpipe.workers import proc

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_S = 0.5


def family(pid: int) -> Iterator[int]:
    """A process and its living descendants."""
    yield pid
    for child in proc.children(pid):
        yield from family(child)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process and its descendants used, those that have ended included."""
    used = 0
    for one in family(pid):
        with contextlib.suppress(OSError, IndexError):
            used += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return used / _TICKS


def memory_of(pid: int) -> int:
    """Bytes that a process and its descendants hold; pages that they share are counted once."""
    held = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            match = re.search(
                r"^Pss:\s+(\d+) kB", Path(f"/proc/{one}/smaps_rollup").read_text(), re.MULTILINE
            )
            held += int(match[1]) * 1024 if match else 0
    return held


class Peak:
    """The most memory so far, in bytes."""

    def __init__(self) -> None:
        self.value = 0
        self.cpu = 0.0
        """Seconds that this process spent to find out."""

    def look(self, pid: int) -> None:
        """Measure once; the kernel walks through all pages for it, some milliseconds a process."""
        began = time.thread_time()
        self.value = max(self.value, memory_of(pid))
        self.cpu += time.thread_time() - began


@contextlib.asynccontextmanager
async def watched(pid: int) -> AsyncIterator[Peak]:
    """The peak of a process and its descendants during the block, sampled twice a second."""
    peak = Peak()

    async def watch() -> None:
        while True:
            await asyncio.to_thread(peak.look, pid)
            await asyncio.sleep(_LOOK_S)

    task = asyncio.create_task(watch())
    try:
        yield peak
    finally:
        task.cancel()
        await asyncio.wait([task])
