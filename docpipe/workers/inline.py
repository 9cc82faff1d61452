"""Conversion inside the process: for `--debug`, where breakpoint() has to work, and for simulations."""

import asyncio
import errno
import importlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from docpipe.errors import WorkerCrashedError
from docpipe.gates.line import Slots
from docpipe.model import Clock, Json, Ticket, Wait, WaitKind
from docpipe.workers.pool import PoolState
from docpipe.workers.wire import Answer


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

    async def run(self, job: Json, ticket: Ticket) -> Json:
        """As of `Workers`."""
        return (await self.ask(job, ticket)).value

    async def ask(self, job: Json, ticket: Ticket) -> Answer:
        """As of `Workers`; what it took of memory is not known.

        Raises:
            WorkerCrashedError: the target raised an exception.
            OSError: there was no room on the disk for what the target writes.
        """
        async with self._slots.hold(ticket, Wait(WaitKind.CONVERSION, "", self._clock())):
            loop = asyncio.get_running_loop()
            began = time.monotonic()
            try:
                value = await loop.run_in_executor(self._thread, self._target, job)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise WorkerCrashedError("The converter stopped unexpectedly.") from error
            except Exception as error:
                raise WorkerCrashedError("The converter stopped unexpectedly.") from error
            return Answer(ok=True, value=value, seconds=time.monotonic() - began)
