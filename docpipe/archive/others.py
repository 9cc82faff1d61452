"""TAR and GZIP inside of an archive, as members."""

import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, BinaryIO, Final, cast

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
from docpipe.archive.unpack import CUT_SHORT, DAMAGED, gunzip
from docpipe.model import Outcome

_GZIP: Final = b"\x1f\x8b\x08"
HEAD: Final = 512
"""Bytes of a file that tell what kind of archive it is; a TAR has headers of so many."""
_LARGEST_HEADER: Final = 2**20
"""Bytes that may be read from one member to the next: long names, attributes, the map of a sparse file."""


def is_gzip(head: bytes) -> bool:
    """Whether a file is packed with gzip, by its first bytes, as many as HEAD or all."""
    return head.startswith(_GZIP)


def is_tar(head: bytes) -> bool:
    """Whether a file is a TAR of this century, by its first bytes; older ones cannot be told from text."""
    return head[257:262] == b"ustar"


def open_gzip(file: BinaryIO, name: str) -> Opened:
    """The one file that is packed with gzip; `name` is that of the packed one."""
    stem = name.rsplit("/", 1)[-1]
    lower = stem.lower()
    if lower.endswith(".tgz"):
        inner = stem[:-4] + ".tar"
    elif lower.endswith(".gz") and len(stem) > len(".gz"):
        inner = stem[:-3]
    else:
        inner = "unpacked"
    packed = file.seek(0, 2)
    return Opened([Member(inner, 0, lambda: gunzip(_blocks(file)), packed=packed)])


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK):
        yield block


class _Metered:
    """A file that gives no more than `left` bytes: tarfile would take headers of any size into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = _LARGEST_HEADER
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.left:
            raise tarfile.ReadError("header too large")
        self.left -= size
        return self._file.read(size)


class _Tar:
    """Reads the members of a TAR one after another."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._most = most
        self.more = 0
        self.damaged = False
        self._file = _Metered(file)
        try:
            # A _Metered has what tarfile uses of a file. Nothing is to be closed: it owns no file.
            self._tar = tarfile.open(fileobj=cast("IO[bytes]", self._file), mode="r:")  # noqa: SIM115
        except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
            raise NotAnArchiveError from error

    def members(self) -> Iterator[Member]:
        count = 0
        while (info := self._next()) is not None:
            if info.isdir():
                continue
            count += 1
            if count > self._most:
                self.more = 1  # at least
                return
            yield self._member(info)

    def _next(self) -> tarfile.TarInfo | None:
        self._file.left = _LARGEST_HEADER
        try:
            info = self._tar.next()
            if info is None:  # tarfile ends at what is no header as it does at the end
                self._file.seek(self._tar.offset)
                self.damaged = bool(self._file.read(HEAD).strip(b"\0"))
        except (tarfile.TarError, ValueError, OverflowError, EOFError):
            self.damaged = True
            return None
        self._tar.members.clear()  # type: ignore[attr-defined] # not in typeshed; tarfile remembers all members
        return info

    def _member(self, info: tarfile.TarInfo) -> Member:
        return Member(
            name=info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            size=max(0, info.size),
            chunks=lambda: self._chunks(info),
            modified=_day(info.mtime),
            verdict=_verdict(info),
        )

    def _chunks(self, info: tarfile.TarInfo) -> Iterator[bytes]:
        try:
            body = self._tar.extractfile(info)
            if body is None:
                raise BadMemberError(DAMAGED)
            left = info.size
            while left > 0:
                self._file.left = BLOCK
                block = body.read(min(BLOCK, left))
                if not block:
                    raise BadMemberError(CUT_SHORT)
                left -= len(block)
                yield block
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise BadMemberError(CUT_SHORT) from error


def open_tar(file: BinaryIO, most: int) -> Opened:
    """The members of a TAR, at most so many.

    Raises: NotAnArchiveError; OSError when the file cannot be read.
    """
    file.seek(0)
    tar = _Tar(file, most)
    return Opened(tar.members(), more=lambda: tar.more, damaged=lambda: tar.damaged)


def _verdict(info: tarfile.TarInfo) -> Verdict | None:
    if info.issym() or info.islnk():
        return Verdict(Outcome.REFUSED, LINK)
    if not info.isreg():
        return Verdict(Outcome.REFUSED, DEVICE)
    return names.verdict(info.name) or (None if info.size else Verdict(Outcome.IGNORED, EMPTY))


def _day(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds > 0 else None
    except (OverflowError, ValueError, OSError):
        return None
