"""Writes files into a folder of the storage: atomically, durably, and from several processes at once.

Names within a folder are strings here: to make and print a Path takes a dozen calls, for each of the files.
"""

import contextlib
import errno
import os
import random
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from docpipe.storage.madefolders import MadeFolders
from docpipe.storage.names import METADATA, TEMPORARY, Content, pieces, plain, sizes_of, to_json
from docpipe.util.fsync import sync_folder, write_all

_PRIVATE: Final = 0o600
_NO_LINK: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
)
_NO_MOVE: Final = _NO_LINK | {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
_ROUNDS: Final = 8
"""How often a document is written again because another process writes it at the same time."""
_PAUSE_S: Final = 0.02
"""At most so long, doubled each time, it waits before: two that write in step would never agree."""
_LEFT_S: Final = 86_400.0
"""A temporary file that is older belongs to no process any more, whatever the clocks of machines say."""


class FolderFiles:
    """Writes files under other names, brings them to the disk, and renames them. Several threads may use it.

    Args:
        root: of the storage.
        shared: whether other processes write there, too. Then no two use the same temporary name, what one is
            writing is not removed by another as left behind, and each looks at a document afterwards that two
            write at once: the last writer of the metadata checks whether the files are its own.
    """

    def __init__(self, root: Path, *, shared: bool) -> None:
        self._folders = MadeFolders(root)
        self._shared = shared
        self._apart = False
        """Whether the folders of outputs are on another file system, as far as is known."""

    def put(
        self,
        folder: Path,
        files: Mapping[str, Path],
        metadata: Mapping[str, Any],
        outputs: Path | None = None,
    ) -> tuple[dict[str, int], bool]:
        """Write the files of a document, then the metadata that completes it.

        Args:
            folder: of the document.
            files: by their names there.
            metadata: of the document.
            outputs: a folder of the caller that may become that of the document.

        Returns:
            The files' sizes, and whether it has become that.

        Raises:
            OSError: as the disk has it; or another process kept writing the same document.
        """
        for name in files:
            if plain(name) == METADATA:
                raise ValueError(f"{METADATA} is written by the storage")
        if outputs is not None and not self._shared and not self._apart:
            moved = self._take_over(folder, files, metadata, str(outputs))
            if moved is not None:
                return moved, True
        for again in range(_ROUNDS):
            if again:
                time.sleep(random.uniform(0, _PAUSE_S * 2**again))
            statuses = self._put(folder, files)
            sizes = {name: status.st_size for name, status in statuses.items()}
            data = to_json({**metadata, "files": sizes})
            self.write(folder, {METADATA: data})
            if not self._shared or _are_as_written(folder, statuses, data):
                return sizes, False
        raise OSError(errno.EBUSY, "another docpipe keeps writing the same document: end one of them")

    def _take_over(
        self, folder: Path, files: Mapping[str, Path], metadata: Mapping[str, Any], outputs: str
    ) -> dict[str, int] | None:
        """Complete a document in the folder of its outputs, and rename that once; returns the files' sizes.

        Readers and a crash see all of it or nothing: the folder has its place only when all that is in it is
        on the disk.

        Returns:
            None where it cannot be: nothing is in its place, and the files are where they were.
        """
        if os.path.lexists(folder):
            # Either an earlier version, or this very one, whose name did not come to the disk.
            return None if os.path.lexists(outputs) else self._taken_over(folder, files, metadata)
        try:
            there = set(os.listdir(outputs))  # noqa: PTH208 -- a Path for each costs more
        except FileNotFoundError:
            return None
        if not there <= {*files, METADATA}:  # documents in the document, or rests of a conversion that failed
            return None
        sizes = {}
        for name, source in files.items():
            if name in there and str(source) != f"{outputs}/{name}":
                os.unlink(f"{outputs}/{name}")  # noqa: PTH108 -- of an earlier attempt; as above
            status = _linked(source, f"{outputs}/{name}")
            if status is None:
                return None
            sizes[name] = status.st_size
        _write(f"{outputs}/{METADATA}", to_json({**metadata, "files": sizes}))
        sync_folder(Path(outputs))
        try:
            self._folders.move(outputs, folder)
        except OSError as error:
            self._apart = error.errno == errno.EXDEV
            if error.errno not in _NO_MOVE:
                raise
            return None
        return sizes

    def _taken_over(
        self, folder: Path, files: Mapping[str, Path], metadata: Mapping[str, Any]
    ) -> dict[str, int] | None:
        """The sizes of a document that has its place, whose name is brought to the disk again.

        Returns:
            None where that is no document, or another version while this one can still be written.
        """
        if (known := stored_metadata(folder)) is None:
            return None
        same = to_json({**metadata, "files": known["files"]}) == read_if_exists(folder / METADATA)
        if not same and all(os.path.lexists(source) for source in files.values()):
            return None
        sync_folder(folder.parent)
        return dict(known["files"])

    def _put(self, folder: Path, files: Mapping[str, Path]) -> dict[str, os.stat_result]:
        empty = self._folders.make(folder) and not self._shared
        if not empty:
            self._sweep(folder)
            with contextlib.suppress(FileNotFoundError):
                # A crash from here on must not show old and new files as one.
                (folder / METADATA).unlink()
                sync_folder(folder)
        parts = {name: self._temporary(name) for name in files}
        statuses = {}
        for name, source in files.items():
            # Nothing is replaced in a new folder, and a link is whole: it gets its own name at once.
            # What another machine of a fleet has left here was not synced; what this process wrote was.
            if empty and (linked := _linked(source, f"{folder}/{name}")) is not None:
                statuses[name] = linked
                del parts[name]
            else:
                statuses[name] = _copy(source, f"{folder}/{parts[name]}", synced=not self._shared)
        for name, part in parts.items():
            _rename(folder, part, name)
        if not empty:
            # Of an earlier conversion; and a link is not renamed to another one of the same file.
            own = set(parts.values())
            _remove(e for e in _rest(folder, files) if not e.name.startswith(TEMPORARY) or e.name in own)
        sync_folder(folder)
        return statuses

    def put_files(self, folder: Path, files: Mapping[str, Content]) -> None:
        """Write the files, the last one once the names of the others are on the disk."""
        items = [(plain(name), data) for name, data in files.items()]
        if not self._folders.make(folder):
            self._sweep(folder)
        for some in filter(None, (items[:-1], items[-1:])):
            self.write(folder, dict(some))

    def write(self, folder: Path, files: Mapping[str, Content]) -> None:
        """Write small files, each whole."""
        parts = {name: self._temporary(name) for name in files}
        for name, data in files.items():
            _write(f"{folder}/{parts[name]}", data)
        for name, part in parts.items():
            _rename(folder, part, name)
        sync_folder(folder)

    def _temporary(self, name: str) -> str:
        return f"{TEMPORARY}{uuid.uuid4().hex[:16]}-{name}" if self._shared else TEMPORARY + name

    def _sweep(self, folder: Path) -> None:
        """Remove what a crash left half-written; the folder's lock is held, as far as it goes."""
        before = time.time() - _LEFT_S
        left = [entry for entry in os.scandir(folder) if entry.name.startswith(TEMPORARY)]
        _remove(entry for entry in left if not self._shared or _is_older(entry, before))


def _are_as_written(folder: Path, statuses: Mapping[str, os.stat_result], metadata: bytes) -> bool:
    """Whether the files and the metadata there are those just written, and not another process's."""
    if read_if_exists(folder / METADATA) != metadata:
        return False
    for name, status in statuses.items():
        try:
            here = (folder / name).lstat()
        except FileNotFoundError:
            return False
        if _identity(here) != _identity(status):
            return False
    return True


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def stored_metadata(folder: Path) -> dict[str, Any] | None:
    """The metadata of a document whose files are all there, with their sizes."""
    data = read_if_exists(folder / METADATA)
    if data is None or (parsed := sizes_of(data)) is None:
        return None
    metadata, sizes = parsed
    return metadata if all(size_of(folder / name) == size for name, size in sizes.items()) else None


def size_of(path: Path) -> int | None:
    """The size of a plain file, None where there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def read_if_exists(path: Path) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _linked(source: Path, target: str) -> os.stat_result | None:
    """Link a private file whose bytes are on the disk, unless it is there; None where that cannot be."""
    status = source.lstat()
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != _PRIVATE:
        return None
    if str(source) == target:
        return status
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return None
    return status


def _copy(source: Path, target: str, *, synced: bool) -> os.stat_result:
    """Bring a file to the folder and to the disk: as a hard link where possible, else as a copy.

    Args:
        source: the file.
        target: its name in the folder; nothing is there.
        synced: whether the bytes of the source are on the disk, so that a link to them needs no fsync.
    """
    status = source.lstat()
    if not stat.S_ISREG(status.st_mode):  # a converter that was taken over could leave a link
        raise OSError(errno.EINVAL, "not a regular file", str(source))
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        Path(target).unlink(missing_ok=True)
        with source.open("rb") as read, open(target, "xb", opener=_private) as written:
            shutil.copyfileobj(read, written, 2**20)
    else:
        if synced and stat.S_IMODE(status.st_mode) == _PRIVATE:
            return status
    file = os.open(target, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        status = os.fstat(file)
        if stat.S_IMODE(status.st_mode) != _PRIVATE:
            os.fchmod(file, _PRIVATE)
        os.fsync(file)
    finally:
        os.close(file)
    return status


def _rename(folder: Path, part: str, name: str) -> None:
    os.replace(f"{folder}/{part}", f"{folder}/{name}")  # noqa: PTH105 -- a Path costs as much as the call


def _write(path: str, content: Content) -> None:
    file = _private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for piece in pieces(content):
            write_all(file, piece)
        os.fsync(file)
    finally:
        os.close(file)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def _rest(folder: Path, files: Mapping[str, Path]) -> "Iterator[os.DirEntry[str]]":
    """What is there beside these files and their metadata."""
    return (entry for entry in list(os.scandir(folder)) if entry.name not in {*files, METADATA})


def _is_older(entry: "os.DirEntry[str]", before: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_ctime < before
    except FileNotFoundError:  # another process has just renamed it
        return False


def _remove(entries: "Iterator[os.DirEntry[str]]") -> None:
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            Path(entry.path).unlink(missing_ok=True)
