"""Trouble of this machine that passes, such as a full disk: work waits for its end, and no run fails for it.

`TROUBLES` holds every kind, with the sentence that people read. SQLite's codes: https://sqlite.org/rescode.html.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import structlog

from docpipe.errors import RunError
from docpipe.gates.line import waiting
from docpipe.model import Clock, Step, Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
RETRY_S: Final = 10.0
_CONTINUES: Final = ", and docpipe continues"
LOG_EVERY_S: Final = 60.0
"""The same trouble is logged this often, however many runs wait for its end."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of trouble, in words that follow a colon."""

    problem: str
    """What it is; `{what}` stands for what cannot be used, such as `storage`."""
    cure: str
    kind: WaitKind = WaitKind.LOCAL

    def sentence(self, what: str) -> str:
        """Cause and cure."""
        return f"{self.problem.format(what=what)}: {self.cure}"

    def ending(self, what: str) -> str:
        """Cause and cure where docpipe ends for it, as at the start."""
        cure = self.cure.removesuffix(_CONTINUES)
        return f"{self.problem.format(what=what)}: {cure}, then start docpipe again"

    def wait(self, what: str, since: float, until: float) -> Wait:
        """What a ticket shows meanwhile. Of a full disk `what` is enough: its kind says the rest."""
        return Wait(self.kind, what if self.kind is WaitKind.DISK else self.sentence(what), since, until)


_MORE_PROCESSES: Final = (
    "end other programs, or raise the limit of processes (ulimit -u, TasksMax, pids limit)"
)
FULL: Final = Trouble("the disk is full ({what})", f"make room{_CONTINUES}", WaitKind.DISK)
OTHER: Final = Trouble("the {what} cannot be written", "see the log of the system, and the disk")
NO_THREAD: Final = Trouble("no thread can be started", _MORE_PROCESSES)
_NO_PROCESS: Final = Trouble("no process can be started", _MORE_PROCESSES)
_NO_MEMORY: Final = Trouble("the machine is out of memory", "end other programs, or give it more memory")
_NO_RIGHT: Final = Trouble(
    "docpipe may not use the {what}", "give the user that runs docpipe the right to read and write there"
)
_READ_ONLY: Final = Trouble("the disk is mounted read-only ({what})", "mount it so that it can be written")
_BAD_DISK: Final = Trouble(
    "the disk fails ({what})", "see whether it has room, its server if it has one, and the log of the system"
)
HELD: Final = Trouble(
    "another program holds checkpoints.db", "close what has it open, such as an sqlite3 shell or a backup"
)
TROUBLES: Final[dict[int, Trouble]] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EMFILE: Trouble(
        "docpipe has too many files open", "raise the limit of open files (ulimit -n, LimitNOFILE)"
    ),
    errno.ENFILE: Trouble("the machine has too many files open", "end other programs, or raise fs.file-max"),
    errno.EAGAIN: _NO_PROCESS,
    errno.ENOMEM: _NO_MEMORY,
    errno.ESTALE: Trouble("the mount has gone stale ({what})", "mount it again"),
    errno.ENOTCONN: Trouble("the mount has lost its server ({what})", "check its server, or mount it again"),
    errno.ENODEV: Trouble("the {what} is not mounted", "mount it again"),
    errno.EROFS: _READ_ONLY,
    errno.EIO: _BAD_DISK,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
}
"""By the number of an error of the operating system."""
_OF_SQLITE: Final[dict[int, Trouble]] = {
    5: HELD,  # SQLITE_BUSY
    6: HELD,  # SQLITE_LOCKED
    7: _NO_MEMORY,  # SQLITE_NOMEM
    8: Trouble("checkpoints.db cannot be written", "see that its disk and its permissions let docpipe write"),
    10: _BAD_DISK,  # SQLITE_IOERR
    13: FULL,  # SQLITE_FULL
    14: Trouble(
        "checkpoints.db cannot be opened",
        "check its permissions, and the limit of open files (ulimit -n)",
    ),
    15: HELD,  # SQLITE_PROTOCOL: the lock was not to be had
    778: FULL,  # SQLITE_IOERR_WRITE: some file systems say so where there is no room
    1032: Trouble("checkpoints.db was moved or removed", "put it back, or start docpipe anew"),
    4874: FULL,  # SQLITE_IOERR_SHMSIZE: no room for the file of shared memory
    3082: _NO_MEMORY,  # SQLITE_IOERR_NOMEM
}
"""By SQLite's extended code, else by its primary one."""


def trouble_of(error: BaseException) -> Trouble | None:
    """The trouble behind an error; None for all that does not pass by itself."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _OF_SQLITE.get(code) or _OF_SQLITE.get(code & 0xFF)
    # Libraries have errors of their own that are OSErrors: TLS has other numbers, a store has answered.
    if isinstance(error, OSError) and type(error).__module__ == "builtins":
        return TROUBLES.get(error.errno or 0)
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return NO_THREAD
    return None


async def retry_while_in_trouble(
    step: Step, what: str, clock: Clock, work: Callable[[], Awaitable[_T]], done: str = "written"
) -> _T:
    """Do what reads or writes the spool or the storage; wait while this machine does not let it.

    Args:
        step: the activity's attempt; its ticket shows what it waits for.
        what: the place, such as `storage`.
        clock: the wall clock.
        work: may be repeated.
        done: what is done there, in a word that follows "cannot be".

    Raises:
        RunError: if the system refuses it for a reason that does not pass.
    """
    while True:
        try:
            return await work()
        except (OSError, RuntimeError) as error:
            if (trouble := trouble_of(error)) is None:
                if isinstance(error, OSError):
                    raise RunError(f"The {what} cannot be {done}: {error.strerror}.") from error
                raise
        await wait_out(trouble, step.ticket, what, clock)


async def wait_out(trouble: Trouble, ticket: Ticket, what: str, clock: Clock) -> None:
    """Wait for a while before another attempt; the ticket and the log say why."""
    now = clock()
    log_trouble(trouble, what, run_id=ticket.run_id, retry_s=RETRY_S)
    with waiting(ticket, trouble.wait(what, now, now + RETRY_S)):
        await asyncio.sleep(RETRY_S)


def log_trouble(trouble: Trouble, what: str, **more: str | float) -> None:
    """Log it, unless the same was logged within the last minute."""
    if _due(trouble, what):
        event = "disk_full" if trouble.kind is WaitKind.DISK else "local_trouble"
        log.warning(event, what=what, problem=trouble.problem.format(what=what), cure=trouble.cure, **more)


_Times = dict[tuple[str, str], float]
_logged: WeakKeyDictionary[asyncio.AbstractEventLoop, _Times] = WeakKeyDictionary()


def _due(trouble: Trouble, what: str) -> bool:
    """Whether the trouble is to be logged now; by the loop's clock."""
    loop = asyncio.get_running_loop()
    times, key = _logged.setdefault(loop, {}), (trouble.problem, what)
    if key in times and loop.time() < times[key] + LOG_EVERY_S:
        return False
    times[key] = loop.time()
    return True
