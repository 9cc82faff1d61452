"""Takes an archive apart: every file in it is unpacked or accounted for, within limits.

Nothing is trusted: names never become paths, sizes and checksums are what was measured, and one bad file does
not stop the others.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from docpipe.archive import names
from docpipe.archive.member import BLOCK, EMPTY, BadMemberError, Member, NotAnArchiveError, Opened, Verdict
from docpipe.archive.others import HEAD, is_gzip, is_tar, open_gzip, open_tar
from docpipe.archive.zips import is_plain_zip, open_zip
from docpipe.errors import ArchiveError
from docpipe.model import Outcome

_RATIO_FROM: Final = 2**20
"""Bytes. Small files may be packed as tightly as they like."""
_THE_ARCHIVE: Final = "(the archive)"

Entry = dict[str, Any]
"""What is told of one file; plain JSON."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold, everything nested in it included. Sizes are in bytes."""

    members: int = 10_000
    total: int = 4 * 2**30
    """Of all that is unpacked, what is thrown away again too: it bounds the time as well as the disk."""
    member: int = 2**30
    ratio: int = 200
    """Unpacked to packed."""
    depth: int = 3
    """Archives within archives that are opened."""
    path: int = 2_000
    """Characters of a path as shown; archives nested in archives add up."""


def extract(
    archive: Path, folder: Path, limits: Limits = Limits(), stop: Callable[[], bool] | None = None
) -> list[Entry]:
    """Unpack an archive and the archives in it, into files that are numbered in the order of the result.

    Args:
        archive: a ZIP; those in it may be ZIP, TAR or GZIP.
        folder: empty, and only this process's.
        limits: beyond them files are refused, one by one.
        stop: asked between blocks; once it says yes, the work ends.

    Returns:
        One entry per file, in the archive's order, what a nested archive holds after that archive itself:
        `path` to show; `file` in the folder or None; `size`; `sha256` and `id` or None; `outcome` (None: to
        be converted) and `reason`; `duplicate_of`; `parent`, the path of the archive it was nested in; and
        `modified`, an ISO date. A nested archive keeps its `file`, a duplicate has that of its first.

    Raises:
        ArchiveError: if it is no ZIP, or too damaged to recover anything.
        CancelledError: of concurrent.futures, if stopped.
        OSError: if the disk fails or is full.
    """
    work = _Extraction(folder, limits, stop or (lambda: False))
    with archive.open("rb") as file:
        try:
            opened = open_zip(file, limits.members)
        except NotAnArchiveError:
            raise ArchiveError(
                "The archive cannot be opened: it is not a ZIP, or too damaged for anything to be recovered."
            ) from None
        work.take(opened, "", None, depth=0)
    if opened.damaged():
        reason = (
            "The archive is damaged: the files that could be recovered are listed, others may be missing."
        )
        work.add(_THE_ARCHIVE, archive.stat().st_size, None, verdict=Verdict(Outcome.FAILED, reason))
    return work.entries


def gather(files: Mapping[str, Path], folder: Path, limits: Limits = Limits()) -> list[Entry]:
    """Take files of this machine, by the names to show, as if they were the members of one archive.

    Archives among them are opened as nested ones are; limits hold for all of them together. Returns and
    raises as `extract`, but a file that cannot be read is told as `failed`.
    """
    return collect((_of_file(name, path) for name, path in files.items()), folder, limits)


def collect(members: Iterable[Member], folder: Path, limits: Limits = Limits(), more: int = 0) -> list[Entry]:
    """Take members that are no archive's as if they were; as `gather`. `more` were not even listed."""
    work = _Extraction(folder, limits, lambda: False)
    work.take(Opened(members, more=lambda: more), "", None, depth=0)
    return work.entries


def _of_file(name: str, path: Path) -> Member:
    def chunks() -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block
        except OSError as error:
            raise BadMemberError(f"It cannot be read: {error.strerror}.") from error

    return Member(name, path.stat().st_size if path.exists() else 0, chunks)


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """A file that is in the folder now."""

    file: str
    size: int
    sha256: str


@dataclass(slots=True)
class _Extraction:
    """One archive being taken apart."""

    folder: Path
    limits: Limits
    stop: Callable[[], bool]
    entries: list[Entry] = field(default_factory=list)
    unpacked: int = 0
    first: dict[str, Entry] = field(default_factory=dict)
    """The first entry with some bytes, by their SHA-256."""

    def take(self, opened: Opened, prefix: str, parent: str | None, *, depth: int) -> None:
        """All members of an archive, in order."""
        beyond = 0
        for member in opened.members:
            if self.stop():
                raise CancelledError
            if len(self.entries) >= self.limits.members:
                beyond += 1
                continue
            self._one(member, prefix, parent, depth)
        if beyond := beyond + opened.more():
            reason = f"The archive holds more than {self.limits.members:,} files; the rest was not unpacked."
            told = f"{prefix}(more files, {beyond:,} or more)"
            self.add(told, 0, parent, verdict=Verdict(Outcome.REFUSED, reason))

    def _one(self, member: Member, prefix: str, parent: str | None, depth: int) -> None:
        path = prefix + names.shown(member.name)
        verdict = member.verdict
        if verdict is None and len(path) > self.limits.path:
            path = path[: self.limits.path]
            verdict = Verdict(Outcome.REFUSED, "Its name, with those of the archives around it, is too long.")
        made = self._unpack(member) if verdict is None else verdict
        if isinstance(made, Verdict):
            self.add(path, member.size, parent, verdict=made, modified=member.modified)
            return
        entry = self.add(path, made.size, parent, made=made, modified=member.modified)
        if (first := self.first.setdefault(made.sha256, entry)) is not entry:
            self._remove(made.file)
            entry |= {
                "outcome": Outcome.DUPLICATE.value,
                "duplicate_of": first["path"],
                "file": first["file"],
            }
        elif member.settled is not None:
            entry |= {"outcome": member.settled.outcome.value, "reason": member.settled.reason}
        else:
            self._nested(entry, depth)

    def add(
        self,
        path: str,
        size: int,
        parent: str | None,
        *,
        verdict: Verdict | None = None,
        made: _Unpacked | None = None,
        modified: str | None = None,
    ) -> Entry:
        """Tell of one file."""
        sha256 = made and made.sha256
        entry: Entry = {
            "path": path,
            "file": made and made.file,
            "size": size,
            "sha256": sha256,
            "id": sha256 and sha256[:16],
            "outcome": verdict and verdict.outcome.value,
            "reason": verdict and verdict.reason,
            "duplicate_of": None,
            "parent": parent,
            "modified": modified,
        }
        self.entries.append(entry)
        return entry

    def _unpack(self, member: Member) -> _Unpacked | Verdict:
        """Unpack one member to the next file; what is not whole is removed."""
        name = f"{len(self.entries) + 1:05d}.bin"
        whole = False
        try:
            with open(self.folder / name, "xb", opener=_private) as file:
                size, sha256 = self._copied(member, file)
            whole = size > 0
        except BadMemberError as error:
            return Verdict(Outcome.FAILED, str(error))
        except _TooLargeError as error:
            return Verdict(Outcome.REFUSED, str(error))
        finally:
            if not whole:
                self._remove(name)
        return _Unpacked(name, size, sha256) if whole else Verdict(Outcome.IGNORED, EMPTY)

    def _copied(self, member: Member, file: BinaryIO) -> tuple[int, str]:
        size, digest = 0, hashlib.sha256()
        for chunk in member.chunks():
            if self.stop():
                raise CancelledError
            size += len(chunk)
            self.unpacked += len(chunk)
            self._judge(size, member.packed)
            digest.update(chunk)
            file.write(chunk)
        return size, digest.hexdigest()

    def _judge(self, size: int, packed: int | None) -> None:
        limits = self.limits
        if packed is not None and size > _RATIO_FROM and size > limits.ratio * packed:
            raise _TooLargeError(
                f"It unpacks to more than {limits.ratio} times its size, as in archives made to do harm."
            )
        if size > limits.member:
            raise _TooLargeError(f"It is larger than {_told(limits.member)}.")
        if self.unpacked > limits.total:
            raise _TooLargeError(f"The archive unpacks to more than {_told(limits.total)} in all.")

    def _remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def _nested(self, entry: Entry, depth: int) -> None:
        """Open the file if it is an archive itself."""
        path = self.folder / entry["file"]
        opener = _opener(path, entry["path"], self.limits.members)
        if opener is None:
            return
        if depth >= self.limits.depth:
            self._remove(entry["file"])
            reason = f"An archive nested more than {self.limits.depth} deep."
            entry |= {"file": None, "outcome": Outcome.REFUSED.value, "reason": reason}
            return
        before = len(self.entries)
        with path.open("rb") as file:
            try:
                opened = opener(file)
                self.take(opened, entry["path"] + "/", entry["path"], depth=depth + 1)
                damaged = opened.damaged()
            except NotAnArchiveError:
                entry |= {
                    "outcome": Outcome.FAILED.value,
                    "reason": "The archive is damaged and cannot be opened.",
                }
                return
        entry |= _of_archive(len(self.entries) - before, damaged=damaged)


class _TooLargeError(Exception):
    """A limit is passed; the message is the reason, for people."""


def _opener(path: Path, shown: str, most: int) -> Callable[[BinaryIO], Opened] | None:
    """How to open a file as an archive, None if it is none. By its bytes: names lie."""
    with path.open("rb") as looked_at:
        head = looked_at.read(HEAD)
        if is_plain_zip(looked_at, head):
            return lambda file: open_zip(file, most)
    if is_gzip(head):
        return lambda file: open_gzip(file, shown)
    if is_tar(head):
        return lambda file: open_tar(file, most)
    return None


def _of_archive(count: int, *, damaged: bool) -> Entry:
    """What is told of a nested archive that was opened."""
    if damaged:
        reason = f"A damaged archive; {_files(count)} that could be recovered, others may be missing."
        return {"outcome": Outcome.FAILED.value, "reason": reason}
    if not count:
        return {"outcome": Outcome.IGNORED.value, "reason": "An empty archive."}
    its = "its 1 file is listed on its own" if count == 1 else f"its {count:,} files are listed on their own"
    return {"outcome": Outcome.STORED.value, "reason": f"An archive; {its}."}


def _files(count: int) -> str:
    return "1 file is listed" if count == 1 else f"{count:,} files are listed"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _told(size: int) -> str:
    """A limit as people write it."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"
