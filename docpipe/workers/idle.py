"""Places that nobody needs now, lent to jobs that can use more than one.

A lent place stays free: whoever comes next takes it at once, and the borrower learns of it at the next look
at its worker. Until it has finished what it began, there is a process more than there are places. Memory is
not lent: each job keeps its own limit.
"""

import contextlib
from collections.abc import Iterator

from docpipe.gates.line import Slots


class Loan:
    """How many places one job was granted last, its own included."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        self.places = 1


class IdlePlaces:
    """Which job may use how many places.

    Args:
        slots: the places.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._loans: dict[Loan, None] = {}

    @contextlib.contextmanager
    def loan(self) -> Iterator[Loan]:
        """That of a job which holds a place, until the end of the block."""
        loan = Loan()
        try:
            yield loan
        finally:
            self._loans.pop(loan, None)

    def renew(self, loan: Loan) -> bool:
        """Grant a job its share of the free places, the oldest what cannot be divided; whether that is news.

        Jobs that were never renewed have no share: most are over before.
        """
        self._loans.setdefault(loan)
        before = loan.places
        share, rest = divmod(self._slots.n - self._slots.held, len(self._loans))
        older = next(at for at, other in enumerate(self._loans) if other is loan)
        loan.places = 1 + share + (older < rest)
        return loan.places != before
