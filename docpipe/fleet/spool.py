"""The spool of a fleet: a folder of this machine, backed by the storage, from which other machines fetch."""

import asyncio
import errno
import os
import shutil
import uuid
from collections.abc import Awaitable, Callable, Container, Iterable
from pathlib import Path
from typing import BinaryIO, Final

from docpipe.errors import SpoolLostError
from docpipe.fleet.keys import Keyring
from docpipe.model import Ticket
from docpipe.storage.blobs import Blobs
from docpipe.storage.opening import open_file
from docpipe.util.fsync import make_folder

SPOOL: Final = "spool"
"""The folder of files of runs, in it one of each run."""
PIECE: Final = 4 * 2**20
"""Bytes of a file that are encrypted and written together: memory holds a few of these, whatever its size."""
_SIZE: Final = 8
_AT_ONCE: Final = 4
"""Files that one call brings there or here at the same time."""


class BucketSpool:
    """Writes files through to the storage, encrypted; see model.Spool. Used inside one event loop.

    What this process wrote or fetched is not fetched again, unless it was written anew: another try may have,
    on another machine. Files of earlier processes are not trusted, since a crash may have cut them.

    Args:
        folder: of this process alone.
        blobs: where all machines read and write.
        keys: what encrypts.
    """

    def __init__(self, folder: Path, blobs: Blobs, keys: Keyring) -> None:
        self.folder = folder
        self.blobs = blobs
        self._keys = keys
        self._here: dict[str, dict[str, str]] = {}
        """The version of each file that is whole here, by run and name."""

    def path(self, run_id: str) -> Path:
        """See model.Spool."""
        return self.folder / run_id

    async def keep(self, run_id: str, names: Iterable[str]) -> None:
        """See model.Spool."""
        await _each(self._put, run_id, names)

    async def need(self, run_id: str, names: Iterable[str]) -> None:
        """See model.Spool."""
        await _each(self._get, run_id, names)

    async def drop(self, run_id: str) -> None:
        """See model.Spool."""
        await self._forget(run_id)
        await self.blobs.remove(f"{SPOOL}/{run_id}", Ticket(run_id))

    async def clear(self) -> None:
        """Remove what an earlier process left in the folder; it is fetched again where it is needed."""
        await asyncio.to_thread(_emptied, self.folder)

    async def tidy(self, busy: Container[str]) -> None:
        """Remove from this machine the files of runs that another one has ended.

        Args:
            busy: the runs that this process is doing something for.
        """
        kept = set(await self.blobs.folders(SPOOL))
        for run_id in await asyncio.to_thread(_folders, self.folder):
            if run_id not in kept and run_id not in busy:
                await self._forget(run_id)

    async def _forget(self, run_id: str) -> None:
        self._here.pop(run_id, None)
        await asyncio.to_thread(shutil.rmtree, self.path(run_id), ignore_errors=True)

    async def _put(self, run_id: str, name: str) -> None:
        ticket, path = Ticket(run_id), self.path(run_id) / name
        with await open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            # The first piece comes last: where it is, the others are.
            for index in reversed(range(pieces(size))):
                data = await asyncio.to_thread(self._sealed, file, run_id, name, index, size)
                version = await self.blobs.put(_blob(run_id, name, index), data, ticket)
        self._here.setdefault(run_id, {})[name] = version

    def _sealed(self, file: BinaryIO, run_id: str, name: str, index: int, size: int) -> bytes:
        file.seek(index * PIECE)
        head = b"" if index else size.to_bytes(_SIZE)
        return self._keys.seal(head + file.read(PIECE), _about(run_id, name, index))

    async def _get(self, run_id: str, name: str) -> None:
        path = self.path(run_id) / name
        version = await self.blobs.version(_blob(run_id, name, 0), Ticket(run_id))
        if version is not None and self._here.get(run_id, {}).get(name) == version and path.exists():
            return
        await asyncio.to_thread(make_folder, path.parent)
        part = path.with_name(f".{uuid.uuid4().hex}")
        try:
            with part.open("xb") as file:
                part.chmod(0o600)
                number = await self._fetch(file, run_id, name)
            if number > 1:
                await self._refuse_mixed(run_id, name, version)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._here.setdefault(run_id, {})[name] = str(version)

    async def _fetch(self, file: BinaryIO, run_id: str, name: str) -> int:
        """Write a file's pieces to one that is open; returns how many there are."""
        number, index = 1, 0  # until the first piece says it
        while index < number:
            data = await self._piece(run_id, name, index)
            if index == 0:
                number, data = pieces(int.from_bytes(data[:_SIZE])), data[_SIZE:]
            await asyncio.to_thread(file.write, data)
            index += 1
        return number

    async def _refuse_mixed(self, run_id: str, name: str, version: str | None) -> None:
        """Pieces of two versions are no file; the attempt fails, and the next one fetches it whole."""
        if await self.blobs.version(_blob(run_id, name, 0), Ticket(run_id)) != version:
            raise OSError(errno.ESTALE, "it was replaced in the meantime", name)

    async def _piece(self, run_id: str, name: str, index: int) -> bytes:
        data = await self.blobs.get(_blob(run_id, name, index), Ticket(run_id))
        if data is None:
            raise SpoolLostError(
                f"{SPOOL}/{run_id}/{name} is no longer in {self.blobs.where}: the run downloads it again. "
                "A rule there that deletes old files has to leave unfinished runs their time."
            )
        return await asyncio.to_thread(self._keys.unseal, data, _about(run_id, name, index))


async def _each(work: Callable[[str, str], Awaitable[None]], run_id: str, names: Iterable[str]) -> None:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        async with slots:
            await work(run_id, name)

    try:
        async with asyncio.TaskGroup() as group:
            for name in dict.fromkeys(names):
                group.create_task(one(name))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def pieces(size: int) -> int:
    """In how many pieces a file of this many bytes is in the storage; an empty one in one."""
    return max(1, -(-size // PIECE))


def _blob(run_id: str, name: str, index: int) -> str:
    return f"{SPOOL}/{run_id}/{name}.{index}"


def _about(run_id: str, name: str, index: int) -> list[bytes]:
    """What a piece is: no other can be put in its place."""
    return [b"docpipe spool", run_id.encode(), name.encode(errors="surrogatepass"), str(index).encode()]


def _folders(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _emptied(folder: Path) -> None:
    make_folder(folder)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
