"""The pool: jobs wait in a line, and run one at a time in a worker that can be killed alone."""

import asyncio
import errno
import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import structlog

from docpipe.errors import WorkerCrashedError, WorkerError, WorkerTimeoutError
from docpipe.gates.local_trouble import wait_out
from docpipe.model import Clock, Json, Ticket, Wait
from docpipe.workers import proc
from docpipe.workers.answers import Answer, Reply
from docpipe.workers.budget import Budget
from docpipe.workers.confinement import missing
from docpipe.workers.failures import Failures, FinalError, LostError
from docpipe.workers.handle import PATIENCE_S, RECYCLE_JOBS, ForkServer, Worker, first_of
from docpipe.workers.idle import IdlePlaces
from docpipe.workers.jobs import Conversions, JobKind
from docpipe.workers.limits import FILE_BYTES
from docpipe.workers.rooms import MisfitError, Room, remove_tree
from docpipe.workers.turns import Turns
from docpipe.workers.wire import frame

_T = TypeVar("_T")
log = structlog.get_logger(__name__)

_WATCH_S: Final = 0.05  # how often memory is looked at
_START_S: Final = 60.0  # for the imports of a forkserver, and for a fork
_DATA_SHARE: Final = 0.9  # of the limit: what a worker may allocate; the rest is for code and shared pages
_FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_MAX_LOSSES: Final = 3  # how often a job may lose its worker without any fault of its own


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
        rooms: a folder for the rooms of workers, best on the disk of what is converted; None for one of
            the system's temporary folders.
        confined: whether workers reach nothing but their rooms and the libraries they run on, as far as the
            kernel can see to it; see `confinement.missing`.
        budget: seconds that all jobs of one run may keep workers busy; None for any.
        job_kind: what the jobs are.
        file: the largest file in bytes that a worker may write.
        jobs: of one run, after which a worker is replaced; a worker never gets jobs of two runs.
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
        rooms: Path | None = None,
        confined: bool = True,
        budget: float | None = None,
        job_kind: JobKind | None = None,
        jobs: int = RECYCLE_JOBS,
        file: int = FILE_BYTES,
    ) -> None:
        self._jobs = jobs
        self._job_kind = job_kind or Conversions()
        self._failures = Failures(self._job_kind.words, memory, timeout)
        self._target = target
        self._preload = preload
        self._memory = memory
        self._file = file
        self._timeout = timeout
        self._clock = clock
        self._tries = tries
        self._slots = Turns(size, clock)
        self._idle_places = IdlePlaces(self._slots)
        self._budget = Budget(budget)
        self._idle: list[Worker] = []
        self._running: set[asyncio.Task[Answer]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._forkserver: ForkServer | None = None
        self._birth = asyncio.Lock()
        self._closed = False
        self._numbers = itertools.count(1)
        self._rooms = rooms and rooms.resolve()
        self._confined = confined
        self._own_rooms = rooms is None
        self._living_in: set[Room] = set()

    async def __aenter__(self) -> Self:
        for gap in missing() if self._confined else ():
            log.warning("workers_not_kept_from", what=gap)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill all workers, in about a second at most; calls of `run` that are under way are cancelled."""
        self._closed = True
        for task in self._running:
            task.cancel()
        if self._forkserver is not None:
            await self._forkserver.stop()
        await asyncio.gather(*self._running, *self._leaving, return_exceptions=True)
        await asyncio.to_thread(self._remove_rooms)

    def _remove_rooms(self) -> None:
        for room in self._living_in:
            room.remove()
        if self._own_rooms and self._rooms is not None:
            remove_tree(self._rooms)

    def snapshot(self) -> PoolState:
        """How many places there are, are taken, and how many jobs wait for one."""
        return PoolState(self._slots.n, self._slots.held, len(self._slots.line))

    def place(self, ticket: Ticket) -> int | None:
        """Place in line, 1 for the next, None when the ticket does not wait here."""
        return self._slots.line.place(ticket)

    def forget(self, run_id: str) -> None:
        """Forget a finished run: end its workers. If it starts again, it has its whole budget of time."""
        self._budget.forget(run_id)
        for worker in [worker for worker in self._idle if worker.run_id == run_id]:
            self._idle.remove(worker)
            task = asyncio.create_task(self._end(worker))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def run(self, job: Json, ticket: Ticket) -> Json:
        """What the target returned for a job. Raises as `execute`."""
        return (await self.execute(job, ticket)).value

    async def execute(self, job: Json, ticket: Ticket) -> Answer:
        """Run one job in a worker, in turn. A caller that is cancelled has its worker killed.

        Returns:
            What the target returned, and what it took.

        Raises:
            WorkerCrashedError: every try ended with the death of the worker, or the target raised an
                exception. An exception is not tried again: the worker was well, and the next one would
                raise the same; but it is replaced, for what the exception may have left behind.
            WorkerTimeoutError: it took longer than the limit, or its run has no time left: not tried again.
            OSError: the machine did not let the target work, for instance by a full disk; see `wire.PASSING`.
            WorkerMemoryError: the last try needed more than the limit, or raised MemoryError.
            TypeError, ValueError: the job is not JSON, once its files are brought.
            CancelledError: the pool was closed meanwhile.
        """
        if self._closed:
            raise RuntimeError("the pool of workers is closed")
        # A task of its own, so that close() can cancel it without cancelling all that its caller does.
        task = asyncio.create_task(self._in_turn(job, ticket))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await task

    async def _in_turn(self, job: Json, ticket: Ticket) -> Answer:
        async with self._slots.hold(ticket, Wait(self._job_kind.wait, "", self._clock())):
            self._budget.check(ticket.run_id)
            return await self._run(job, ticket)

    async def _run(self, job: Json, ticket: Ticket) -> Answer:
        tries = losses = 0
        while True:
            try:
                return await self._try(job, ticket, fresh=tries > 0)
            except FinalError as error:
                raise error.error from error
            except WorkerError as error:
                tries += 1
                log.warning("worker_failed", run_id=ticket.run_id, attempt=tries, reason=str(error))
                # A document that reached its time limit would reach it again.
                if tries >= self._tries or isinstance(error, WorkerTimeoutError):
                    raise
            except LostError as error:
                if error.trouble is not None:  # a fault of the machine, not of the document
                    await wait_out(error.trouble, ticket, "converter", self._clock)
                    continue
                losses += 1
                log.warning("worker_lost", run_id=ticket.run_id, times=losses, reason=str(error))
                if losses >= _MAX_LOSSES:
                    raise WorkerCrashedError(
                        f"{self._job_kind.words.worker} could not be started ({error})."
                    ) from error
                await asyncio.sleep(0.1 * losses)  # the system may recover

    async def _try(self, job: Json, ticket: Ticket, *, fresh: bool) -> Answer:
        """One try. A worker whose job was not answered well is dead when this returns."""
        worker = await self._acquire(ticket.run_id, fresh=fresh)
        keep, moves = False, self._job_kind.has_files(job)
        try:
            here = await self._in_thread(self._job_kind.put, worker.room, job) if moves else job
            with self._budget.spend(ticket.run_id):
                # A document that a worker did not survive is read with one process at a time.
                reply = await self._watch(worker, frame(here), lends=moves and not fresh)
            if not reply.ok:
                raise self._failures.of_exception(reply, ticket)
            try:
                returned = self._job_kind.answered(reply.value, worker.room, job)
                if not returned.alive:
                    await worker.end()
                value, keep = await self._in_thread(returned.take) if moves else returned.take()
            except MisfitError as error:
                raise WorkerCrashedError(
                    f"{self._job_kind.words.worker} returned an invalid answer."
                ) from error
            keep = keep and returned.alive and not worker.worn(self._jobs)
            return Answer(value, reply.peak, reply.seconds)
        finally:
            if keep:
                self._idle.append(worker)
            else:
                await self._end(worker)

    async def _in_thread(self, work: Callable[..., _T], *args: Any) -> _T:
        """What moves a job's files into a room or out of it, in a thread.

        Raises:
            OSError: the disk is full.
            FinalError: they cannot be moved.
        """
        try:
            return await asyncio.to_thread(work, *args)
        except OSError as error:
            failure = self._failures.of_transfer(error)
            if failure is error:
                raise
            raise failure from error

    async def _end(self, worker: Worker) -> None:
        """End a worker, and its room with it."""
        await worker.end()
        await asyncio.to_thread(worker.room.remove)
        self._living_in.discard(worker.room)

    async def _acquire(self, run_id: str, *, fresh: bool) -> Worker:
        """A living worker that has seen no other run; a new one if none is idle.

        Raises:
            OSError: the disk is full.
        """
        while not fresh and (worker := next((one for one in self._idle if one.run_id == run_id), None)):
            self._idle.remove(worker)
            if not worker.gone.done():
                return worker
            await self._end(worker)
        while self._idle and len(self._idle) > self._slots.n - self._slots.held:
            await self._end(self._idle.pop(0))  # whoever holds a slot finds a place for a worker
        worker = await self._birth_of()
        worker.run_id = run_id
        return worker

    async def _birth_of(self) -> Worker:
        async with self._birth:  # one after the other: a crowd of requests could fill the socket
            forkserver = await self._open()
            number = next(self._numbers)
            try:
                worker = forkserver.fork(number, await asyncio.to_thread(self._room, number))
            except OSError as error:
                if error.errno in _FULL_DISK:
                    raise
                raise LostError(error.strerror or str(error), error) from error
            try:
                await first_of(worker.born, worker.gone, within=_START_S)
            except asyncio.CancelledError:
                await self._end(worker)
                raise
            if not worker.born.done():
                await self._end(worker)
                death = worker.gone.result()
                raise LostError(death.reason or "no answer", death.error)
            return worker

    def _room(self, number: int) -> Room:
        if self._rooms is None:
            raise RuntimeError("there is a folder for rooms once there is a forkserver")
        if not self._rooms.exists():
            self._rooms.mkdir(mode=0o700)
            self._own_rooms = True
        room = Room(self._rooms, number, self._file)
        self._living_in.add(room)
        room.make()
        return room

    async def _open(self) -> ForkServer:
        """The forkserver, ready; a new one if there is none or it died."""
        if self._forkserver is not None and self._forkserver.lost:
            await asyncio.wait({self._forkserver.over})  # then nothing of it lives any more
        if self._forkserver is None or self._forkserver.lost:
            if self._rooms is None:
                self._rooms = Path(tempfile.mkdtemp(prefix="docpipe-workers-"))
            try:
                memory = int(self._memory * _DATA_SHARE)
                self._forkserver = ForkServer(
                    self._target,
                    self._preload,
                    memory,
                    self._timeout,
                    self._rooms,
                    confined=self._confined,
                    programs=self._job_kind.programs,
                    file=self._file,
                )
            except OSError as error:
                raise LostError(error.strerror or str(error), error) from error
        forkserver = self._forkserver
        await first_of(forkserver.ready, forkserver.over, within=_START_S)
        if not forkserver.ready.done():
            forkserver.abandon()
            raise LostError("its parent process could not be started")
        return forkserver

    async def _watch(self, worker: Worker, job: bytes, *, lends: bool) -> Reply:
        """The worker's reply; raises as soon as it is dead, over its time or over its memory.

        Args:
            worker: it is idle.
            job: framed.
            lends: whether the job gets places that nobody needs.
        """
        pid = worker.born.result()
        deadline = time.monotonic() + self._timeout
        reply = asyncio.create_task(worker.execute(job))
        try:
            with self._idle_places.loan() as loan:
                while True:
                    await first_of(reply, worker.gone, within=_WATCH_S)
                    if reply.done() or worker.gone.done():
                        await asyncio.wait({reply}, timeout=PATIENCE_S)  # the socket closes when it is dead
                        if reply.done() and (answer := reply.result()) is not None:
                            return answer
                        raise self._failures.of_death(await worker.end())
                    if time.monotonic() > deadline:
                        raise self._failures.overtime()
                    self._check(*proc.family(pid))
                    if lends and self._idle_places.renew(loan):
                        await asyncio.to_thread(worker.room.grant, loan.places)
        finally:
            reply.cancel()
            await asyncio.wait({reply})

    def _check(self, processes: int, held: int) -> None:
        """Check a worker with all that it started: how many they are, and the bytes they hold."""
        if processes > proc.CROWD:
            raise WorkerCrashedError(
                f"{self._job_kind.words.worker} was stopped: it started too many programs."
            )
        if held > self._memory:
            raise self._failures.overweight()
