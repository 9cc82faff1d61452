"""Pages of one document that are read at the same time: as many as idle places and memory allow."""

import resource
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST: Final = 16
_LOOK_S: Final = 0.2
"""Seconds after which the number of places is read again while pages are being read."""
_PAGE_BYTES: Final = 200 * 2**20
"""Memory for one more page: 137 MiB for tesseract with one language on a letter at 300 dpi; its pictures."""
_MEMORY_SHARE: Final = 0.8
"""Of the limit of a process: what all processes of a document may hold together by this estimate."""


def in_order(
    work: Callable[[_Item], _Result], items: Iterable[_Item], places: Callable[[], int]
) -> list[_Result]:
    """What `work` returns for each item, in their order; they begin in this order as well.

    Where there is only one place no thread is started.

    Args:
        work: called in several threads. What it raises ends everything, once those that have begun are done.
        items: in their order.
        places: how many may be worked on now; at least one is.
    """
    futures: list[Future[_Result]] = []
    running: set[Future[_Result]] = set()
    with ThreadPoolExecutor(_MOST, "page") as threads:
        try:
            for item in items:
                while running and len(running) >= places():
                    ended, running = wait(running, _LOOK_S, FIRST_COMPLETED)
                    for future in ended:
                        future.result()
                if running or places() > 1:
                    futures.append(threads.submit(work, item))
                    running.add(futures[-1])
                else:
                    futures.append(_here(work, item))
            return [future.result() for future in futures]
        finally:
            threads.shutdown(cancel_futures=True)


def _here(work: Callable[[_Item], _Result], item: _Item) -> "Future[_Result]":
    done: Future[_Result] = Future()
    done.set_result(work(item))
    return done


def granted(file: Path | None) -> int:
    """How many processes may read pages at present: the number in a file, or fewer where memory is short.

    Args:
        file: as `Source.places`.
    """
    try:
        places = int(file.read_bytes()) if file is not None else 1
    except (OSError, ValueError):  # nothing is granted yet, or it is being written
        return 1
    return max(1, min(places, _fitting(), _MOST)) if places > 1 else 1


def _fitting() -> int:
    """For how many pages there is memory, this process's own left out."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if limit == resource.RLIM_INFINITY:
        return _MOST
    own, largest = (
        resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return int((limit * _MEMORY_SHARE - own) // max(_PAGE_BYTES, largest))
