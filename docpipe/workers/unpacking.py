"""Unpacks archives in worker processes, or in this process for `--debug` and simulations."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import msgspec
import structlog

from docpipe.archive.delivered import DeliveredFile
from docpipe.archive.extract import NO_ZIP, Entry, collect, extract
from docpipe.archive.limits import Limits
from docpipe.errors import ArchiveError, WorkerError
from docpipe.model import Clock, Ticket, WaitKind
from docpipe.util.fsync import sync_folder, sync_tree
from docpipe.workers.jobs import Returned, Words
from docpipe.workers.limits import FILE_BYTES
from docpipe.workers.pool import Workers
from docpipe.workers.rooms import MisfitError, Room, empty
from docpipe.workers.unpacked import Unpacked, read_unpacked

log = structlog.get_logger(__name__)

TARGET: Final = "docpipe.archive.job:unpack"
MEMORY: Final = 160 * 2**20
"""Bytes for one archive; the largest dictionary that is unpacked has 64 MiB."""
AT_ONCE: Final = 2
"""Archives; with the main process they keep within `machine.OWN_MEMORY`."""
ROOMS: Final = ".unpacking"
"""The folder in the spool for the rooms of workers."""
_SPARE_S: Final = 60.0
"""Seconds beyond the limit of an archive, which ends by itself within it."""


class Unpacker(Protocol):
    """Takes archives apart within limits."""

    async def unpack(self, archive: Path, folder: Path, limits: Limits, ticket: Ticket) -> list[Entry]:
        """Unpack an archive, durably.

        Args:
            archive: a ZIP.
            folder: there, and empty.
            limits: beyond them files are refused, one by one.
            ticket: the run that waits.

        Returns:
            As of `archive.extract`.

        Raises:
            ArchiveError: it is no ZIP, or its worker did not survive it; a sentence that ends with the cause.
            OSError: the disk is full, or the machine has another trouble.
        """

    async def gather(
        self, files: Sequence[DeliveredFile], folder: Path, limits: Limits, ticket: Ticket, more: int = 0
    ) -> list[Entry]:
        """Take files that are in no archive, and unpack the archives among them; otherwise as `unpack`.

        Args:
            files: the files.
            folder: there, and empty.
            limits: of all of them together.
            ticket: the run that waits.
            more: the number of files that are not listed.
        """


class _Unpackings:
    """The job_kind: an archive or files in, their content out."""

    words = Words(
        worker="its worker",
        time="it took longer than {}.",
        memory="it needs more than {} of memory.",
        transfer="it could not be brought to its worker and back ({}).",
    )
    wait = WaitKind.DOWNLOAD
    programs = False

    def has_files(self, job: Any) -> bool:
        """As of `JobKind`: always."""
        return bool(job)

    def put(self, room: Room, job: Any) -> Any:
        """As of `JobKind`."""
        more = {"limits": asdict(job["limits"]), "more": job["more"]}
        if "archive" in job:
            return room.put_archive(job["archive"]) | more
        files: Sequence[DeliveredFile] = job["files"]
        rows = [[file.name, file.path is not None, file.outcome, file.reason] for file in files]
        listed = json.dumps(rows).encode()
        return room.put_delivered([file.path for file in files], listed) | more

    def answered(self, value: msgspec.Raw, room: Room, job: Any) -> Returned:
        """As of `JobKind`."""
        return _Received(read_unpacked(value), room, job["folder"])


@dataclass(frozen=True, slots=True)
class _Received:
    unpacked: Unpacked | None
    room: Room
    folder: Path

    @property
    def alive(self) -> bool:
        return self.unpacked is None or self.unpacked.is_small

    def take(self) -> tuple[list[Entry] | None, bool]:
        if self.unpacked is None:
            return None, self.room.clear(())
        empty(self.folder)  # of what another try left
        try:
            entries = self.unpacked.take(self.room, self.folder)
        except MisfitError:
            empty(self.folder)
            raise
        for folder in (self.folder.parent, self.folder.parent.parent):  # a checkpoint will point to it
            sync_folder(folder)
        return entries, self.alive and self.room.clear(self.unpacked.sizes)


class UnpackingWorkers:
    """Unpacks in worker processes of their own, so that neither archives nor documents wait for the others.

    Args:
        rooms: a folder for the rooms of workers, on the disk of what is unpacked; None for one of the
            system's temporary folders.
        clock: what tickets are stamped with.
        confined: as of `Workers`.
        file: likewise.
    """

    def __init__(
        self, rooms: Path | None, clock: Clock, *, confined: bool = True, file: int = FILE_BYTES
    ) -> None:
        self._pool = Workers(
            TARGET,
            preload=None,
            size=AT_ONCE,
            memory=MEMORY,
            timeout=Limits().seconds + _SPARE_S,
            clock=clock,
            rooms=rooms,
            confined=confined,
            job_kind=_Unpackings(),
            file=file,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def unpack(self, archive: Path, folder: Path, limits: Limits, ticket: Ticket) -> list[Entry]:
        """As of `Unpacker`."""
        return await self._work({"archive": archive}, folder, limits, ticket)

    async def gather(
        self, files: Sequence[DeliveredFile], folder: Path, limits: Limits, ticket: Ticket, more: int = 0
    ) -> list[Entry]:
        """As of `Unpacker`."""
        return await self._work({"files": files, "more": more}, folder, limits, ticket)

    async def _work(self, what: dict[str, Any], folder: Path, limits: Limits, ticket: Ticket) -> list[Entry]:
        """Have it unpacked; should a worker not survive that, once more without what is nested."""
        job = {"more": 0, **what, "folder": folder}
        try:
            made = await self._pool.run({**job, "limits": limits}, ticket)
        except WorkerError as error:
            log.warning("nested_archives_not_opened", run_id=ticket.run_id, reason=str(error))
            try:
                made = await self._pool.run({**job, "limits": replace(limits, nested=False)}, ticket)
            except WorkerError as again:
                raise ArchiveError(f"The archive cannot be unpacked: {again}") from again
        return _opened(made)


class UnpackingHere:
    """Unpacks in a thread of this process, which ends soon after its caller is cancelled."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def unpack(self, archive: Path, folder: Path, limits: Limits, ticket: Ticket) -> list[Entry]:  # noqa: ARG002 -- as of `Unpacker`
        """As of `Unpacker`."""
        return await _in_thread(lambda stop: extract(archive, folder, limits, stop), folder)

    async def gather(
        self,
        files: Sequence[DeliveredFile],
        folder: Path,
        limits: Limits,
        ticket: Ticket,  # noqa: ARG002 -- likewise
        more: int = 0,
    ) -> list[Entry]:
        """As of `Unpacker`."""
        members = (file.member() for file in files)
        return await _in_thread(lambda stop: collect(members, folder, limits, more, stop), folder)


def make_unpacker(
    rooms: Path | None, clock: Clock = time.time, *, inline: bool = False, file: int = FILE_BYTES
) -> UnpackingWorkers | UnpackingHere:
    """What takes archives apart; not yet entered.

    Args:
        rooms: as of `UnpackingWorkers`; it is made, and removed in the end.
        clock: what tickets are stamped with.
        inline: whether it runs inside this process.
        file: the largest file in bytes that is taken from an archive.
    """
    return UnpackingHere() if inline else UnpackingWorkers(rooms, clock, file=file)


def _opened(made: list[Entry] | None) -> list[Entry]:
    if made is None:
        raise ArchiveError(NO_ZIP)
    return made


async def _in_thread(work: Callable[[Callable[[], bool]], list[Entry]], folder: Path) -> list[Entry]:
    cancelled = False

    def durably() -> list[Entry]:
        entries = work(lambda: cancelled)
        sync_tree(folder)
        return entries

    try:
        return await asyncio.to_thread(durably)
    except asyncio.CancelledError:
        cancelled = True
        raise
