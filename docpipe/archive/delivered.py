"""Files that a source delivers one by one, without an archive."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docpipe.archive.member import BLOCK, BadMemberError, Member, Verdict
from docpipe.model import Outcome

LISTED: Final = "given.json"
"""The list of such files, beside them; each is called by its number: 00001 and so on."""


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """One file, or why there is none. Its name is for people; it never becomes a path."""

    name: str
    path: Path | None
    """Where its bytes are; None where there are none, and then there is a verdict."""
    outcome: Outcome | None = None
    """None: to be decided by its content."""
    reason: str = ""

    def member(self) -> Member:
        """The file as the extraction takes it."""
        source = self.path
        verdict = None if self.outcome is None else Verdict(self.outcome, self.reason)
        if source is None:
            return Member(self.name, 0, lambda: iter(()), verdict=verdict)
        size = source.stat().st_size if source.exists() else 0
        return Member(self.name, size, lambda: _chunks(source), settled=verdict)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except FileNotFoundError as error:
        raise BadMemberError("It is no longer there.") from error
    except PermissionError as error:
        raise BadMemberError(f"It cannot be read: {error.strerror}.") from error
