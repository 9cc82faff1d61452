"""Room on the disk: where there is none, work waits for it."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from docpipe.errors import RunError
from docpipe.gates.line import waiting
from docpipe.model import Clock, Step, Wait, WaitKind

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
_DISK_FULL_S: Final = 10.0


async def retry_while_full(
    step: Step, what: str, clock: Clock, work: Callable[[], Awaitable[_T]], done: str = "written"
) -> _T:
    """Do what reads or writes the spool or the storage; where the disk is full, wait until there is room.

    Raises:
        RunError: if it cannot be done for another reason.
    """
    while True:
        try:
            return await work()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise RunError(f"The {what} cannot be {done}: {error.strerror}.") from error
        log.warning("disk_full", what=what, run_id=step.ticket.run_id, retry_s=_DISK_FULL_S)
        now = clock()
        with waiting(step.ticket, Wait(WaitKind.DISK, what, now, now + _DISK_FULL_S)):
            await asyncio.sleep(_DISK_FULL_S)
