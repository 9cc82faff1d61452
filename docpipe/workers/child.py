"""A worker: limits first, then one job after the other until its socket closes."""

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Final

from docpipe.model import Json
from docpipe.workers import limits, proc
from docpipe.workers.wire import LENGTH, TEMPORARY, answer_frame

Target = Callable[[Json], Json]

SPARE_S: Final = 5.0
"""Seconds after the limit of time at which a worker ends itself, if it was not killed before."""
_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>
_PR_SET_CHILD_SUBREAPER: Final = 36
_NICE: Final = 5  # the main process has priority


def die_with_parent(number: signal.Signals, parent: int) -> None:
    """Get the signal when the parent dies, and leave if it is dead already."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parents die, in place of the system's init.

    So no process escapes by a session of its own, and no zombie stays where a container has no init.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def settle(parent: int, memory: int, processes: int, file: int) -> int:
    """Turn a freshly forked process into a worker: on its own, limited, silent.

    Args:
        parent: process id of the forkserver.
        memory: most memory in bytes, as of `limits.set_limits`.
        processes: most processes of the user, likewise.
        file: the largest file in bytes, likewise.

    Returns:
        A descriptor for `proc.forget_peak`.
    """
    os.setsid()
    die_with_parent(signal.SIGKILL, parent)
    adopt_orphans()
    limits.set_dumpable(dumpable=True)  # else the files that are written next belong to root
    proc.offer_to_oom_killer()
    proc.leave_no_memory_in_cores()
    peak = proc.open_peak()
    limits.set_dumpable(dumpable=False)
    os.umask(0o077)
    os.nice(_NICE)
    limits.set_limits(memory, processes, file)
    # Libraries and tools print parts of documents; nothing of that may reach a log, nor --json's output.
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    return peak


def enter_room(own: str) -> None:
    """Make a folder this process's home, its working folder and, in part, its place for temporary files."""
    os.chdir(own)
    os.environ |= {"HOME": own, "TMPDIR": f"{own}/{TEMPORARY}"}
    tempfile.tempdir = None  # the value cached before the fork is another folder


def live(connection: socket.socket, target: Target, timeout: float, peak: int) -> None:
    """Answer jobs until the other end is closed.

    Args:
        connection: jobs come in and answers go out.
        target: called with each job.
        timeout: limit of one job in seconds.
        peak: as of `proc.open_peak`.
    """
    with connection, connection.makefile("rb") as incoming:
        while head := incoming.read(LENGTH.size):
            job = json.loads(incoming.read(*LENGTH.unpack(head)))
            # No handler: the default action ends the process even in C code that holds the lock.
            signal.setitimer(signal.ITIMER_REAL, timeout + SPARE_S)
            proc.forget_peak(peak)
            reply = _answer(target, job)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.sendall(reply)


def _answer(target: Target, job: Json) -> bytes:
    """The fields of an `answers.Reply`, framed."""
    began = time.monotonic()
    try:
        value = target(job)
        return answer_frame(
            {"ok": True, "value": value, "seconds": time.monotonic() - began, "peak": _peak()}
        )
    except BaseException as error:  # noqa: BLE001 - SystemExit too is an answer: the document's, not ours
        limits.use_spare_memory()  # the worker ends after an error anyway
        name, where = type(error).__name__, _where(error)
        number = error.errno or 0 if isinstance(error, OSError) else 0
    gc.collect()
    return answer_frame({"ok": False, "error": name, "where": where, "errno": number, "peak": _peak()})


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
