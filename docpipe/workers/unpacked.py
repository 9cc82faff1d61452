"""The answer of a worker that unpacked an archive, in strict types, and the files that it left."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from docpipe.archive.extract import Entry
from docpipe.workers.rooms import MisfitError

COPIED: Final = 32 * 2**20
"""Bytes of files that are copied out of a room at most; of more, the worker is ended and they are moved."""
_MOST: Final = 30_000
"""Entries: 10,000 files, and for each archive among them a line that there are more."""
_Index = Annotated[int, Meta(ge=0, lt=_MOST)] | None


class _Unpacked(msgspec.Struct, forbid_unknown_fields=True, array_like=True, frozen=True):
    """As `archive.job.unpack` has it."""

    path: Annotated[str, Meta(min_length=1, max_length=4_096)]
    size: Annotated[int, Meta(ge=0, le=2**62)]
    kept: bool
    outcome: Literal["failed", "stored", "duplicate", "ignored", "refused"] | None
    reason: Annotated[str, Meta(max_length=500)] | None
    first: _Index
    parent: _Index
    modified: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z")] | None


_LIST: Final = msgspec.json.Decoder(Annotated[list[_Unpacked], Meta(max_length=_MOST)] | None)


class Files(Protocol):
    """Where a worker left its files; see `rooms.Room`."""

    def copy_numbered(self, sizes: Mapping[str, int], folder: Path) -> dict[str, str]:
        """Copy them while the worker lives."""

    def move_numbered(self, sizes: Mapping[str, int], folder: Path) -> dict[str, str]:
        """Move them once it is dead."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a worker unpacked, by its own account."""

    rows: list[_Unpacked]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file that it kept."""
        return {_name(index): row.size for index, row in enumerate(self.rows) if row.kept}

    @property
    def is_small(self) -> bool:
        """Whether its files are copied."""
        return sum(self.sizes.values()) <= COPIED

    def take(self, room: Files, folder: Path) -> list[Entry]:
        """Bring the files to a folder, durably; the worker is dead unless they are few bytes.

        Returns:
            The entries as `archive.extract` has them; hashes are those of the files as they are kept.

        Raises:
            MisfitError: the files are not those of the answer.
            OSError: the disk is full or broken.
        """
        take = room.copy_numbered if self.is_small else room.move_numbered
        digests = take(self.sizes, folder)
        return [self._entry(index, row, digests) for index, row in enumerate(self.rows)]

    def _entry(self, index: int, row: _Unpacked, digests: Mapping[str, str]) -> Entry:
        first = row.first if row.outcome == "duplicate" else index
        file = _name(index if first is None else first)
        sha256 = digests.get(file)
        return {
            "path": row.path,
            "file": None if sha256 is None else file,
            "size": row.size,
            "sha256": sha256,
            "id": sha256 and sha256[:16],
            "outcome": row.outcome,
            "reason": row.reason,
            "duplicate_of": None if row.outcome != "duplicate" or first is None else self.rows[first].path,
            "parent": None if row.parent is None else self.rows[row.parent].path,
            "modified": row.modified,
        }


def read_unpacked(value: bytes | msgspec.Raw) -> Unpacked | None:
    """What a worker answered; None where it could not open the archive.

    Raises:
        MisfitError: it is no answer of one that unpacks.
    """
    try:
        rows = _LIST.decode(value)
    except (ValueError, RecursionError) as error:
        raise MisfitError("no list of files") from error
    if rows is None:
        return None
    for index, row in enumerate(rows):
        before = [place for place in (row.first, row.parent) if place is not None]
        if any(place >= index for place in before):
            raise MisfitError("an entry that comes before the one that it is about")
        needs_first = row.outcome == "duplicate"
        if needs_first != (row.first is not None) or (needs_first and row.kept):
            raise MisfitError("a duplicate of nothing")
        if row.outcome is None and not row.kept:
            raise MisfitError("a document without bytes")
    return Unpacked(rows)


def _name(index: int) -> str:
    return f"{index + 1:05d}.bin"
