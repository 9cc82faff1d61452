"""The main process's handle of a forkserver and its workers: no threads, and it never blocks the loop."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from docpipe.workers import proc
from docpipe.workers.answers import Reply, read_reply
from docpipe.workers.limits import FILE_BYTES
from docpipe.workers.rooms import Room
from docpipe.workers.wire import (
    BORN,
    FORK,
    GONE,
    KILL,
    LENGTH,
    MAX_FRAME,
    MESSAGE_SIZE,
    READY,
    UNBORN,
    Message,
    Orders,
)

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 5.0
"""Seconds for a kill to be confirmed; a forkserver that needs longer is stuck, and is killed itself."""
RECYCLE_JOBS: Final = 100
"""Jobs after which a worker is replaced, because libraries leak memory."""
RECYCLE_BYTES: Final = 300 * 2**20
"""Resident memory after a job from which a worker is replaced."""
_STOP_S: Final = 0.8  # seconds for a forkserver to kill everybody and leave
_READ: Final = 65536
_PASSED_ON: Final = re.compile(
    r"PATH|LANG|LANGUAGE|LC_[A-Z_]+|TZ|TMPDIR|TESSDATA_PREFIX|LD_LIBRARY_PATH"
    # What Python itself needs to find its library, and to treat it as its user wants.
    r"|PYTHON(HOME|PLATLIBDIR|USERBASE|NOUSERSITE|UTF8|DONTWRITEBYTECODE|PYCACHEPREFIX)"
)
"""Variables that workers get, by their whole names. Any other may hold a secret."""
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS")


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a worker ended."""

    code: int | None
    """Its exit code, -n for signal n; None where it was never born or its forkserver was lost."""
    peak: int = 0
    """Bytes: the most memory it ever held."""
    reason: str = ""
    """Where there is no code: why, in a few words."""
    error: OSError | None = None
    """Where it was never born: what the system answered."""


class Worker:
    """One worker process, from its order to its death."""

    __slots__ = ("_asking", "_connection", "_forkserver", "born", "gone", "jobs", "number", "room", "run_id")

    def __init__(self, forkserver: "ForkServer", number: int, connection: socket.socket, room: Room) -> None:
        loop = asyncio.get_running_loop()
        self._forkserver = forkserver
        self._connection = connection
        self._asking = False
        self.number = number
        self.room = room
        self.born: asyncio.Future[int] = loop.create_future()
        """Its process id, which is also the id of its group and session."""
        self.gone: asyncio.Future[ProcessExit] = loop.create_future()
        self.jobs = 0
        self.run_id = ""
        """The run whose documents it has seen; it gets no other's."""

    async def execute(self, job: bytes) -> Reply | None:
        """Send a framed job; None without a valid answer: the worker is dead, or answers invalid frames."""
        loop = asyncio.get_running_loop()
        self.jobs += 1
        self._asking = True
        try:
            await loop.sock_sendall(self._connection, job)
            (length,) = LENGTH.unpack(await self._read(LENGTH.size))
            return read_reply(await self._read(length)) if length <= MAX_FRAME else None
        except (OSError, EOFError):
            return None
        finally:
            self._asking = False
            if self.gone.done():
                self._connection.close()

    async def _read(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = bytearray()
        while len(data) < size:
            more = await loop.sock_recv(self._connection, min(size - len(data), _READ))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    async def end(self) -> ProcessExit:
        """Kill it with all that it started; returns when it is dead. One that died before keeps its code."""
        if not self.gone.done():
            self._forkserver.kill(self.number)
            await asyncio.wait({self.gone}, timeout=PATIENCE_S)
            if not self.gone.done():
                self._forkserver.abandon()
                await asyncio.wait({self.gone})
        return self.gone.result()

    def worn(self, jobs: int) -> bool:
        """Whether it should be replaced: it did so many jobs, holds much memory, or left programs running.

        Measured from outside: a hostile document may control what a worker reports of itself.
        """
        pid = self.born.result()
        return self.jobs >= jobs or proc.resident(pid) >= RECYCLE_BYTES or bool(proc.children(pid))

    def note_exit(self, death: ProcessExit) -> None:
        """Note its death."""
        if not self.gone.done():
            self.gone.set_result(death)
        # Not under a pending read: its descriptor could belong to another worker when the read ends.
        if not self._asking:
            self._connection.close()


class ForkServer:
    """A forkserver process and the workers that live. Make it with a running loop; `stop` it in the end."""

    def __init__(
        self,
        target: str,
        preload: str | None,
        memory: int,
        timeout: float,
        rooms: Path,
        *,
        confined: bool = True,
        programs: bool = True,
        file: int = FILE_BYTES,
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        root = str(rooms.resolve())
        orders = Orders(
            os.getpid(), theirs.fileno(), target, preload, memory, timeout, root, confined, programs, file
        )
        with theirs:
            try:
                # Returns within milliseconds, at exec. Its standard error stays ours, for import errors;
                # that of its workers is nowhere.
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [sys.executable, "-P", "-m", "docpipe.workers.forkserver", json.dumps(asdict(orders))],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env=_environment(os.environ),
                )
            except OSError:
                ours.close()
                raise
        self._control = ours
        self._living: dict[int, Worker] = {}
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over: asyncio.Task[None] = asyncio.create_task(self._listen(), name="forkserver")
        """Done when it is dead and reaped, and all its workers are noted as gone."""
        self.lost = False
        """Whether it accepts no further job."""

    def fork(self, number: int, room: Room) -> Worker:
        """Order a worker, which is there when its `born` is done; it failed when its `gone` is.

        Args:
            number: of the worker; never used twice.
            room: its room, made.

        Raises:
            OSError: no descriptors are left, or the forkserver is dead.
        """
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        worker = Worker(self, number, ours, room)
        with theirs:
            try:
                socket.send_fds(self._control, [Message(FORK, worker.number).pack()], [theirs.fileno()])
            except OSError:
                ours.close()
                self.abandon()
                raise
        self._living[worker.number] = worker
        return worker

    def kill(self, number: int) -> None:
        """Request the death of a worker; no effect on a dead one."""
        if self.lost:
            return  # it is ending, and its children end with it
        try:
            self._control.send(Message(KILL, number).pack())
        except OSError:  # it is dead, or it has not listened for hundreds of messages
            self.abandon()

    def abandon(self) -> None:
        """Kill the forkserver itself; the kernel kills its workers."""
        self.lost = True
        self._process.kill()

    async def stop(self) -> None:
        """End the forkserver and everybody in it, within about a second."""
        self.lost = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)  # it still reports deaths until it exits
        await asyncio.wait({self.over}, timeout=_STOP_S)
        if not self.over.done():
            self.abandon()
            await asyncio.wait({self.over}, timeout=_STOP_S)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        data = b""
        try:
            with contextlib.suppress(OSError):
                while more := await loop.sock_recv(self._control, _READ):
                    data += more
                    while len(data) >= MESSAGE_SIZE:
                        self._hear(Message.unpack(data[:MESSAGE_SIZE]))
                        data = data[MESSAGE_SIZE:]
        finally:
            self._note_exits()
        while self._process.poll() is None:  # noqa: ASYNC110 - killed above: once around, if at all
            await asyncio.sleep(0.005)

    def _hear(self, message: Message) -> None:
        if message.op == READY:
            if message.value > 1:  # a fork copies one thread, and locks that the others hold
                log.warning("forkserver_has_threads", threads=message.value)
            self.ready.set_result(None)
        elif message.op == BORN:
            self._living[message.number].born.set_result(message.value)
        elif message.op == UNBORN:
            reason = os.strerror(message.value)
            error = OSError(message.value, reason)
            self._living.pop(message.number).note_exit(ProcessExit(None, reason=reason, error=error))
        elif message.op == GONE:
            self._living.pop(message.number).note_exit(ProcessExit(message.value, message.peak))

    def _note_exits(self) -> None:
        """The forkserver is dead: so are its workers, and what they started must be, too."""
        self.abandon()
        self._control.close()
        for worker in self._living.values():
            if worker.born.done():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(worker.born.result(), signal.SIGKILL)
            worker.note_exit(ProcessExit(None, reason="its parent process died"))
        self._living.clear()


async def first_of(*futures: asyncio.Future[Any], within: float) -> None:
    """Wait until one is done, or for this many seconds."""
    await asyncio.wait(futures, timeout=within, return_when=asyncio.FIRST_COMPLETED)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of workers: without secrets, since they read hostile documents. One thread a library.

    Without HOME, too: it names the user, and workers need nothing there.
    """
    known = {name: value for name, value in ours.items() if _PASSED_ON.fullmatch(name)}
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return known | dict.fromkeys(_ONE_THREAD, "1") | {"PYTHONPATH": paths}
