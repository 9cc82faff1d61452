"""The budget of worker time for the documents of one run, so that files which only cost time cost no days."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

from docpipe.errors import WorkerTimeoutError


class Budget:
    """Seconds of workers by run, of real time; runs without an id have no limit."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`seconds` is for each run; None is without a limit."""
        self._seconds = seconds
        self._clock = clock
        self._spent: defaultdict[str, float] = defaultdict(float)

    def check(self, run_id: str) -> None:
        """Check that time is left.

        Raises:
            WorkerTimeoutError: none is left. Jobs that have begun finish, no other begins.
        """
        if self._seconds is not None and self._spent.get(run_id, 0.0) >= self._seconds:
            raise WorkerTimeoutError(
                f"The documents of this patient took {span(self._seconds)} to convert in all; "
                "this one was not tried."
            )

    @contextlib.contextmanager
    def spend(self, run_id: str) -> Iterator[None]:
        """Count the time of the block, however it ends."""
        began = self._clock()
        try:
            yield
        finally:
            if run_id and self._seconds is not None:
                self._spent[run_id] += self._clock() - began

    def forget(self, run_id: str) -> None:
        """A run is over."""
        self._spent.pop(run_id, None)


def span(seconds: float) -> str:
    """A time as people write it."""
    if seconds >= 3600:  # noqa: PLR2004 - an hour
        return f"{seconds / 3600:.4g} h"
    return f"{seconds / 60:.4g} min" if seconds >= 60 else f"{seconds:.4g} s"  # noqa: PLR2004 - a minute


def size(count: int) -> str:
    """A number of bytes as people write it."""
    unit, name = (2**30, "GiB") if count >= 2**30 else (2**20, "MiB")
    return f"{count / unit:.4g} {name}"
