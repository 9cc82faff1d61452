"""The DocumentExchange as a source of documents: a search, and the archive that it makes."""

import asyncio
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from docpipe.archive.limits import Limits
from docpipe.errors import ArchiveError
from docpipe.gates.local_trouble import retry_while_in_trouble
from docpipe.model import Clock, Patient, Step, Ticket
from docpipe.results.files import Archive, Member
from docpipe.results.search import EXPIRED, READY, ArchiveLink, ListedDocument, Ready, Search
from docpipe.sources.docex.download import Downloader
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.sources.docex.listed import compare, members_of
from docpipe.util.fsync import emptied
from docpipe.workers.unpacking import Unpacker

_FEW: Final = 100
"""Files and listed documents that are compared in less time than a thread takes to start on them."""


@dataclass(frozen=True, slots=True)
class ArchiveExchange:
    """Searches, and unpacks the archives of searches."""

    exchange: DocumentExchange
    downloader: Downloader
    unpacker: Unpacker
    limits: Limits
    clock: Clock

    async def search(self, step: Step, patient: Patient) -> Search:
        """Start a search; see `DocumentExchange.search`."""
        return await self.exchange.search(step, patient)

    async def wait_until_ready(self, step: Step, search: Search, patient: Patient) -> Ready:
        """Poll until the search is over; see `DocumentExchange.wait_until_ready`."""
        return await self.exchange.wait_until_ready(step, search, patient)

    async def download(self, step: Step, search: Search, ready: Ready, folder: Path) -> Archive:
        """Download the archive into a folder and unpack it there.

        Documents that the status lists and the archive does not hold are members without a file.

        Raises:
            ArchiveError: if it cannot be downloaded, opened or unpacked.
            ServiceError: if it comes from an origin that is not allowed.
        """
        if not isinstance(ready.archive, ArchiveLink):
            return Archive(state=READY)
        path = folder / "archive.zip"
        verified = await self.downloader.fetch(
            step, ready.archive, path, lambda: self.exchange.fresh_archive(step, search)
        )
        if verified is None or self.exchange.owners.disputed(search.search_id):
            return Archive(state=EXPIRED)
        work = functools.partial(self._unpack, step.ticket, path, folder / "files", ready.documents)
        try:
            members = await retry_while_in_trouble(step, "spool", self.clock, work)
        except ArchiveError as error:
            raise ArchiveError(f"Search {search.search_id}: {error}") from error
        return Archive(state=READY, size=verified.size, sha256=verified.sha256, members=members)

    async def _unpack(
        self, ticket: Ticket, archive: Path, folder: Path, listed: list[ListedDocument]
    ) -> list[Member]:
        """Unpack, and compare with the list."""
        try:
            folder.mkdir(mode=0o700)  # noqa: ASYNC240 -- one call, which costs less than a thread
        except FileExistsError:
            await asyncio.to_thread(emptied, folder)
        members = await self.unpacker.unpack(archive, folder, self.limits, ticket)
        if len(members) + len(listed) <= _FEW:
            return msgspec.convert(self._compared(members, listed), list[Member])
        return await asyncio.to_thread(lambda: msgspec.convert(self._compared(members, listed), list[Member]))

    def _compared(self, members: list[dict[str, Any]], listed: list[ListedDocument]) -> list[dict[str, Any]]:
        """The members with what the exchange declares of each, then those that are only listed."""
        documents, missing = compare(listed, [member["path"] for member in members])
        for member, document in zip(members, documents, strict=True):
            declared = msgspec.to_builtins(document)
            declared.pop("path", None)
            member["told"] = declared
            member["file"] = member["file"] and f"files/{member['file']}"
        room = self.limits.members - len(members)
        # Without room the archive holds more than was unpacked, which has a member of its own.
        return members + members_of(missing, room) if room >= 0 else members

    async def release(self, ticket: Ticket, address: str | None) -> None:
        """Do nothing: the exchange lets archives expire by itself."""
