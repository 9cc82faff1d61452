"""Downloads an archive to a spool file: resumed where it broke off, verified by length and SHA-256."""

import asyncio
import errno
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import structlog

from docpipe.config.config import Docex
from docpipe.errors import ArchiveError
from docpipe.gates import Gate
from docpipe.http import Answer, Credentials, DownloadError, Fetch, Http, origin_of
from docpipe.http.verdicts import refusal
from docpipe.model import Clock, Json, Step, Wait, WaitKind
from docpipe.sources.docex.partial import Part, write

log = structlog.get_logger(__name__)

TRIES_DAMAGED: Final = 3
TRIES_LINK: Final = 5
MOVED: Final = 2
"""So often in a row another origin is out of reach before the exchange is asked where the archive is now."""
_RANGE_REFUSED: Final = 416
_BODY_COMES: Final = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_LINK_IS_OVER: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_DISK_FULL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Downloader:
    """Fetches archives, each to a file of its own."""

    http: Http
    config: Docex
    credentials: Credentials
    gate_of: Callable[[str], Gate]
    """The gate of an origin."""
    allowed: Callable[[str], bool]
    """Whether an archive may come from an origin."""
    clock: Clock

    async def fetch(
        self, step: Step, archive: Json, path: Path, fresh_link: Callable[[], Awaitable[Json | None]]
    ) -> Json | None:
        """Download, verify, and leave the archive at `path`.

        Args:
            step: the activity's try.
            archive: what the exchange says of it: url, and perhaps size and sha256.
            path: where to; what an earlier try left there is gone on with.
            fresh_link: asks the exchange for a new link; None when the search is gone.

        Returns:
            {"size", "sha256"}, or None when the search is gone.

        Raises:
            ArchiveError: if it stays damaged, or its links never work.
            ServiceError: if it comes from an origin that is not allowed.
        """
        if (found := await self._verified(archive, path)) is not None and archive.get("sha256"):
            return found  # an earlier try was stopped between here and its checkpoint
        fetch = self.http.fetch(
            step.ticket,
            gate_of=self.gate_of,
            allowed=self.allowed,
            credentials=self.credentials,
            home=self.config.base_url,
        )
        damaged = links = missed = 0
        while True:
            status = await self._try(step, fetch, archive, path)
            missed = missed + 1 if fetch.unreached else 0
            if missed >= MOVED and not self._at_home(archive):
                archive = await fresh_link() or archive
            elif status in _LINK_IS_OVER:
                links += 1
                if links > TRIES_LINK:
                    raise ArchiveError(f"The exchange gave {links} links to the archive, and none worked.")
                if (fresh := await fresh_link()) is None:
                    return None
                archive = fresh
            elif status is not None:
                if (found := await self._verified(archive, path)) is not None:
                    return found
                damaged += 1
                log.warning("archive_damaged", run_id=step.ticket.run_id, tries=damaged)
                await asyncio.to_thread(path.unlink, missing_ok=True)
                if damaged == TRIES_DAMAGED:
                    raise ArchiveError(
                        f"The archive arrived damaged {damaged} times: its length or its checksum is not "
                        "what the exchange says."
                    )

    def _at_home(self, archive: Json) -> bool:
        """Whether the link leads to the exchange itself: then where it redirects to is told with each try."""
        return origin_of(urljoin(self.config.base_url, archive["url"])) == origin_of(self.config.base_url)

    async def _try(self, step: Step, fetch: Fetch, archive: Json, path: Path) -> int | None:
        """Fetch what is missing; the status, or None when it broke off and is to be gone on with."""
        try:
            answer = await self._more(step, fetch, archive, Part.of(path, archive, step.state))
        except DownloadError:  # the gate has seen it, and decides when to go on
            return None
        except OSError as error:
            await self._disk_full(step, error)
            return None
        if answer.status not in (*_BODY_COMES, _RANGE_REFUSED, *_LINK_IS_OVER):
            raise refusal("The exchange", self.config, answer, "the download of the archive")
        return answer.status

    @staticmethod
    async def _verified(archive: Json, path: Path) -> dict[str, Any] | None:
        """Size and SHA-256 of the file, None when they are not what the exchange says."""
        found = await asyncio.to_thread(_digest, path)
        return found if found is not None and _as_told(found, archive) else None

    async def _more(self, step: Step, fetch: Fetch, archive: Json, part: Part) -> Answer:
        async with fetch.open(urljoin(self.config.base_url, archive["url"]), part.headers()) as response:
            if response.status in _BODY_COMES:
                start = part.start(response)
                step.note({"etag": response.headers.get("ETag")})
                await write(part.path, start, response.chunks())
            return Answer(response.status, response.headers, None)

    async def _disk_full(self, step: Step, error: OSError) -> None:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise ArchiveError(f"The spool cannot be written: {error.strerror}.") from error
        now = self.clock()
        log.warning("disk_full", what="spool", run_id=step.ticket.run_id, retry_s=_DISK_FULL_S)
        step.ticket.wait = Wait(WaitKind.DISK, "spool", now, now + _DISK_FULL_S)
        await asyncio.sleep(_DISK_FULL_S)
        step.ticket.wait = None


def _digest(path: Path) -> dict[str, Any] | None:
    """Size and SHA-256 of what is on the disk, whatever pieces it came in; None for no file."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"size": file.tell(), "sha256": digest.hexdigest()}


def _as_told(found: dict[str, Any], archive: Json) -> bool:
    size, sha256 = archive.get("size"), archive.get("sha256")
    return size in (None, found["size"]) and str(sha256 or found["sha256"]).lower() == found["sha256"]
