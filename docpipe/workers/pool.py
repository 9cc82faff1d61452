"""The pool: jobs stand in line, and run one at a time in a worker that can be killed alone."""

import asyncio
import errno
import os
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import structlog

from docpipe.errors import WorkerCrashedError, WorkerError, WorkerMemoryError, WorkerTimeoutError
from docpipe.gates.line import Slots
from docpipe.model import Clock, Json, Ticket, Wait, WaitKind
from docpipe.workers import proc
from docpipe.workers.handle import PATIENCE_S, Death, Nursery, Worker
from docpipe.workers.wire import Answer, frame

log = structlog.get_logger(__name__)

RECYCLE_JOBS: Final = 100
"""A worker is replaced after so many jobs: what libraries leak goes with it."""
RECYCLE_BYTES: Final = 300 * 2**20
"""A worker that still holds so much after a job is replaced."""

_WATCH_S: Final = 0.05  # how often memory is looked at
_START_S: Final = 60.0  # for the imports of a nursery, and for a fork
_DATA_SHARE: Final = 0.9  # of the limit: what a worker may allocate; the rest is for code and shared pages
_FULL: Final = 0.45
"""Of the limit. A worker that broke down holding more was out of memory: an allocation that is refused
can be as large as all that is held (a list that doubles), and libraries answer it with an abort."""
_MAX_LOSSES: Final = 3  # how often a job may lose its worker without any fault of its own
_SIGALRM: Final = 14


class _LostError(Exception):
    """There is no worker, and the document has nothing to do with it."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """How busy the pool is."""

    size: int
    busy: int
    waiting: int


class Workers:
    """A pool of worker processes that starts with its first job.

    Args:
        target: `module:function`, called in a worker with each job; it takes and returns JSON.
        preload: a module imported once, before workers are forked; it must not start threads.
        size: how many jobs run at the same time.
        memory: limit of one job in bytes, programs it starts included.
        timeout: limit of one job in seconds of real time, whatever clock the loop has.
        clock: what tickets are stamped with.
        tries: how often a job whose worker did not survive it is begun, each time in a fresh worker.
    """

    def __init__(
        self,
        target: str,
        *,
        preload: str | None,
        size: int,
        memory: int,
        timeout: float,
        clock: Clock = time.time,
        tries: int = 2,
    ) -> None:
        self._target = target
        self._preload = preload
        self._memory = memory
        self._timeout = timeout
        self._clock = clock
        self._tries = tries
        self._slots = Slots(size, clock)
        self._idle: list[Worker] = []
        self._running: set[asyncio.Task[Answer]] = set()
        self._nursery: Nursery | None = None
        self._birth = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill everybody, in about a second at most; calls of `run` that are under way are cancelled."""
        self._closed = True
        for task in self._running:
            task.cancel()
        if self._nursery is not None:
            await self._nursery.stop()
        await asyncio.gather(*self._running, return_exceptions=True)

    def snapshot(self) -> PoolState:
        """How many places there are, are taken, and how many jobs wait for one."""
        return PoolState(self._slots.n, self._slots.held, len(self._slots.line))

    def place(self, ticket: Ticket) -> int | None:
        """Place in line, 1 for the next, None when the ticket does not wait here."""
        return self._slots.line.place(ticket)

    async def run(self, job: Json, ticket: Ticket) -> Json:
        """What the target returned for a job. Raises as `ask`."""
        return (await self.ask(job, ticket)).value

    async def ask(self, job: Json, ticket: Ticket) -> Answer:
        """Run one job in a worker, in turn. A caller that is cancelled has its worker killed.

        Returns:
            What the target returned, and what it took.

        Raises:
            WorkerCrashedError: every try ended with the death of the worker, or the target raised an
                exception. An exception is not tried again: the worker was well, and the next one would
                raise the same; but it is replaced, for what the exception may have left behind.
            WorkerTimeoutError: the last try took longer than the limit.
            OSError: there was no room on the disk for what the target writes.
            WorkerMemoryError: the last try needed more than the limit, or raised MemoryError.
            TypeError, ValueError: the job is not JSON.
            CancelledError: the pool was closed meanwhile.
        """
        if self._closed:
            raise RuntimeError("the pool of workers is closed")
        # A task of its own, so that close() can cancel it without cancelling all that its caller does.
        task = asyncio.create_task(self._in_turn(frame(job), ticket))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await task

    async def _in_turn(self, job: bytes, ticket: Ticket) -> Answer:
        async with self._slots.hold(ticket, Wait(WaitKind.CONVERSION, "", self._clock())):
            return await self._run(job, ticket)

    async def _run(self, job: bytes, ticket: Ticket) -> Answer:
        tries = losses = 0
        while True:
            try:
                answer = await self._try(job, fresh=tries > 0)
            except WorkerError as error:
                tries += 1
                log.warning("worker_failed", run_id=ticket.run_id, attempt=tries, reason=str(error))
                if tries >= self._tries:
                    raise
            except _LostError as error:
                losses += 1
                log.warning("worker_lost", run_id=ticket.run_id, times=losses, reason=str(error))
                if losses >= _MAX_LOSSES:
                    raise WorkerCrashedError(f"The converter could not be started ({error}).") from error
                await asyncio.sleep(0.1 * losses)  # what the system lacks may come back
            else:
                if answer.ok:
                    return answer
                if answer.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise OSError(answer.errno, os.strerror(answer.errno))
                log.warning("worker_raised", run_id=ticket.run_id, error=answer.error, where=answer.where)
                raise WorkerCrashedError(
                    f"The converter stopped unexpectedly ({answer.error} in {answer.where})."
                )

    async def _try(self, job: bytes, *, fresh: bool) -> Answer:
        """One try. A worker whose job was not answered well is dead when this returns."""
        worker = await self._hire(fresh=fresh)
        keep = False
        try:
            answer = await self._watch(worker, job)
            if not answer.ok and (answer.error == "MemoryError" or self._was_full(answer.peak)):
                raise self._overweight()
            worn = worker.jobs >= RECYCLE_JOBS or answer.resident >= RECYCLE_BYTES
            keep = answer.ok and not worn and not answer.left
            return answer
        finally:
            if keep:
                self._idle.append(worker)
            else:
                await worker.end()

    async def _hire(self, *, fresh: bool) -> Worker:
        """A living worker; a new one if none is idle. Whoever holds a slot finds a place for it."""
        while self._idle and not fresh:
            worker = self._idle.pop()
            if not worker.gone.done():
                return worker
        async with self._birth:  # one after the other: a crowd of requests could fill the socket
            try:
                worker = (await self._open()).fork()
            except OSError as error:
                raise _LostError(error.strerror or str(error)) from error
            try:
                await _first(worker.born, worker.gone, within=_START_S)
            except asyncio.CancelledError:
                await worker.end()
                raise
            if not worker.born.done():
                raise _LostError((await worker.end()).reason or "no answer")
            return worker

    async def _open(self) -> Nursery:
        """The nursery, ready; a new one if there is none or it died."""
        if self._nursery is not None and self._nursery.lost:
            await asyncio.wait({self._nursery.over})  # then nothing of it lives any more
        if self._nursery is None or self._nursery.lost:
            self._nursery = Nursery(
                self._target, self._preload, int(self._memory * _DATA_SHARE), self._timeout
            )
        nursery = self._nursery
        await _first(nursery.ready, nursery.over, within=_START_S)
        if not nursery.ready.done():
            nursery.abandon()
            raise _LostError("its parent process could not be started")
        return nursery

    async def _watch(self, worker: Worker, job: bytes) -> Answer:
        """The worker's answer; raises as soon as it is dead, over its time or over its memory."""
        pid = worker.born.result()
        deadline = time.monotonic() + self._timeout
        reply = asyncio.create_task(worker.ask(job))
        try:
            while True:
                await _first(reply, worker.gone, within=_WATCH_S)
                if reply.done() or worker.gone.done():
                    await asyncio.wait({reply}, timeout=PATIENCE_S)  # the socket closes when it is dead
                    if reply.done() and (answer := reply.result()) is not None:
                        return answer
                    raise self._cause(await worker.end())
                if time.monotonic() > deadline:
                    raise self._overtime()
                if proc.family_resident(pid) > self._memory:
                    raise self._overweight()
        finally:
            reply.cancel()
            await asyncio.wait({reply})

    def _cause(self, death: Death) -> Exception:
        """Why a worker died that nobody killed."""
        if death.code is None:
            return _LostError(death.reason)
        if death.code == -_SIGALRM:  # its own alarm: this process was too busy to look
            return self._overtime()
        if self._was_full(death.peak):
            return self._overweight()
        how = f"signal {-death.code}" if death.code < 0 else f"exit status {death.code}"
        return WorkerCrashedError(f"The converter stopped unexpectedly ({how}).")

    def _was_full(self, peak: int) -> bool:
        return peak > self._memory * _FULL

    def _overtime(self) -> WorkerTimeoutError:
        return WorkerTimeoutError(f"The conversion took longer than {_span(self._timeout)}.")

    def _overweight(self) -> WorkerMemoryError:
        return WorkerMemoryError(f"The document needs more than {_size(self._memory)} of memory.")


async def _first(*futures: asyncio.Future[Any], within: float) -> None:
    """Wait until one is done, or for so many seconds."""
    await asyncio.wait(futures, timeout=within, return_when=asyncio.FIRST_COMPLETED)


def _size(count: int) -> str:
    unit, name = (2**30, "GiB") if count >= 2**30 else (2**20, "MiB")
    return f"{count / unit:.4g} {name}"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.4g} min" if seconds >= 60 else f"{seconds:.4g} s"  # noqa: PLR2004 - a minute
