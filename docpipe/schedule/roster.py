"""The patients of a schedule, each at a place of its own within every round."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from docpipe.schedule.rounds import Round, Rounds


class Due(NamedTuple):
    """A patient who is to be retrieved. Times are seconds since the epoch."""

    at: float
    patient_id: str
    round: float
    """When the round started."""


def place_of(patient_id: str) -> float:
    """The patient's place within a round, 0 to 1: the same in every round, and even over all patients."""
    digest = hashlib.sha256(patient_id.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64


class Roster:
    """Patients by their places."""

    def __init__(self, patient_ids: Iterable[str]) -> None:
        placed = sorted((place_of(patient_id), patient_id) for patient_id in set(patient_ids))
        self._places = [place for place, _ in placed]
        self._ids = [patient_id for _, patient_id in placed]

    def __len__(self) -> int:
        return len(self._ids)

    def due(self, rounds: Rounds, after: float, until: float) -> list[Due]:
        """Return who is due after the one time and by the other, in the order of their times.

        A patient who was due several times is there once, at the last of these times.
        """
        parts, first = list[list[Due]](), 0
        for this in reversed(rounds.latest(until)):
            begun, by_now = self._number_by(this, after), self._number_by(this, until)
            parts.append([self._due(this, number) for number in range(max(first, begun), by_now)])
            first = by_now  # the others were last due in the round before
        return [due for part in reversed(parts) for due in part]

    def next(self, rounds: Rounds, after: float) -> float | None:
        """Return when the next patient is due after a time, None where nobody is."""
        if not self._ids:
            return None
        for this in rounds.latest(after)[-1:]:
            if (number := self._number_by(this, after)) < len(self._ids):
                return self._due(this, number).at
        following = rounds.following(after)
        return None if following is None else self._due(following, 0).at

    def _number_by(self, this: Round, moment: float) -> int:
        """How many patients are due in a round by then."""
        return bisect_right(self._places, moment, key=lambda place: this.start + place * this.length)

    def _due(self, this: Round, number: int) -> Due:
        return Due(this.start + self._places[number] * this.length, self._ids[number], this.start)
