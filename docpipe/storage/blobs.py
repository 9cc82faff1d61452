"""Small files beside the documents, in the same folder or bucket, that machines of a fleet share.

A name is a path with slashes. All are below `.fleet/`, which is no patient's folder.
"""

import asyncio
import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from docpipe.model import Ticket
from docpipe.storage.names import FLEET, TEMPORARY
from docpipe.util.fsync import make_folder, sync_folder, write_all

_PRIVATE: Final = 0o600


class Blobs(Protocol):
    """Keeps them. With a `ticket` a method waits while the storage is down, without one it tries once.

    Methods raise OSError when the storage cannot be read or written.
    """

    @property
    def where(self) -> str:
        """For people."""

    async def put(self, name: str, data: bytes, ticket: Ticket | None = None) -> str:
        """Write one whole, in place of an earlier one; durable when this returns. Returns its version."""

    async def version(self, name: str, ticket: Ticket | None = None) -> str | None:
        """Its version: a value that changes with each write, None where there is none."""

    async def get(self, name: str, ticket: Ticket | None = None) -> bytes | None:
        """Read one, None where there is none."""

    async def names(self, folder: str, ticket: Ticket | None = None) -> list[str]:
        """The names of all below a folder, in order."""

    async def written(self, folder: str) -> dict[str, float]:
        """When each below a folder was written, in seconds since the epoch, by name."""

    async def delete(self, names: Sequence[str]) -> None:
        """Remove some; without an error for one that is not there."""

    async def folders(self, folder: str, ticket: Ticket | None = None) -> list[str]:
        """The names of the folders in a folder, in order."""

    async def remove(self, folder: str, ticket: Ticket | None = None) -> None:
        """Remove a folder with all below it; without an error where there is none."""


class FolderBlobs:
    """In a folder that all machines share: `Blobs`. Its methods work in threads."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute() / FLEET

    @property
    def where(self) -> str:
        """See Blobs."""
        return str(self._root)

    async def put(self, name: str, data: bytes, ticket: Ticket | None = None) -> str:  # noqa: ARG002 -- a disk has no outages
        """See Blobs."""
        return await asyncio.to_thread(_written, self._root / name, data)

    async def version(self, name: str, ticket: Ticket | None = None) -> str | None:  # noqa: ARG002 -- as above
        """See Blobs."""

        def look() -> str | None:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return _version((self._root / name).stat())
            return None

        return await asyncio.to_thread(look)

    async def get(self, name: str, ticket: Ticket | None = None) -> bytes | None:  # noqa: ARG002 -- as above
        """See Blobs."""

        def read() -> bytes | None:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return (self._root / name).read_bytes()
            return None

        return await asyncio.to_thread(read)

    async def names(self, folder: str, ticket: Ticket | None = None) -> list[str]:  # noqa: ARG002 -- as above
        """See Blobs."""
        return await asyncio.to_thread(lambda: sorted(_files(self._root, self._root / folder)))

    async def folders(self, folder: str, ticket: Ticket | None = None) -> list[str]:  # noqa: ARG002 -- as above
        """See Blobs."""

        def read() -> list[str]:
            with contextlib.suppress(FileNotFoundError):
                return sorted(path.name for path in (self._root / folder).iterdir() if path.is_dir())
            return []

        return await asyncio.to_thread(read)

    async def written(self, folder: str) -> dict[str, float]:
        """See Blobs."""

        def look() -> dict[str, float]:
            times = {}
            for name in _files(self._root, self._root / folder):
                with contextlib.suppress(FileNotFoundError):
                    times[name] = (self._root / name).stat().st_mtime
            return times

        return await asyncio.to_thread(look)

    async def delete(self, names: Sequence[str]) -> None:
        """See Blobs."""

        def work() -> None:
            for name in names:
                (self._root / name).unlink(missing_ok=True)
            for parent in {(self._root / name).parent for name in names}:
                with contextlib.suppress(OSError):  # another machine writes there
                    parent.rmdir()

        await asyncio.to_thread(work)

    async def remove(self, folder: str, ticket: Ticket | None = None) -> None:  # noqa: ARG002 -- as above
        """See Blobs."""
        await asyncio.to_thread(shutil.rmtree, self._root / folder, ignore_errors=True)


def _written(path: Path, data: bytes) -> str:
    """Write a file whole: under a name that no other process has, then under its own; returns its version."""
    make_folder(path.parent)
    part = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        try:
            write_all(file, data)
            os.fsync(file)
            version = _version(os.fstat(file))
        finally:
            os.close(file)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return version


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}.{status.st_mtime_ns}.{status.st_size}"


def _files(root: Path, folder: Path) -> Iterable[str]:
    for path, _, files in os.walk(folder):
        for name in files:
            if not name.startswith(TEMPORARY):
                yield Path(path, name).relative_to(root).as_posix()
