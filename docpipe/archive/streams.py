"""TAR, GZIP, BZIP2 and XZ archives, nested ones too, as members."""

import re
import tarfile
from collections.abc import Callable, Iterator
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
from docpipe.archive.unpack import CUT_SHORT, DAMAGED, bunzip2, gunzip, unxz
from docpipe.model import Outcome

_GZIP: Final = b"\x1f\x8b\x08"
_BZIP2: Final = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_XZ: Final = b"\xfd7zXZ\0"
HEAD: Final = 512
"""Bytes of a file that identify its kind of archive; the size of a TAR header."""
_LARGEST_HEADER: Final = 2**20
"""Bytes that may be read between two members: long names, attributes, the map of a sparse file."""
_DAMAGE: Final = (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError)
"""What tarfile raises for hostile bytes; it calls itself for each header that describes the next one."""
SPARSE: Final = "A sparse file, which is larger than it looks, as in archives made to do harm."


def is_tar(head: bytes) -> bool:
    """Whether a file is a TAR by its first HEAD bytes: its mark or, in older ones, the sum of its header."""
    if head[257:262] == b"ustar":
        return True
    try:
        return bool(tarfile.TarInfo.frombuf(head[:HEAD], "utf-8", "replace").name)
    except (tarfile.HeaderError, ValueError):
        return False


def is_packed(head: bytes) -> bool:
    """Whether a file is one that gzip, bzip2 or xz packed, by its first bytes, as many as HEAD or all."""
    return _packer(head) is not None


def _packer(head: bytes) -> "tuple[Callable[[Iterator[bytes]], Iterator[bytes]], tuple[str, ...]] | None":
    """What unpacks a single packed file, and the suffixes of such files."""
    if head.startswith(_GZIP):
        return gunzip, (".tgz", ".gz")
    if _BZIP2.match(head):
        return bunzip2, (".tbz2", ".tbz", ".bz2")
    return (unxz, (".txz", ".xz")) if head.startswith(_XZ) else None


def open_packed(file: BinaryIO, name: str) -> Opened:
    """The one file packed with gzip, bzip2 or xz; `name` is that of the packed file.

    Raises: NotAnArchiveError.
    """
    file.seek(0)
    packer = _packer(file.read(HEAD))
    if packer is None:
        raise NotAnArchiveError
    unpacked, endings = packer
    stem = name.rsplit("/", 1)[-1]
    inner = "unpacked"
    for ending in endings:
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            inner = stem[: -len(ending)] + (".tar" if ending.startswith(".t") else "")
            break
    packed = file.seek(0, 2)
    return Opened([Member(inner, 0, lambda: unpacked(_blocks(file)), packed=packed)])


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK):
        yield block


class _Metered:
    """A file that yields at most `left` bytes: tarfile would load headers of any size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self.left = _LARGEST_HEADER
        self.tell = file.tell
        file.seek(0)

    def seek(self, position: int) -> int:
        """Go to a place in the file; sizes that headers claim lead beyond it."""
        if not 0 <= position <= self._size:
            raise tarfile.ReadError("a member beyond the end")
        return self._file.seek(position)

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
        except _DAMAGE as error:
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
        except _DAMAGE:
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
        except _DAMAGE as error:
            raise BadMemberError(CUT_SHORT) from error


def open_tar(file: BinaryIO, most: int) -> Opened:
    """The members of a TAR, at most this many.

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
    if info.issparse():
        return Verdict(Outcome.REFUSED, SPARSE)
    return names.verdict(info.name) or (None if info.size else Verdict(Outcome.IGNORED, EMPTY))


def _day(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds > 0 else None
    except (OverflowError, ValueError, OSError):
        return None
