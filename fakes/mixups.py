"""Answers that were made for somebody else: what caches, balancers and connections out of step send."""

from collections.abc import Collection
from dataclasses import dataclass, field

from fakes.calls import Reply

_GOOD = range(200, 400)  # a redirect leads to what somebody else may not get


@dataclass(slots=True)
class Mixups:
    """Answers of each operation that may be sent to others: the first and the latest of two subjects."""

    _first: dict[str, list[tuple[frozenset[str], Reply]]] = field(default_factory=dict)
    _latest: dict[str, list[tuple[frozenset[str], Reply]]] = field(default_factory=dict)

    def remember(self, operation: str, subjects: Collection[str], reply: Reply) -> None:
        """Keep a good answer."""
        if reply.status not in _GOOD:
            return
        about = frozenset(subjects)
        first = self._first.setdefault(operation, [])
        if len(first) < 2 and all(about != known for known, _ in first):  # noqa: PLR2004 - two subjects
            first.append((about, reply))
        latest = [(known, kept) for known, kept in self._latest.get(operation, []) if known != about]
        self._latest[operation] = [(about, reply), *latest][:2]

    def stale(self, operation: str, subjects: Collection[str]) -> Reply | None:
        """The first answer about another patient, as a cache keeps it that ignores the request."""
        return _other(self._first.get(operation, []), subjects)

    def swapped(self, operation: str, subjects: Collection[str]) -> Reply | None:
        """The latest answer about somebody else, as a connection gives it that is out of step."""
        return _other(self._latest.get(operation, []), subjects)


def _other(kept: list[tuple[frozenset[str], Reply]], subjects: Collection[str]) -> Reply | None:
    about = frozenset(subjects)
    return next((reply for known, reply in kept if known != about), None)
