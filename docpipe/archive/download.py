"""Downloads an archive to a spool file: resumed where it broke off, verified by length and SHA-256."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import structlog

from docpipe.errors import ArchiveError
from docpipe.exchange import NAME, refusal
from docpipe.gates import Gate
from docpipe.http import Answer, Credentials, Download, DownloadError, Fetch, Http
from docpipe.model import Clock, Json, Step, Wait, WaitKind

log = structlog.get_logger(__name__)

LARGEST: Final = 16 * 2**30
"""Bytes. No archive of documents is larger; a body that goes on beyond is hostile."""
TRIES_DAMAGED: Final = 3
TRIES_LINK: Final = 5
_RANGE_REFUSED: Final = 416
_BODY_COMES: Final = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_LINK_IS_OVER: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_DISK_FULL_S: Final = 10.0
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Downloader:
    """Fetches archives, each to a file of its own."""

    http: Http
    base_url: str
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
            home=self.base_url,
        )
        damaged = links = 0
        while True:
            status = await self._try(step, fetch, archive, path)
            if status in _LINK_IS_OVER:
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

    async def _try(self, step: Step, fetch: Fetch, archive: Json, path: Path) -> int | None:
        """Fetch what is missing; the status, or None when it broke off and is to be gone on with."""
        try:
            answer = await self._more(step, fetch, archive, _Part.of(path, archive, step.state))
        except DownloadError:  # the gate has seen it, and decides when to go on
            return None
        except OSError as error:
            await self._disk_full(step, error)
            return None
        if answer.status not in (*_BODY_COMES, _RANGE_REFUSED, *_LINK_IS_OVER):
            raise refusal("The exchange", NAME, answer, "the download of the archive")
        return answer.status

    @staticmethod
    async def _verified(archive: Json, path: Path) -> dict[str, Any] | None:
        """Size and SHA-256 of the file, None when they are not what the exchange says."""
        found = await asyncio.to_thread(_digest, path)
        return found if found is not None and _as_told(found, archive) else None

    async def _more(self, step: Step, fetch: Fetch, archive: Json, part: "_Part") -> Answer:
        async with fetch.open(urljoin(self.base_url, archive["url"]), part.headers()) as response:
            if response.status in _BODY_COMES:
                start = part.start(response)
                step.note({"etag": response.headers.get("ETag")})
                await _write(part.path, start, response.chunks())
            return Answer(response.status, response.headers, None)

    async def _disk_full(self, step: Step, error: OSError) -> None:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise ArchiveError(f"The spool cannot be written: {error.strerror}.") from error
        now = self.clock()
        log.warning("disk_full", what="spool", run_id=step.ticket.run_id, retry_s=_DISK_FULL_S)
        step.ticket.wait = Wait(WaitKind.DISK, "spool", now, now + _DISK_FULL_S)
        await asyncio.sleep(_DISK_FULL_S)
        step.ticket.wait = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What is there already: a file that a try before this one began."""

    path: Path
    size: int
    etag: str | None

    @classmethod
    def of(cls, path: Path, archive: Json, state: Json | None) -> "_Part":
        size = path.stat().st_size if path.exists() else 0
        etag = (state or {}).get("etag")
        whole = archive.get("size") == size
        strong = isinstance(etag, str) and etag.startswith('"')  # only a strong one may join bytes (RFC 9110)
        return cls(path, size if strong and not whole else 0, etag if strong else None)

    def headers(self) -> dict[str, str]:
        if not self.size or self.etag is None:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.etag}

    def start(self, response: Download) -> int:
        """Where the body belongs in the file."""
        told = response.headers.get("Content-Range", "")
        if response.status == HTTPStatus.PARTIAL_CONTENT and told.startswith(f"bytes {self.size}-"):
            return self.size
        return 0


async def _write(path: Path, start: int, chunks: AsyncIterator[bytes]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.ftruncate(file, start)
        os.lseek(file, start, os.SEEK_SET)
        size, block = start, bytearray()
        async for chunk in chunks:
            block += chunk
            if len(block) >= _BLOCK:
                size += len(block)
                if size > LARGEST:
                    raise ArchiveError(
                        f"The archive is larger than {LARGEST >> 30} GiB, which docpipe refuses."
                    )
                await asyncio.to_thread(_write_all, file, block)
                block = bytearray()
        await asyncio.to_thread(_write_all, file, block)
    finally:
        os.close(file)


def _write_all(file: int, block: bytearray) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(file, rest) :]


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
