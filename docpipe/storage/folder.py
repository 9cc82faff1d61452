"""The storage in a folder: atomic, on the disk when it says so, private to the user.

Every file is written under another name in the same folder, brought to the disk, renamed, and then the folder
is brought to the disk, so that a crash or a power loss at any point leaves nothing that a repetition does not
mend.
"""

import asyncio
import contextlib
import errno
import functools
import os
import shutil
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final, TypeVar

from docpipe.errors import StateError
from docpipe.model import Ticket
from docpipe.storage.madefolders import MadeFolders
from docpipe.storage.names import (
    CHUNK,
    METADATA,
    TEMPORARY,
    folder_name,
    inner_path,
    plain,
    sizes_of,
    to_json,
)
from docpipe.storage.tree import FolderTree
from docpipe.util.fsync import make_folder, sync_folder, write_all

_LOCKS: Final = 64
_PRIVATE: Final = 0o600
_NO_LINK: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
)

_T = TypeVar("_T")


class FolderStorage:
    """Keeps documents and reports in a folder: a `Storage`. Its methods leave the work to a thread.

    Args:
        root: the folder; made when it is needed.
        executor: whose threads do the work.
        name: of a patient's folder, for an id; never the same for two.
    """

    def __init__(
        self, root: Path, executor: Executor | None = None, name: Callable[[str], str] = folder_name
    ) -> None:
        self._root = root.absolute()
        self.folder_of = name
        self._folders = MadeFolders(self._root)
        self._executor = executor
        # Two runs of one patient may hold the same document; the second waits and writes it again. Taken in
        # the thread: a coroutine that is cancelled lets go of everything while its thread still writes.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self._root

    def tree(self) -> FolderTree:
        """The folder with what is in it."""
        return FolderTree(self._root)

    async def close(self) -> None:
        """Nothing is held between calls."""

    async def check(self) -> None:
        """Make the folder if need be, and try it.

        Raises: StateError when it cannot be written.
        """
        try:
            await self._in_thread(self._try)
        except OSError as error:
            raise StateError(_cause_and_cure(self._root, error)) from error

    def _try(self) -> None:
        make_folder(self._root)
        probe = self._root / f"{TEMPORARY}check-{os.getpid()}"
        try:
            _write(probe, b"docpipe")
        finally:
            probe.unlink(missing_ok=True)

    def key(self, patient_id: str, document_id: str) -> str:
        """Where a document lies, relative to the storage."""
        return f"{self.folder_of(patient_id)}/{plain(document_id)}"

    def location(self, patient_id: str, *, run_id: str | None = None, document_id: str | None = None) -> str:
        """Where a patient's documents, one of them, or the report of a run lie, for people."""
        return str(self._folder(patient_id, run_id=run_id, document_id=document_id))

    def _folder(self, patient_id: str, *, run_id: str | None = None, document_id: str | None = None) -> Path:
        inner = inner_path(run_id=run_id, document_id=document_id)
        return self._root.joinpath(self.folder_of(patient_id), *inner)

    async def put_document(
        self,
        patient_id: str,
        document_id: str,
        files: Mapping[str, Path],
        metadata: Mapping[str, Any],
        ticket: Ticket | None = None,  # noqa: ARG002 -- a disk has no outages that pass
    ) -> dict[str, Any]:
        """See Storage; files are linked where that can be, else copied."""
        folder = self._folder(patient_id, document_id=document_id)

        def work() -> dict[str, int]:
            with self._only_one(folder):
                return _put(self._folders, folder, files, metadata)

        sizes = await self._in_thread(work)
        return {"key": self.key(patient_id, document_id), "files": sizes}

    async def find_document(
        self,
        patient_id: str,
        document_id: str,
        ticket: Ticket | None = None,  # noqa: ARG002 -- as above
    ) -> dict[str, Any] | None:
        """See Storage."""
        folder = self._folder(patient_id, document_id=document_id)
        return await self._in_thread(lambda: _found(folder))

    async def get_document_file(
        self,
        patient_id: str,
        document_id: str,
        name: str,
        ticket: Ticket | None = None,  # noqa: ARG002 -- as above
    ) -> bytes | None:
        """See Storage."""
        path = self._folder(patient_id, document_id=document_id) / plain(name)
        return await self._in_thread(lambda: _read(path))

    async def put_run_files(
        self,
        patient_id: str,
        run_id: str,
        files: Mapping[str, bytes],
        ticket: Ticket | None = None,  # noqa: ARG002 -- as above
    ) -> None:
        """See Storage."""
        folder = self._folder(patient_id, run_id=run_id)

        def work() -> None:
            with self._only_one(folder):
                _put_files(self._folders, folder, files)

        await self._in_thread(work)

    async def get_run_file(
        self,
        patient_id: str,
        run_id: str,
        name: str,
        ticket: Ticket | None = None,  # noqa: ARG002 -- as above
    ) -> bytes | None:
        """See Storage."""
        path = self._folder(patient_id, run_id=run_id) / plain(name)
        return await self._in_thread(lambda: _read(path))

    async def size(
        self, patient_id: str, name: str, *, document_id: str | None = None, run_id: str | None = None
    ) -> int | None:
        """Bytes of a file of a document or of a run, None when there is none.

        Raises: ValueError for a name that no file here can have; OSError when the storage cannot be read.
        """
        path = self._folder(patient_id, document_id=document_id, run_id=run_id) / plain(name)
        return await self._in_thread(lambda: _size(path))

    async def read(
        self,
        patient_id: str,
        name: str,
        *,
        document_id: str | None = None,
        run_id: str | None = None,
        start: int = 0,
        end: int | None = None,
    ) -> AsyncIterator[bytes]:
        """The bytes of such a file from `start` up to `end`, in chunks.

        Raises: ValueError for a name that no file here can have; OSError when it cannot be read.
        """
        path = self._folder(patient_id, document_id=document_id, run_id=run_id) / plain(name)
        file = await self._in_thread(lambda: open(path, "rb", opener=_no_link))  # noqa: SIM115 -- closed below
        try:
            await self._in_thread(functools.partial(file.seek, start))
            left = sys.maxsize if end is None else end - start
            while left > 0 and (
                data := await self._in_thread(functools.partial(file.read, min(left, CHUNK)))
            ):
                left -= len(data)
                yield data
        finally:
            file.close()

    def _only_one(self, folder: Path) -> threading.Lock:
        return self._locks[hash(folder) % _LOCKS]

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _put(
    folders: MadeFolders, folder: Path, files: Mapping[str, Path], metadata: Mapping[str, Any]
) -> dict[str, int]:
    """Files, then the metadata that makes them a document, then whatever does not belong to it removed."""
    names = [plain(name) for name in files]
    if METADATA in names:
        raise ValueError(f"{METADATA} is written by the storage")
    empty = folders.make(folder)
    if not empty:
        _sweep(folder)
        with contextlib.suppress(
            FileNotFoundError
        ):  # a crash from here on must not show old and new files as one
            (folder / METADATA).unlink()
            sync_folder(folder)
    sizes = {name: _copy(source, folder / (TEMPORARY + name)) for name, source in files.items()}
    for name in names:
        (folder / (TEMPORARY + name)).replace(folder / name)
    sync_folder(folder)
    _write_whole(folder, {METADATA: to_json({**metadata, "files": sizes})})
    if not empty:
        _remove_others(folder, {*names, METADATA})
    return sizes


def _put_files(folders: MadeFolders, folder: Path, files: Mapping[str, bytes]) -> None:
    """The last of them once the others have their names on the disk."""
    items = [(plain(name), data) for name, data in files.items()]
    if not folders.make(folder):
        _sweep(folder)
    for some in filter(None, (items[:-1], items[-1:])):
        _write_whole(folder, dict(some))


def _write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        _write(folder / (TEMPORARY + name), data)
    for name in files:
        (folder / (TEMPORARY + name)).replace(folder / name)
    sync_folder(folder)


def _found(folder: Path) -> dict[str, Any] | None:
    data = _read(folder / METADATA)
    if data is None or (told := sizes_of(data)) is None:
        return None
    metadata, sizes = told
    return metadata if all(_size(folder / name) == size for name, size in sizes.items()) else None


def _size(path: Path) -> int | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _copy(source: Path, target: Path) -> int:
    """Bring a file to the folder and to the disk: by a second name for it where that can be, else copied."""
    if not stat.S_ISREG(source.lstat().st_mode):  # a converter that was taken over could leave a link
        raise OSError(errno.EINVAL, "not a regular file", str(source))
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        target.unlink(missing_ok=True)
        with source.open("rb") as read, open(target, "xb", opener=_private) as written:
            shutil.copyfileobj(read, written, 2**20)
    file = os.open(target, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        found = os.fstat(file)
        if stat.S_IMODE(found.st_mode) != _PRIVATE:
            os.fchmod(file, _PRIVATE)
        os.fsync(file)
    finally:
        os.close(file)
    return found.st_size


def _write(path: Path, data: bytes) -> None:
    file = _private(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def _sweep(folder: Path) -> None:
    """What a crash left half-written; nobody else writes here meanwhile."""
    _remove((entry for entry in os.scandir(folder) if entry.name.startswith(TEMPORARY)), folder)


def _remove_others(folder: Path, names: set[str]) -> None:
    """Files of an earlier conversion that this one did not make."""
    _remove((entry for entry in os.scandir(folder) if entry.name not in names), folder)


def _remove(entries: Iterable["os.DirEntry[str]"], folder: Path) -> None:
    for entry in list(entries):
        if not entry.is_dir(follow_symlinks=False):
            (folder / entry.name).unlink(missing_ok=True)


def _cause_and_cure(root: Path, error: OSError) -> str:
    cures = {
        errno.EACCES: "give the user that runs docpipe the right to write there",
        errno.EPERM: "give the user that runs docpipe the right to write there",
        errno.EROFS: "mount it so that it can be written",
        errno.ENOSPC: "make room on that disk",
        errno.EDQUOT: "make room on that disk",
        errno.ENOTDIR: "a part of the path is a file; move that away",
        errno.EEXIST: "a part of the path is a file; move that away",
    }
    cure = cures.get(error.errno or 0, "see that it can be written")
    return (
        f"The storage folder {root} cannot be written ({error.strerror}): {cure}, "
        "or name another folder as storage.url."
    )
