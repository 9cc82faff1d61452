"""Several simulations side by side: each in a process of its own, as many at a time as there are CPUs."""

import contextlib
import ctypes
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from typing import Any, Final

from docpipe.plan.course import Course, course
from docpipe.plan.setup import Setup
from docpipe.workers.machine import usable_cpus

Progress = Callable[[float], None]
"""Called with the part that is done, from 0 to 1."""
_ALONE: Final = 500
"""Fewer patients are simulated faster than a process is started."""
_LOOK_S: Final = 0.1
_parts: Any = None
"""Of a process made here: what part is done of each simulation, for its parent to see."""


def simulated(setups: Sequence[Setup], progress: Progress = lambda _: None) -> list[Course]:
    """Simulate each of them."""
    if len(setups) <= 1 or setups[0].patients < _ALONE:
        return list(_in_turn(setups, progress))
    context = multiprocessing.get_context("spawn")
    parts: Any = context.Array(ctypes.c_double, len(setups), lock=False)
    number = max(1, min(len(setups), usable_cpus()))
    pool = ProcessPoolExecutor(number, context, initializer=_initialise, initargs=(parts,))
    with pool, _children_terminated():
        rest: set[Future[Course]] = set()
        futures = [pool.submit(_in_child, where, setup) for where, setup in enumerate(setups)]
        rest.update(futures)
        while rest:
            rest = wait(rest, timeout=_LOOK_S).not_done
            progress(sum(parts) / len(setups))
        return [future.result() for future in futures]


def _in_turn(setups: Sequence[Setup], progress: Progress) -> Iterator[Course]:
    for done, setup in enumerate(setups):

        def show(part: float, done: int = done) -> None:
            progress((done + part) / len(setups))

        yield course(setup, show)


@contextlib.contextmanager
def _children_terminated() -> Iterator[None]:
    """End the child processes at once when the parent is interrupted."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise


def _initialise(parts: Any) -> None:
    global _parts  # noqa: PLW0603 -- of this process, which does nothing else
    _parts = parts
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches it, too; it ends without a traceback


def _in_child(where: int, setup: Setup) -> Course:
    def note(part: float) -> None:
        _parts[where] = part

    return course(setup, note)
