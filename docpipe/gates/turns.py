"""Expected times of the callers in a quota's line."""

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_CYCLES: Final = 2
"""After this many full windows the turns repeat themselves."""


@dataclass(frozen=True, slots=True)
class Turns:
    """The state of a quota. Times are of any one clock, in seconds.

    Args:
        n: how many places there are; None without a quota.
        first: the earliest turn.
        held: when each place that is taken comes free, in order.
        cycle: for how long a caller takes a place, from its turn until the place is free again.
        spacing: the least time between two turns.
    """

    n: int | None
    first: float
    held: tuple[float, ...] = ()
    cycle: float = 0.0
    spacing: float = 0.0

    def __iter__(self) -> Iterator[float]:
        """The turn of the first in line, of the second, and so on without end."""
        free, moment = deque(self.held), self.first
        limit = math.inf if self.n is None else self.n
        while True:
            while len(free) >= limit:
                moment = max(moment, free.popleft())
            yield moment
            if self.n is not None:
                free.append(moment + self.cycle)
            moment += self.spacing

    def of(self, number: int) -> float:
        """The turn of the caller at this place in line, 1 for the first; cheap for large numbers, too."""
        if self.n is None or number <= _CYCLES * self.n:
            return _nth(self, number)
        cycles, rest = divmod(number - _CYCLES * self.n - 1, self.n)
        each = max(self.cycle, self.spacing * self.n)
        return _nth(self, (_CYCLES - 1) * self.n + 1 + rest) + (cycles + 1) * each


def _nth(turns: Iterable[float], number: int) -> float:
    return next(itertools.islice(turns, max(1, number) - 1, None))
