"""The patient of each search: a search never serves two patients.

A search does not name its patient, so the answer to `POST /v1/searches` cannot be compared with its request.
Two requests answered with the same id show a mix-up all the same.
"""

from collections import OrderedDict
from typing import Final

from docpipe.model import Clock

KEPT_S: Final = 600.0
"""Longer than the slowest pace of polling, so that a live search is always remembered. An exchange that
numbers anew after a restart may give older ids again."""


class Owners:
    """The searches of this process and their patients."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owners: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._disputed: set[str] = set()

    def claim(self, search_id: str, patient_id: str) -> bool:
        """Note that a search is for a patient, anew with each answer about it.

        Returns:
            False where another patient had it before. From then on it belongs to nobody, since either of the
            two answers may be the wrong one.
        """
        self._forget()
        owner, _ = self._owners.get(search_id, (patient_id, 0.0))
        if owner != patient_id:
            self._disputed.add(search_id)
        self._owners[search_id] = owner, self._clock()
        self._owners.move_to_end(search_id)
        return search_id not in self._disputed

    def disputed(self, search_id: str) -> bool:
        """Whether two patients got the same search."""
        return search_id in self._disputed

    def _forget(self) -> None:
        while self._owners:
            search_id, (_, at) = next(iter(self._owners.items()))
            if abs(self._clock() - at) <= KEPT_S:  # the clock may have been set back
                return
            del self._owners[search_id]
            self._disputed.discard(search_id)
