"""A worker: limits first, then one job after the other until its socket closes."""

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import Final

from docpipe.model import Json
from docpipe.workers import proc
from docpipe.workers.wire import LENGTH, frame

Target = Callable[[Json], Json]

SPARE_S: Final = 5.0
"""A worker ends itself so long after the limit of time, should nobody have killed it by then."""
_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>
_PR_SET_CHILD_SUBREAPER: Final = 36
_NICE: Final = 5  # the main process goes first


def die_with_parent(number: signal.Signals, parent: int) -> None:
    """Get the signal when the parent dies, and leave if it is dead already."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parents die, in place of the system's init.

    So nobody gets away by a session of its own, and no zombie stays where a container has no init.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def settle(parent: int, memory: int) -> None:
    """Turn a freshly forked process into a worker: on its own, limited, silent.

    Args:
        parent: process id of the nursery.
        memory: RLIMIT_DATA in bytes: heap and private mappings. (RLIMIT_AS breaks onnxruntime.)
    """
    os.setsid()
    die_with_parent(signal.SIGKILL, parent)
    adopt_orphans()
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold a document
    proc.offer_to_oom_killer()
    os.umask(0o077)
    os.nice(_NICE)
    # Libraries and tools print parts of documents; nothing of that may reach a log, nor --json's output.
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)


def _limit(what: int, soft: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def live(connection: socket.socket, target: Target, timeout: float) -> None:
    """Answer jobs until the other end is closed; `timeout` is the limit of one job in seconds."""
    with connection, connection.makefile("rb") as incoming:
        while head := incoming.read(LENGTH.size):
            job = json.loads(incoming.read(*LENGTH.unpack(head)))
            # No handler: the default action ends the process even in C code that holds the lock.
            signal.setitimer(signal.ITIMER_REAL, timeout + SPARE_S)
            proc.forget_peak()
            reply = _answer(target, job)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.sendall(reply)


def _answer(target: Target, job: Json) -> bytes:
    """The fields of a `wire.Answer`, framed."""
    began = time.monotonic()
    try:
        value = target(job)
        return frame({"ok": True, "value": value, "seconds": time.monotonic() - began, **_state()})
    except BaseException as error:  # noqa: BLE001 - SystemExit too is an answer: the document's, not ours
        # Room to say so; the worker ends after an error anyway.
        resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2)
        name, where = type(error).__name__, _where(error)
        number = error.errno or 0 if isinstance(error, OSError) else 0
    gc.collect()
    return frame({"ok": False, "error": name, "where": where, "errno": number, **_state()})


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"


def _state() -> dict[str, int]:
    return {
        "left": len(proc.children(os.getpid())),
        "resident": proc.resident(os.getpid()),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # Linux counts in KiB
    }
