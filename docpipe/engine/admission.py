"""Admission: which queued runs may start, most urgent first."""

import contextlib
import heapq
import itertools
from collections.abc import Iterator
from typing import Final

from docpipe.checkpoints import StoredRun
from docpipe.model import Ticket

ADMITTED: Final = 64
"""Runs admitted that have not searched yet; more would only wait for the search quota."""

_Entry = tuple[float, int, StoredRun]
"""Urgency, order of arrival, and the run."""


class Admission:
    """Queues runs and bounds how many hold an admission. Knows no clock and no event loop.

    Args:
        most: how many runs may hold an admission at the same time.
    """

    def __init__(self, most: int = ADMITTED) -> None:
        self._most = most
        self._queue: list[_Entry] = []
        """A heap; entries that are not in `_entries` any more are passed over."""
        self._entries: dict[str, _Entry] = {}
        """Of each queued run its one entry, by run id."""
        self._order = itertools.count()
        self._holders: set[str] = set()
        self._withdrawn: set[str] = set()
        """Runs cancelled while callers hold runs that they read before; see `reading`."""
        self._callers = 0

    @property
    def waiting(self) -> int:
        """How many runs are queued."""
        return len(self._entries)

    @property
    def queued(self) -> list[StoredRun]:
        """The queued runs in the order in which they will be admitted."""
        return [run for *_, run in sorted(self._entries.values(), key=lambda entry: entry[:2])]

    def add(self, run: StoredRun) -> None:
        """Queue a run, unless it was withdrawn; one that is queued moves up if it has become more urgent."""
        if run.run_id in self._withdrawn:
            return
        known = self._entries.get(run.run_id)
        if known is None or urgency(run) < known[0]:
            entry = self._entries[run.run_id] = (urgency(run), next(self._order), run)
            heapq.heappush(self._queue, entry)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Hold this from reading runs to adding them: those withdrawn meanwhile are not added."""
        self._callers += 1
        try:
            yield
        finally:
            self._callers -= 1
            if not self._callers:  # whoever reads them from now on reads that they are cancelled
                self._withdrawn.clear()

    def withdraw(self, run_id: str) -> None:
        """Remove a run from the queue, and refuse it until `readmit` or the end of all that are `reading`."""
        if self._callers:
            self._withdrawn.add(run_id)
        self._entries.pop(run_id, None)

    def readmit(self, run_id: str) -> None:
        """Accept a withdrawn run again."""
        self._withdrawn.discard(run_id)

    def next(self) -> StoredRun | None:
        """Remove and return the most urgent run; None if none is queued or no admission is free.

        The run does not hold an admission before `hold`.
        """
        while self._queue and len(self._holders) < self._most:
            entry = heapq.heappop(self._queue)
            run = entry[2]
            if self._entries.get(run.run_id) is entry:
                del self._entries[run.run_id]
                return run
        return None

    def hold(self, run_id: str) -> None:
        """Count a run as admitted, whether or not an admission is free."""
        self._holders.add(run_id)

    def is_holding(self, run_id: str) -> bool:
        """Whether a run holds an admission."""
        return run_id in self._holders

    def release(self, run_id: str) -> None:
        """Free the admission of a run, if it holds one."""
        self._holders.discard(run_id)


def urgency(run: StoredRun) -> float:
    """The key by which runs are queued, smallest first; see `model.Ticket.urgency`."""
    return Ticket(run.run_id, run.priority).urgency(run.created_at)
