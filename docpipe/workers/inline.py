"""Conversion inside the process: for `--debug`, where breakpoint() has to work, and for simulations."""

import asyncio
import hashlib
import importlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from docpipe.errors import WorkerCrashedError
from docpipe.gates.line import Slots
from docpipe.model import Clock, Json, Ticket, Wait, WaitKind
from docpipe.util.fsync import sync_file, sync_folder
from docpipe.workers.answers import Answer, take_converted
from docpipe.workers.pool import PoolState
from docpipe.workers.rooms import EMBEDDED, TakenFile, empty
from docpipe.workers.wire import PASSING


class InlineWorkers:
    """Runs the target in a thread, one job at a time, without any limit; otherwise as `Workers` does."""

    def __init__(self, target: str, *, clock: Clock) -> None:
        module, _, name = target.partition(":")
        self._target: Callable[[Json], Json] = getattr(importlib.import_module(module), name)
        self._clock = clock
        self._slots = Slots(1, clock)
        self._thread = ThreadPoolExecutor(1, "inline-worker")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def snapshot(self) -> PoolState:
        """As of `Workers`."""
        return PoolState(1, self._slots.held, len(self._slots.line))

    def place(self, ticket: Ticket) -> int | None:
        """As of `Workers`."""
        return self._slots.line.place(ticket)

    def forget(self, run_id: str) -> None:
        """As of `Workers`: nothing is kept of runs."""

    async def run(self, job: Json, ticket: Ticket) -> Json:
        """As of `Workers`."""
        return (await self.execute(job, ticket)).value

    async def execute(self, job: Json, ticket: Ticket) -> Answer:
        """As of `Workers`; what it took of memory is not known.

        Raises:
            WorkerCrashedError: the target raised an exception.
            OSError: the machine did not let the target work; see `wire.PASSING`.
        """
        async with self._slots.hold(ticket, Wait(WaitKind.CONVERSION, "", self._clock())):
            loop = asyncio.get_running_loop()
            began = time.monotonic()
            try:
                value = await loop.run_in_executor(self._thread, self._work, job)
            except OSError as error:
                if error.errno in PASSING:
                    raise
                raise WorkerCrashedError("The converter stopped unexpectedly.") from error
            except Exception as error:
                raise WorkerCrashedError("The converter stopped unexpectedly.") from error
            return Answer(value, seconds=time.monotonic() - began)

    def _work(self, job: Json) -> Json:
        """The job done; of a conversion, its files are on the disk."""
        if not (isinstance(job, dict) and "folder" in job):
            return self._target(job)
        folder = Path(job["folder"])
        empty(folder)
        value, _ = take_converted(self._target(job), _Here(), folder)
        return value


class _Here:
    """Files that are in place: a target in this process needs no room, and is trusted."""

    def take(self, outputs: list[str], embedded: int, folder: Path) -> list[TakenFile]:
        """As of `Room`, in place."""
        for name in outputs:
            sync_file(folder / name)
        inner = [_described(folder, f"{EMBEDDED}/{number:03d}") for number in range(1, embedded + 1)]
        if inner:
            sync_folder(folder / EMBEDDED)
        sync_folder(folder)
        return inner

    def clear(self, outputs: Iterable[str], embedded: int = 0) -> bool:  # noqa: ARG002 -- as of `Room`
        """Nothing to remove: the files are in place."""
        return True


def _described(folder: Path, file: str) -> TakenFile:
    path = folder / file
    sync_file(path)
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return TakenFile(file, path.stat().st_size, digest)
