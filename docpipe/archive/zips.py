"""ZIP archives as members."""

import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO, Final

from docpipe.archive import names
from docpipe.archive.member import (
    BLOCK,
    DEVICE,
    EMPTY,
    LINK,
    BadMemberError,
    Member,
    NotAnArchiveError,
    Opened,
    Verdict,
)
from docpipe.archive.unpack import CUT_SHORT, STORED, unpack
from docpipe.archive.zipdirectory import LOCAL, Directory, Entry, body_offset, read
from docpipe.model import Outcome

_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_AES: Final = 99
_LOOKED_AT: Final = 10_000
_DOCUMENTS: Final = frozenset(
    {
        "[Content_Types].xml",
        "_rels/.rels",
        "META-INF/MANIFEST.MF",
        "META-INF/container.xml",
        "META-INF/manifest.xml",
        "Index/Document.iwa",
    }
)
"""Members that show that a ZIP is a document or a program: Office, Java, e-books, iWork."""
_MIMETYPE: Final = b"mimetype"


def is_plain_zip(file: BinaryIO, head: bytes) -> bool:
    """Whether a file is a ZIP that holds files of its own, rather than a document that is packed as a ZIP.

    `head` are its first bytes, as many as HEAD or all.
    """
    if head[:4] not in (LOCAL, b"PK\x05\x06", b"PK\x07\x08"):
        return False
    try:
        entries = read(file, _LOOKED_AT).entries
    except NotAnArchiveError:
        return head[:4] == LOCAL
    if any(entry.raw_name == _MIMETYPE for entry in entries):
        return False
    return not any(names.slashed(entry.raw_name.decode("latin-1")) in _DOCUMENTS for entry in entries)


def open_zip(file: BinaryIO, most: int) -> Opened:
    """The members of a ZIP, at most this many.

    Raises: NotAnArchiveError; OSError when the file cannot be read.
    """
    directory = read(file, most)
    return Opened(
        _members(file, directory),
        more=lambda: directory.more,
        damaged=lambda: directory.damaged,
    )


def _members(file: BinaryIO, directory: Directory) -> Iterator[Member]:
    entries = directory.entries
    bodies = [body_offset(file, entry) for entry in entries]
    overlapping = _overlapping(entries, bodies)
    decoded = names.decoded(entries)
    for index, (entry, body, name) in enumerate(zip(entries, bodies, decoded, strict=True)):
        yield Member(
            name=name.rstrip("/\\"),
            size=entry.size,
            chunks=_Body(file, entry, body).chunks,
            packed=entry.packed,
            modified=_day(entry.stamp),
            verdict=_verdict(entry, name, overlaps=index in overlapping),
        )


def _verdict(entry: Entry, name: str, *, overlaps: bool) -> Verdict | None:
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFLNK:
        return Verdict(Outcome.REFUSED, LINK)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Verdict(Outcome.REFUSED, DEVICE)
    if entry.name_is_too_long:
        return Verdict(Outcome.REFUSED, "Its name is too long.")
    return names.verdict(name) or _verdict_of_bytes(entry, overlaps=overlaps)


def _verdict_of_bytes(entry: Entry, *, overlaps: bool) -> Verdict | None:
    if not entry.size and not entry.packed:
        return Verdict(Outcome.IGNORED, EMPTY)
    if overlaps:
        return Verdict(
            Outcome.REFUSED, "Its bytes overlap those of another file, as in archives made to do harm."
        )
    if entry.flags & _ENCRYPTED or entry.method == _AES:
        return Verdict(Outcome.FAILED, "The file is protected by a password.")
    return None


def _overlapping(entries: list[Entry], bodies: list[int | None]) -> set[int]:
    """Which entries share bytes with another; of identical entries, the first is accepted."""
    spans = sorted(
        (entry.offset, body + entry.packed, index)
        for index, (entry, body) in enumerate(zip(entries, bodies, strict=True))
        if body is not None
    )
    overlapping: set[int] = set()
    widest: tuple[int, int, int] | None = None
    for span in spans:
        if widest is not None and span[0] < widest[1]:
            overlapping.add(span[2])
            if span[:2] != widest[:2]:
                overlapping.add(widest[2])
        if widest is None or span[1] > widest[1]:
            widest = span
    return overlapping


@dataclass(frozen=True, slots=True)
class _Body:
    """The bytes of one entry."""

    file: BinaryIO
    entry: Entry
    start: int | None

    def chunks(self) -> Iterator[bytes]:
        crc = 0
        for chunk in unpack(self._raw(), self.entry.method):
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if self.entry.crc is not None and crc != self.entry.crc:
            raise BadMemberError("The file is damaged in its archive: its checksum does not match.")

    def _raw(self) -> Iterator[bytes]:
        if self.start is None:
            raise BadMemberError("The file is not where the archive says; the archive is damaged.")
        at, rest = self.start, self.entry.packed
        while rest > 0:
            self.file.seek(at)  # others read the same file between two chunks
            block = self.file.read(min(BLOCK, rest))
            if not block:
                if self.entry.method == STORED:
                    raise BadMemberError(CUT_SHORT)
                return
            at, rest = at + len(block), rest - len(block)
            yield block


def _day(stamp: int) -> str | None:
    """A DOS date as ISO 8601; packers without a date write the first day of 1980."""
    try:
        day = date(1980 + (stamp >> 9), stamp >> 5 & 15, stamp & 31)
    except ValueError:
        return None
    return None if day == date(1980, 1, 1) else day.isoformat()
