"""Unpacks an archive: every file in it gets an entry, within limits.

Names never become paths, sizes and checksums are measured, and a bad file does not stop the others.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from docpipe.archive import names
from docpipe.archive.damage import contained, is_damage, note
from docpipe.archive.limits import STANDARD, Limits, size_in_words
from docpipe.archive.member import EMPTY, BadMemberError, Member, NotAnArchiveError, Opened, Verdict
from docpipe.archive.streams import HEAD, is_packed, is_tar, open_packed, open_tar
from docpipe.archive.zips import is_plain_zip, open_zip
from docpipe.errors import ArchiveError
from docpipe.model import Outcome

NO_ZIP: Final = "The archive cannot be opened: it is not a ZIP, or too damaged for anything to be recovered."
_THE_ARCHIVE: Final = "(the archive)"
_NOT_OPENED: Final = "An archive that cannot be opened: an attempt to unpack it, or one beside it, broke off."

Entry = dict[str, Any]
"""What `extract` returns of one file, as JSON."""


def extract(
    archive: Path,
    folder: Path,
    limits: Limits = STANDARD,
    stop: Callable[[], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Entry]:
    """Unpack an archive and the archives in it, into files numbered in the order of the result.

    Args:
        archive: a ZIP; those in it may be ZIP, TAR, GZIP, BZIP2 or XZ.
        folder: empty, and only this process's.
        limits: beyond them files are refused, one by one.
        stop: called between blocks; True ends the work.
        clock: monotonic seconds.

    Returns:
        One entry per file, in the archive's order; the files of a nested archive follow that archive:
        `path` to display; `file` in the folder or None; `size`; `sha256` and `id` or None; `outcome` (None:
        to be converted) and `reason`; `duplicate_of`; `parent`, the path of the archive it was nested in; and
        `modified`, an ISO date. A nested archive keeps its `file`, a duplicate has that of its first.

    Raises:
        ArchiveError: if it is no ZIP, or too damaged to recover anything.
        CancelledError: of concurrent.futures, if stopped.
        OSError: if the disk fails or is full.
    """
    work = _Extraction(folder, limits, stop or (lambda: False), clock, archive.stat().st_size)
    with archive.open("rb") as file:
        try:
            damaged = work.take(lambda: open_zip(file, limits.members), "", None, depth=0)
        except NotAnArchiveError:
            raise ArchiveError(NO_ZIP) from None
    if damaged:
        reason = (
            "The archive is damaged: the files that could be recovered are listed, others may be missing."
        )
        work.add(_THE_ARCHIVE, archive.stat().st_size, None, verdict=Verdict(Outcome.FAILED, reason))
    return work.entries


def collect(
    members: Iterable[Member],
    folder: Path,
    limits: Limits = STANDARD,
    more: int = 0,
    stop: Callable[[], bool] | None = None,
) -> list[Entry]:
    """Take members that are in no archive, as the members of one.

    Archives among them are opened as nested ones are; limits hold for all of them together. Returns and
    raises as `extract`, but a file that cannot be read has the outcome `failed`. `more` is the number of
    members that are not listed.
    """
    work = _Extraction(folder, limits, stop or (lambda: False), time.monotonic)
    work.take(lambda: Opened(members, more=lambda: more), "", None, depth=0)
    return work.entries


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """A file in the folder."""

    file: str
    size: int
    sha256: str


@dataclass(slots=True)
class _Extraction:
    """The unpacking of one archive."""

    folder: Path
    limits: Limits
    stop: Callable[[], bool]
    clock: Callable[[], float]
    packed: int | None = None
    """Bytes of the outermost archive; None where the files are in none."""
    entries: list[Entry] = field(default_factory=list)
    unpacked: int = 0
    kept: int = 0
    """Bytes that are in the folder."""
    outer: int = 0
    """Of these, bytes of files that are in no archive."""
    paths: int = 0
    """Bytes of all paths."""
    until: float = 0
    first: dict[str, Entry] = field(default_factory=dict)
    """The first entry with some bytes, by their SHA-256."""

    def __post_init__(self) -> None:
        self.until = self.clock() + self.limits.time(self.packed)

    def take(self, opener: Callable[[], Opened], prefix: str, parent: str | None, *, depth: int) -> bool:
        """Unpack all members of an archive, in order; return whether files may be missing.

        Raises: NotAnArchiveError if it cannot be opened.
        """
        beyond, broken = 0, False
        try:
            opened = opener()
        except Exception as error:
            if isinstance(error, NotAnArchiveError) or not is_damage(error):
                raise
            note(error)
            raise NotAnArchiveError from error
        try:
            for member in contained(opened.members):
                if self.stop():
                    raise CancelledError
                if self._is_full():
                    beyond += 1
                    continue
                self._one(member, prefix, parent, depth)
        except BadMemberError:
            broken = True
        if beyond := beyond + opened.more():
            path = f"{prefix}(more files, {beyond:,} or more)"
            self.add(path, 0, parent, verdict=Verdict(Outcome.REFUSED, self._why_full()))
        return broken or opened.damaged()

    def _is_full(self) -> bool:
        return len(self.entries) >= self.limits.members or self.paths > self.limits.paths

    def _why_full(self) -> str:
        what = f"more than {self.limits.members:,} files"
        if self.paths > self.limits.paths:
            what = f"names of more than {size_in_words(self.limits.paths)}"
        return f"The archive holds {what}; the rest was not unpacked."

    def _one(self, member: Member, prefix: str, parent: str | None, depth: int) -> None:
        path = prefix + names.display_name(member.name)
        verdict = member.verdict
        if verdict is None and len(path) > self.limits.path:
            path = path[: self.limits.path]
            verdict = Verdict(Outcome.REFUSED, "Its name, with those of the archives around it, is too long.")
        made = self._unpack(member, depth) if verdict is None else verdict
        if isinstance(made, Verdict):
            self.add(path, member.size, parent, verdict=made, modified=member.modified)
            return
        entry = self.add(path, made.size, parent, made=made, modified=member.modified)
        if (first := self.first.setdefault(made.sha256, entry)) is not entry:
            self._remove(made.file)
            self.kept -= made.size
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
        """Add the entry of one file."""
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
        self.paths += len(path.encode(errors="replace"))
        return entry

    def _unpack(self, member: Member, depth: int) -> _Unpacked | Verdict:
        """Unpack one member to the next file; an incomplete one is removed."""
        name = f"{len(self.entries) + 1:05d}.bin"
        whole = False
        try:
            with open(self.folder / name, "xb", opener=_private) as file:
                size, sha256 = self._copied(member, file, depth)
            whole = size > 0
            self.kept += size
            self.outer += 0 if depth else size
        except BadMemberError as error:
            return Verdict(Outcome.FAILED, str(error))
        except _TooLargeError as error:
            return Verdict(Outcome.REFUSED, str(error))
        finally:
            if not whole:
                self._remove(name)
        return _Unpacked(name, size, sha256) if whole else Verdict(Outcome.IGNORED, EMPTY)

    def _copied(self, member: Member, file: BinaryIO, depth: int) -> tuple[int, str]:
        size, digest = 0, hashlib.sha256()
        for chunk in contained(member.chunks()):
            if self.stop():
                raise CancelledError
            size += len(chunk)
            self.unpacked += len(chunk)
            self._judge(size, member.packed, depth)
            digest.update(chunk)
            file.write(chunk)
        return size, digest.hexdigest()

    def _judge(self, size: int, packed: int | None, depth: int) -> None:
        limits = self.limits
        if packed is not None and size > limits.ratio_from and size > limits.ratio * packed:
            raise _TooLargeError(
                f"It unpacks to more than {limits.ratio} times its size, as in archives made to do harm."
            )
        if size > limits.member:
            raise _TooLargeError(f"It is larger than {size_in_words(limits.member)}.")
        if self.unpacked > limits.total:
            raise _TooLargeError(f"The archive unpacks to more than {size_in_words(limits.total)} in all.")
        if (depth or self.packed is not None) and self.kept + size > self._largest_whole():
            raise _TooLargeError(
                f"With it the archive unpacks to more than {limits.ratio} times its size, "
                "as in archives made to do harm."
            )
        if self.clock() > self.until:
            raise _TooLargeError("Unpacking the archive takes too long; the rest was not unpacked.")

    def _largest_whole(self) -> int:
        """Bytes that may be kept of the outermost archive, or of files in no archive."""
        packed = self.outer if self.packed is None else self.packed
        ratio = self.limits.ratio * packed + 2**20 * (len(self.entries) + 1)
        return max(self.limits.ratio_from, ratio)

    def _remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def _nested(self, entry: Entry, depth: int) -> None:
        """Open the file if it is an archive itself."""
        path = self.folder / entry["file"]
        try:
            opener = _opener(path, entry["path"], self.limits.members)
        except Exception as error:
            if not is_damage(error):
                raise
            note(error)
            return  # a document, as far as can be seen
        if opener is None:
            return
        if not self.limits.nested:
            entry |= {"outcome": Outcome.FAILED.value, "reason": _NOT_OPENED}
            return
        if depth >= self.limits.depth:
            self._remove(entry["file"])
            self.kept -= entry["size"]
            reason = f"An archive nested more than {self.limits.depth} deep."
            entry |= {"file": None, "outcome": Outcome.REFUSED.value, "reason": reason}
            return
        before = len(self.entries)
        with path.open("rb") as file:
            try:
                inside = (entry["path"] + "/", entry["path"])
                damaged = self.take(lambda: opener(file), *inside, depth=depth + 1)
            except NotAnArchiveError:
                entry |= {
                    "outcome": Outcome.FAILED.value,
                    "reason": "The archive is damaged and cannot be opened.",
                }
                return
        entry |= _of_archive(len(self.entries) - before, damaged=damaged)


class _TooLargeError(Exception):
    """A limit is passed; the message is the reason, for people."""


def _opener(path: Path, name: str, most: int) -> Callable[[BinaryIO], Opened] | None:
    """How to open a file as an archive, None if it is none. By its bytes: names lie."""
    with path.open("rb") as candidate:
        head = candidate.read(HEAD)
        if is_plain_zip(candidate, head):
            return lambda file: open_zip(file, most)
    if is_packed(head):
        return lambda file: open_packed(file, name)
    if is_tar(head):
        return lambda file: open_tar(file, most)
    return None


def _of_archive(count: int, *, damaged: bool) -> Entry:
    """Outcome and reason of a nested archive that was opened."""
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
