"""How much a run takes of documents that are in documents: one budget for all of them.

It is derived from the checkpoints, so that a resumed run neither begins anew nor takes back
what was accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from docpipe.model import Outcome
from docpipe.results.files import MOST_EMBEDDED, Converted, Member, summed_up

MOST: Final = 10_000
"""Files of a run, those of its archive included."""
LARGEST: Final = 4 * 2**30
"""Bytes of these. Documents in documents may always be as large as the archive, whose size is configured."""
DEEPEST: Final = 5
"""Documents within documents."""
_NUMBER: Final = (
    f"The files and the documents in them are more than {MOST:,}, or the latter more than {MOST_EMBEDDED:,}; "
    "the rest was not read."
)
_BYTES: Final = (
    "The files and the documents in them are larger than 4 GiB in all, and than twice the files alone."
)
_DEPTH: Final = f"A document nested more than {DEEPEST} deep in others."


@dataclass(slots=True)
class Budget:
    """What is left of it for one run."""

    files: int = MOST_EMBEDDED
    size: int = LARGEST
    accepted: frozenset[str] = field(default_factory=frozenset)
    """Items that an earlier attempt converted or began to: they are paid for."""

    def parts(self, item: str, path: str, parts: Sequence[Member]) -> list[Member]:
        """The documents in one document, those beyond the budget refused or summed up at the end.

        Args:
            item: of the document they are in.
            path: its name.
            parts: as `activities.convert` returns them.
        """
        taken: list[Member] = []
        rest: list[Member] = []
        for number, part in enumerate(parts, 1):
            if f"{item}.{number}" in self.accepted or part.outcome is not None:
                taken.append(part)
            elif self.files <= 0:
                rest.append(part)
            else:
                self.files -= 1
                taken.append(self._judged(item, part))
        return [*taken, summed_up(path, rest, _NUMBER)] if rest else taken

    def _judged(self, item: str, part: Member) -> Member:
        if item.count(".") >= DEEPEST:
            return _refused(part, _DEPTH)
        if (part.size or 0) > self.size:
            return _refused(part, _BYTES)
        self.size -= part.size or 0
        return part


def of_run(members: Sequence[Member], converted: Mapping[str, Converted]) -> Budget:
    """What is left after the files of the archive, and after what earlier attempts converted.

    Args:
        members: as of `archive.extract`.
        converted: results of the conversions so far, by item.
    """
    archive = sum(member.size or 0 for member in members if member.file)
    accepted, inner_size = set(), 0
    for item, done in converted.items():
        for number, part in enumerate(done.embedded, 1):
            inner = f"{item}.{number}"
            if inner in converted:
                accepted.add(inner)
                inner_size += part.size or 0
    most = min(MOST - len(members), MOST_EMBEDDED)
    return Budget(most - len(accepted), max(LARGEST, 2 * archive) - archive - inner_size, frozenset(accepted))


def _refused(part: Member, reason: str) -> Member:
    return replace(part, outcome=Outcome.REFUSED, reason=reason)
