"""The reasons for which an attempt at a job ends, within the pool; callers get a `WorkerError`."""

import errno
import os
from dataclasses import dataclass
from typing import Final

import structlog

from docpipe.errors import WorkerCrashedError, WorkerError, WorkerMemoryError, WorkerTimeoutError
from docpipe.gates.local_trouble import trouble_of
from docpipe.model import Ticket
from docpipe.workers.answers import Reply
from docpipe.workers.budget import size as size_of
from docpipe.workers.budget import span
from docpipe.workers.handle import ProcessExit
from docpipe.workers.jobs import Words
from docpipe.workers.wire import PASSING

log = structlog.get_logger(__name__)

_FULL: Final = 0.45
"""Of the limit. A worker that broke down holding more was out of memory: an allocation that is refused
can be as large as all that is held (a list that doubles), and libraries answer it with an abort."""
_SIGALRM: Final = 14


class LostError(Exception):
    """No worker is available, for a reason other than the document."""

    def __init__(self, reason: str, cause: OSError | None = None) -> None:
        """`cause` is the system's error; `trouble` is its meaning, if it passes by itself."""
        super().__init__(reason)
        self.trouble = None if cause is None else trouble_of(cause)


class FinalError(Exception):
    """What no other try would change."""

    def __init__(self, error: WorkerError) -> None:
        """`error` is for the caller."""
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Failures:
    """The errors of a pool's jobs.

    Args:
        words: of its kind of jobs.
        memory: limit of one job in bytes.
        timeout: limit of one job in seconds.
    """

    words: Words
    memory: int
    timeout: float

    def of_exception(self, reply: Reply, ticket: Ticket) -> Exception:
        """Why a target raised an exception."""
        if reply.error == "MemoryError" or self._was_full(reply.peak):
            return self.overweight()
        if reply.errno in PASSING:
            return OSError(reply.errno, os.strerror(reply.errno))
        log.warning("worker_raised", run_id=ticket.run_id, error=reply.error, where=reply.where)
        return FinalError(self._stopped(f"{reply.error} in {reply.where}"))

    def of_death(self, death: ProcessExit) -> Exception:
        """Why a worker died by itself."""
        if death.code is None:
            return LostError(death.reason)
        if death.code == -_SIGALRM:  # its own alarm: the main process was too busy to watch it
            return self.overtime()
        if self._was_full(death.peak):
            return self.overweight()
        how = f"signal {-death.code}" if death.code < 0 else f"exit status {death.code}"
        return self._stopped(how)

    def of_transfer(self, error: OSError) -> Exception:
        """Why files could not be moved: the error itself where it passes."""
        if error.errno in PASSING or error.errno == errno.EMFILE:
            return error
        return FinalError(WorkerCrashedError(self.words.transfer.format(error.strerror)))

    def overtime(self) -> WorkerTimeoutError:
        """It took longer than the limit."""
        return WorkerTimeoutError(self.words.time.format(span(self.timeout)))

    def overweight(self) -> WorkerMemoryError:
        """It needed more than the limit."""
        return WorkerMemoryError(self.words.memory.format(size_of(self.memory)))

    def _stopped(self, how: str) -> WorkerCrashedError:
        return WorkerCrashedError(f"{self.words.worker} stopped unexpectedly ({how}).")

    def _was_full(self, peak: int) -> bool:
        return peak > self.memory * _FULL
