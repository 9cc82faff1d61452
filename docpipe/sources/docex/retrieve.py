"""The DocumentExchange as a place that documents come from: a search, and the archive that it makes."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docpipe.archive.extract import Limits, extract
from docpipe.gates.disk_space import retry_while_full
from docpipe.model import Clock, Json, Patient, Step, Ticket
from docpipe.sources.docex.download import Downloader
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.util.fsync import sync_tree


@dataclass(frozen=True, slots=True)
class ArchiveExchange:
    """Searches, and takes apart what they find."""

    exchange: DocumentExchange
    downloader: Downloader
    limits: Limits
    clock: Clock

    async def search(self, step: Step, patient: Patient) -> Json:
        """Start a search; see `DocumentExchange.search`."""
        return await self.exchange.search(step, patient)

    async def wait_until_ready(self, step: Step, search: Json, patient: Patient) -> Json:
        """Ask until the search is over; see `DocumentExchange.wait_until_ready`."""
        return await self.exchange.wait_until_ready(step, search, patient)

    async def download(self, step: Step, search: Json, ready: Json, folder: Path) -> Json:
        """Download the archive into a folder and take it apart there.

        Returns:
            {"state": "ready", "size", "sha256", "members"} or {"state": "expired"}.

        Raises:
            ArchiveError: if it cannot be had or opened as a whole.
            ServiceError: if it comes from an origin that is not allowed.
        """
        path = folder / "archive.zip"
        found = await self.downloader.fetch(
            step, ready["archive"], path, lambda: self.exchange.fresh_archive(step, search)
        )
        if found is None:
            return {"state": "expired"}
        members = await retry_while_full(
            step, "spool", self.clock, lambda: self._extract(path, folder / "files")
        )
        told = {item.get("path"): item for item in ready["documents"]}
        for member in members:
            member["told"] = _told(told.get(member["path"], {}))
            member["file"] = member["file"] and f"files/{member['file']}"
        return {"state": "ready", **found, "members": members}

    async def _extract(self, archive: Path, folder: Path) -> list[dict[str, Any]]:
        """Extract in a thread, which stops soon after this is cancelled."""
        cancelled = False

        def work() -> list[dict[str, Any]]:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            members = extract(archive, folder, self.limits, stop=lambda: cancelled)
            sync_tree(folder)  # a checkpoint will point to it
            return members

        try:
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def release(self, ticket: Ticket, search: Json) -> None:
        """Nothing is to be given back: the exchange lets archives expire by itself."""


def _told(item: Json) -> dict[str, str]:
    """What the exchange says of a file, as far as it is text."""
    names = ("media_type", "title", "author", "created")
    return {name: item[name][:1000] for name in names if isinstance(item.get(name), str)}
