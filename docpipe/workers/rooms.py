"""A worker's room: the only folder that it can reach, and the transfer of files into it and out of it.

    .worker-7/
      in/        what it is given: linked, not copied; to read. Documents to convert, archives to unpack
      own/out/   what it makes
      own/tmp/   its TMPDIR; own/ is its HOME and working folder

Files in a room may be under the control of a hostile document. So names are fixed, files are
opened by the descriptor of their folder, and copied: a worker that keeps a file open changes nothing later.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docpipe.archive.delivered import LISTED
from docpipe.model import Json
from docpipe.util.fsync import sync_folder, write_all
from docpipe.workers.limits import FILE_BYTES
from docpipe.workers.wire import GIVEN, OWN, TEMPORARY, room_name

EMBEDDED: Final = "embedded"
_ORIGINAL: Final = "original"
_SIBLINGS: Final = "siblings.json"
_PLACES: Final = "places"
_LARGEST: Final = {"thumbnail.png": 4 * 2**20}
"""Bytes of outputs that the main process holds whole; others are as large as a file may be."""
_BLOCK: Final = 2**20
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TARGET: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class MisfitError(Exception):
    """A worker's answer, or the files in its room, are not those of a converter."""


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A document within a document, as it was taken out of a room."""

    file: str
    """Its path in the folder that it was brought to."""
    size: int
    sha256: str


class Room:
    """The main process's side of a room.

    Args:
        root: the folder of all rooms.
        number: the worker's.
        largest: bytes of a file that is accepted from it.
    """

    def __init__(self, root: Path, number: int, largest: int = FILE_BYTES) -> None:
        self._largest = largest
        self.path = root / room_name(number)
        self._in = self.path / GIVEN
        self._own = self.path / OWN
        self._out = self._own / "out"
        self._tmp = self._own / TEMPORARY

    def make(self) -> None:
        """Make the folder, empty.

        Raises:
            OSError: it cannot be made.
        """
        for folder in (self.path, self._in, self._own, self._tmp):
            folder.mkdir(mode=0o700)

    def put(self, job: Json) -> Json:
        """Bring a job's files in, and prepare the folders for its outputs.

        Args:
            job: {"path", "siblings": a file or None, "folder", ...}, as of `convert.document.convert`.

        Returns:
            The job with the paths that its files have here.

        Raises:
            OSError: a file is not there, or the disk is full.
        """
        self._out.mkdir(mode=0o700)
        _link_or_copy(Path(job["path"]), self._in / _ORIGINAL)
        here = {name: str(self._in / file) for name, file in (("path", _ORIGINAL), ("places", _PLACES))}
        here["folder"] = str(self._out)
        if job.get("siblings") is not None:
            _link_or_copy(Path(job["siblings"]), self._in / _SIBLINGS)
            here["siblings"] = str(self._in / _SIBLINGS)
        return {**job, **here}

    def grant(self, places: int) -> None:
        """State how many places the job may use from now on; no effect on a room that is removed.

        The worker is at work, and where the kernel knows no Landlock it can put links there: the number is a
        new file, which takes the name. Where that fails, the job keeps what it has.
        """
        draft = f"{_PLACES}.new"
        with contextlib.suppress(OSError, MisfitError), _opened(self._in) as folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            file = os.open(draft, _TARGET, 0o600, dir_fd=folder)
            try:
                write_all(file, str(places).encode())
            finally:
                os.close(file)
            os.rename(draft, _PLACES, src_dir_fd=folder, dst_dir_fd=folder)

    def take(self, outputs: list[str], embedded: int, folder: Path) -> list[TakenFile]:
        """Copy what a conversion made into a folder, durably, and see that nothing else is there.

        Args:
            outputs: names of files.
            embedded: number of documents within the document, which are called by their numbers.
            folder: is emptied first.

        Returns:
            Each embedded document.

        Raises:
            MisfitError: a file is not there, or is no plain file of this worker's.
            OSError: the disk is full or broken.
        """
        empty(folder)
        try:
            with _opened(self._out) as out:
                for name in outputs:
                    _copy(out, name, folder / name, _LARGEST.get(name, self._largest))
                inner = self._take_embedded(out, embedded, folder) if embedded else []
        except MisfitError:
            empty(folder)
            raise
        sync_folder(folder)
        return inner

    def _take_embedded(self, out: int, count: int, folder: Path) -> list[TakenFile]:
        (folder / EMBEDDED).mkdir(mode=0o700)
        files = []
        with _opened(EMBEDDED, within=out) as inner:
            for number in range(1, count + 1):
                file = f"{EMBEDDED}/{number:03d}"
                size, sha256 = _copy(inner, f"{number:03d}", folder / file, self._largest)
                files.append(TakenFile(file, size, sha256))
        sync_folder(folder / EMBEDDED)
        return files

    def put_archive(self, path: Path) -> dict[str, str]:
        """Bring an archive in, and prepare the folder for its files; returns both as of `archive.job`.

        Raises:
            OSError: the file is not there, or the disk is full.
        """
        self._out.mkdir(mode=0o700)
        _link_or_copy(path, self._in / _ORIGINAL)
        return {"archive": str(self._in / _ORIGINAL), "folder": str(self._out)}

    def put_delivered(self, paths: list[Path | None], listed: bytes) -> dict[str, str]:
        """Bring files in that are in no archive, by their numbers, with their list; as `put_archive`."""
        self._out.mkdir(mode=0o700)
        for number, path in enumerate(paths, 1):
            if path is not None:
                with contextlib.suppress(FileNotFoundError, PermissionError):  # the failure of that one
                    _link_or_copy(path, self._in / f"{number:05d}")
        (self._in / LISTED).write_bytes(listed)
        return {"given": str(self._in), "folder": str(self._out)}

    def copy_numbered(self, sizes: Mapping[str, int], folder: Path) -> dict[str, str]:
        """Copy files of a living worker into a folder, durably.

        Args:
            sizes: in bytes, by the names of the files.
            folder: there, and empty.

        Returns:
            The SHA-256 of each.

        Raises:
            MisfitError: one is not there, of another size, or no plain file of this worker's.
            OSError: the disk is full or broken.
        """
        with _opened(self._out) as out:
            done = {
                name: _copy(out, name, folder / name, self._largest, size)[1] for name, size in sizes.items()
            }
        sync_folder(folder)
        return done

    def move_numbered(self, sizes: Mapping[str, int], folder: Path) -> dict[str, str]:
        """Move files of a dead worker into a folder, durably; otherwise as `copy_numbered`.

        Nobody writes to the room any more, so that what is hashed is what is kept.
        """
        with _opened(self._out) as out:
            done = {
                name: _move(out, self._out / name, folder / name, self._largest, size)
                for name, size in sizes.items()
            }
        sync_folder(folder)
        return done

    def clear(self, outputs: Iterable[str], embedded: int = 0) -> bool:
        """Make the room fit for the next job; False where more is left in it than a worker leaves."""
        inner = self._out / EMBEDDED
        try:
            empty(self._in)
            for name in outputs:
                (self._out / name).unlink()
            for number in range(1, embedded + 1):
                (inner / f"{number:03d}").unlink()
            if embedded:
                inner.rmdir()
            self._out.rmdir()
            self._tmp.rmdir()
            self._tmp.mkdir(mode=0o700)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Remove the folder of a worker that is dead."""
        remove_tree(self.path)


def _link_or_copy(source: Path, target: Path) -> None:
    """Link a file, or copy it where a link is not possible or it has another owner."""
    source = source.resolve()
    facts = source.stat()
    if facts.st_uid == os.geteuid() and facts.st_mode & stat.S_IRUSR:
        with contextlib.suppress(OSError):  # another disk, or one without links
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)


@contextlib.contextmanager
def _opened(folder: Path | str, within: int | None = None) -> Iterator[int]:
    try:
        descriptor = os.open(folder, _FOLDER, dir_fd=within)
    except OSError as error:
        raise MisfitError("a folder is missing") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _plain(folder: int, name: str, most: int, size: int | None = None) -> Iterator[tuple[int, int]]:
    """A plain file of a folder that is open, of at most `most` bytes: its descriptor and its size."""
    try:
        source = os.open(name, _SOURCE, dir_fd=folder)
    except OSError as error:
        raise MisfitError("a file is missing") from error
    try:
        facts = os.fstat(source)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1 or facts.st_size > most:
            raise MisfitError("a file is no plain file")
        if size is not None and facts.st_size != size:
            raise MisfitError("a file has another size")
        yield source, facts.st_size
    finally:
        os.close(source)


def _copy(folder: int, name: str, target: Path, most: int, wanted: int | None = None) -> tuple[int, str]:
    """Copy a file of a folder that is open; returns its size and SHA-256 as copied."""
    with _plain(folder, name, most, wanted) as (source, size):
        copy = os.open(target, _TARGET, 0o600)
        try:
            return _copy_bytes(source, copy, size)
        finally:
            os.close(copy)


def _move(folder: int, path: Path, target: Path, most: int, wanted: int) -> str:
    """Move a file that nobody can change any more; returns its SHA-256."""
    with _plain(folder, path.name, most, wanted) as (source, _):
        os.fchmod(source, 0o600)
        with os.fdopen(source, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(source)
        try:
            path.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            return digest
    _copy(folder, path.name, target, most, wanted)  # another disk
    return digest


def _copy_bytes(source: int, copy: int, size: int) -> tuple[int, str]:
    digest, left = hashlib.sha256(), size
    while left and (block := os.read(source, min(left, _BLOCK))):
        digest.update(block)
        write_all(copy, block)
        left -= len(block)
    os.fsync(copy)
    return size - left, digest.hexdigest()


def empty(folder: Path) -> None:
    """Remove what is in a folder of our own."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108 -- a DirEntry is no Path


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, however deep and by whatever name; follows no link.

    Neither recursion nor a descriptor for each level: what is deep is moved up first. What cannot be
    removed stays, for the next start of docpipe.
    """
    with contextlib.suppress(OSError):
        top = os.open(folder, _FOLDER)
        try:
            while _remove_level(top):
                pass
        finally:
            os.close(top)
        folder.rmdir()


def _remove_level(top: int) -> bool:
    """Remove the files of a folder, and move up those of its folders; whether there were any."""
    any_left = False
    with os.scandir(top) as entries:
        for entry in entries:
            any_left = True
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=top)
                continue
            try:
                os.rmdir(entry.name, dir_fd=top)
            except OSError:
                os.chmod(entry.name, 0o700, dir_fd=top)
                inner = os.open(entry.name, _FOLDER, dir_fd=top)
                try:
                    _lift(inner, top)
                finally:
                    os.close(inner)
    return any_left


def _lift(inner: int, top: int) -> None:
    with os.scandir(inner) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.name, 0o700, dir_fd=inner)  # moving a folder writes to it
                os.rename(entry.name, uuid.uuid4().hex, src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(entry.name, dir_fd=inner)


def sweep(spool: Path, kept: Container[str]) -> None:
    """Remove from a spool all but the folders of some runs; rooms and charts of a killed process, too."""
    for folder in spool.iterdir():
        if folder.name not in kept:
            remove_tree(folder)
