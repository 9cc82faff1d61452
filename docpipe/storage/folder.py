"""The storage in a folder: atomic, on the disk when it says so, private to the user.

Every file is written under another name in the same folder, brought to the disk, renamed, and then the folder
is brought to the disk, so that a crash or a power loss at any point leaves nothing that a repetition does not
mend. In a new folder a link to a file that is on the disk gets its own name at once.
"""

import asyncio
import errno
import functools
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final, TypeVar

from docpipe.errors import StateError
from docpipe.model import Ticket
from docpipe.storage.folderfiles import FolderFiles, read_if_exists, size_of, stored_metadata
from docpipe.storage.lookups import Lookups
from docpipe.storage.marker import MARKER, Marker
from docpipe.storage.names import CHUNK, TEMPORARY, Content, folder_name, inner_path, plain
from docpipe.storage.opening import open_file
from docpipe.storage.tree import FolderTree
from docpipe.util.fsync import make_folder

_LOCKS: Final = 64
_PROBE: Final = "probe"
"""What `check` writes; no document has a file of this name."""

_T = TypeVar("_T")


class FolderStorage:
    """Keeps documents and reports in a folder: a `Storage`. Its methods work in threads.

    Args:
        root: the folder; made when it is needed.
        executor: whose threads read and write.
        name: of a patient's folder, for an id; never the same for two.
        shared: whether other processes, on other machines too, write to it at the same time.
        known: the file with the ids of storage folders, by which a disk that is not mounted is noticed; see
            `marker`.
    """

    def __init__(
        self,
        root: Path,
        executor: Executor | None = None,
        name: Callable[[str], str] = folder_name,
        *,
        shared: bool = False,
        known: Path | None = None,
    ) -> None:
        self._root = root.absolute()
        self._marker = Marker(self._root, known)
        self.folder_of = name
        self._files = FolderFiles(self._root, shared=shared)
        self._executor = executor
        self._lookups = Lookups(executor, self._metadata)
        # Two runs of one patient may hold the same document; the second waits and writes it again. Taken in
        # the thread: a coroutine that is cancelled releases its locks while its thread still writes.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self._root

    def tree(self) -> FolderTree:
        """The folder with what is in it."""
        return FolderTree(self._root, self._marker.refuse_other)

    async def close(self) -> None:
        """Nothing is open between calls."""

    async def check(self) -> None:
        """Create the folder if it is missing and was never used, and write a file to it.

        Raises: StateError when it cannot be written, or the disk with it is not mounted.
        """
        try:
            await self._in_thread(self._try)
        except OSError as error:
            if error.errno == errno.ENODEV and self._marker.known is not None:
                raise StateError(_not_mounted(self._root, self._marker.known, error)) from error
            raise StateError(_cause_and_cure(self._root, error)) from error

    def _try(self) -> None:
        self._marker.refuse_other()
        make_folder(self._root)
        self._marker.begin()
        folder = self._root / f"{TEMPORARY}check-{os.getpid()}"
        try:
            make_folder(folder)
            self._files.write(folder, {_PROBE: b"docpipe"})
            if read_if_exists(folder / _PROBE) != b"docpipe":
                raise OSError(errno.EIO, "it does not give back what was written")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def key(self, patient_id: str, document_id: str) -> str:
        """Where a document is, relative to the storage."""
        return f"{self.folder_of(patient_id)}/{plain(document_id)}"

    def location(self, patient_id: str, *, run_id: str | None = None, document_id: str | None = None) -> str:
        """Where a patient's documents, one of them, or the report of a run are, for people."""
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
        *,
        outputs: Path | None = None,
    ) -> dict[str, Any]:
        """See Storage; files are linked where that can be, else copied."""
        folder = self._folder(patient_id, document_id=document_id)

        def work() -> tuple[dict[str, int], bool]:
            self._marker.refuse_other()
            with self._only_one(folder):
                return self._files.put(folder, files, metadata, outputs)

        sizes, moved = await self._in_thread(work)
        done = {"key": self.key(patient_id, document_id), "files": sizes}
        return done | {"moved": folder} if moved else done

    async def find_document(
        self,
        patient_id: str,
        document_id: str,
        ticket: Ticket | None = None,  # noqa: ARG002 -- as above
    ) -> dict[str, Any] | None:
        """See Storage."""
        folder = self._folder(patient_id, document_id=document_id)
        return await self._lookups.metadata(folder)

    async def get_document_file(
        self,
        patient_id: str,
        document_id: str,
        name: str,
        ticket: Ticket | None = None,  # noqa: ARG002 -- as above
    ) -> bytes | None:
        """See Storage."""
        path = self._folder(patient_id, document_id=document_id) / plain(name)
        return await self._read(lambda: read_if_exists(path))

    async def put_run_files(
        self,
        patient_id: str,
        run_id: str,
        files: Mapping[str, Content],
        ticket: Ticket | None = None,  # noqa: ARG002 -- as above
    ) -> None:
        """See Storage."""
        folder = self._folder(patient_id, run_id=run_id)

        def work() -> None:
            self._marker.refuse_other()
            with self._only_one(folder):
                self._files.put_files(folder, files)

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
        return await self._read(lambda: read_if_exists(path))

    async def size(
        self, patient_id: str, name: str, *, document_id: str | None = None, run_id: str | None = None
    ) -> int | None:
        """Bytes of a file of a document or of a run, None when there is none.

        Raises: ValueError for a name that no file here can have; OSError when the storage cannot be read.
        """
        path = self._folder(patient_id, document_id=document_id, run_id=run_id) / plain(name)
        return await self._read(lambda: size_of(path))

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
        file = await open_file(path, self._executor)
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

    def _metadata(self, folder: Path) -> dict[str, Any] | None:
        """The metadata in a document's folder; read in a thread."""
        if (metadata := stored_metadata(folder)) is None:
            self._marker.refuse_other()
        return metadata

    async def _read(self, read: Callable[[], _T | None]) -> _T | None:
        """What is read in a thread; nothing is missing in a storage that is not mounted."""

        def work() -> _T | None:
            if (content := read()) is None:
                self._marker.refuse_other()
            return content

        return await self._in_thread(work)

    def _only_one(self, folder: Path) -> threading.Lock:
        return self._locks[hash(folder) % _LOCKS]

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _not_mounted(root: Path, known: Path, error: OSError) -> str:
    return (
        f"The storage folder {root} is not the one that documents were stored in ({error.strerror}; it lacks "
        f"that one's {MARKER}): mount it. If it was emptied or replaced on purpose, delete {known}."
    )


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
    cure = cures.get(error.errno or 0, "check its permissions and its disk")
    return (
        f"The storage folder {root} cannot be written ({error.strerror}): {cure}, "
        "or name another folder as storage.url."
    )
