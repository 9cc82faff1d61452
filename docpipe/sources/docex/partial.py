"""Files that arrive in parts: what is on the disk, how the rest is requested, and how it is written."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from docpipe.errors import ArchiveError
from docpipe.http import Download, DownloadError
from docpipe.model import Ticket, Transfer
from docpipe.util.fsync import write_all

LARGEST: Final = 16 * 2**30
"""Bytes. No archive of documents is larger; a longer body is hostile."""
_BLOCK: Final = 2**20
_RANGE: Final = re.compile(r"\s*bytes\s+(\d{1,20})-(\d{1,20})/(\d{1,20}|\*)\s*", re.ASCII | re.IGNORECASE)

_RATE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Verified:
    """Size and SHA-256 of a file."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """What an earlier attempt has left of a file."""

    path: Path
    size: int
    """Bytes that the next attempt can continue."""
    etag: str | None
    """The strong ETag of those bytes; None where they cannot be continued."""

    @classmethod
    def of(cls, path: Path, whole_size: int | None, etag: object) -> "Part":
        """What the disk has of a file.

        Args:
            path: the file.
            whole_size: bytes of the whole, if known.
            etag: of the answer that brought the bytes.
        """
        size = path.stat().st_size if path.exists() else 0
        if not isinstance(etag, str) or not etag.startswith(
            '"'
        ):  # only a strong one may join bytes (RFC 9110)
            return cls(path, 0, None)
        return cls(path, 0 if whole_size == size else size, etag)

    @property
    def exists(self) -> bool:
        """Whether there is a file at all."""
        return self.path.exists()

    def headers(self) -> dict[str, str]:
        """The headers that request the rest."""
        if not self.size or self.etag is None:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.etag}

    def start(self, response: Download) -> int | None:
        """Where the body belongs in the file; None for a part that is not the requested rest.

        Such a part has another beginning, none, an end before the whole's, or the ETag of another version,
        or comes although no part was requested (RFC 9110, 15.3.7).
        """
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            return 0
        given = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if given is None or not self.headers() or int(given[1]) != self.size:
            return None
        if given[3] != "*" and int(given[2]) + 1 != int(given[3]):
            return None
        return self.size if response.headers.get("ETag", self.etag) == self.etag else None

    def refuse(self, response: Download) -> None:
        """Discard a part that is not the rest, and the file: the whole is needed.

        Raises:
            DownloadError: if the rest was requested; the next attempt requests the whole.
        """
        response.discard()
        self.path.unlink(missing_ok=True)
        if self.headers():
            raise DownloadError

    def begin(self, start: int) -> None:
        """Remove the file where the body replaces it, before the ETag of another version is noted."""
        if not start:
            self.path.unlink(missing_ok=True)


async def measured(
    ticket: Ticket, start: int, size: int | None, chunks: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The chunks of a body, whose progress the ticket shows meanwhile.

    Args:
        ticket: of the run.
        start: how many bytes there are already.
        size: of the whole, None where it is not known.
        chunks: of the body.
    """
    now = asyncio.get_running_loop().time
    received, since, before, rate = start, now(), start, 0.0
    try:
        async for chunk in chunks:
            received += len(chunk)
            passed = now() - since
            if passed >= _RATE_S or not rate:
                rate = (received - before) / max(passed, 0.001)
            if passed >= _RATE_S:
                since, before = now(), received
            ticket.transfer = Transfer(received, size, rate)
            yield chunk
    finally:
        ticket.transfer = None


async def write(
    path: Path, start: int, chunks: AsyncIterator[bytes], largest: int = LARGEST
) -> Verified | None:
    """Write chunks to a file from an offset on, and truncate it there before.

    Where the chunks break off, or the task is cancelled, the file has all chunks that came before.

    Returns:
        Size and SHA-256 of the file where it was written from its beginning, so that nobody has to read it
        again; otherwise None.

    Raises:
        ArchiveError: if it becomes larger than `largest` bytes.
        OSError: if the disk fails or is full.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.ftruncate(file, start)
        os.lseek(file, start, os.SEEK_SET)
        size, block, digest = start, bytearray(), None if start else hashlib.sha256()
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > largest:
                    raise ArchiveError(
                        f"The archive is larger than {largest >> 30} GiB, which docpipe refuses."
                    )
                block += chunk
                if len(block) >= _BLOCK:
                    full, block = block, bytearray()  # a write that fails is not repeated below
                    await _write_all(file, full, digest)
        finally:
            if block:
                await _write_all(file, block, digest)
    finally:
        os.close(file)
    return None if digest is None else Verified(size, digest.hexdigest())


async def _write_all(file: int, block: bytearray, digest: "hashlib._Hash | None") -> None:
    """Write in a thread, which has ended when this returns or raises: the caller closes the file."""

    def work() -> None:
        write_all(file, block)
        if digest is not None:
            digest.update(block)

    writing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise
