"""Files that arrive in parts: what is there, how the rest is asked for, and how it is written."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from docpipe.errors import ArchiveError
from docpipe.http import Download
from docpipe.model import Json
from docpipe.util.fsync import write_all

LARGEST: Final = 16 * 2**30
"""Bytes. No archive of documents is larger; a body that goes on beyond is hostile."""
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Part:
    """What is there already: a file that a try before this one began."""

    path: Path
    size: int
    """Bytes that can be gone on from."""
    etag: str | None
    """Of those bytes, where they are to be gone on from."""

    @classmethod
    def of(cls, path: Path, archive: Json, state: Json | None) -> "Part":
        """What there is of a file.

        Args:
            path: where it lies.
            archive: what is said of the whole: perhaps its size.
            state: {"etag"} of the answer that brought the bytes.
        """
        size = path.stat().st_size if path.exists() else 0
        etag = (state or {}).get("etag")
        whole = archive.get("size") == size
        strong = isinstance(etag, str) and etag.startswith('"')  # only a strong one may join bytes (RFC 9110)
        return cls(path, size if strong and not whole else 0, etag if strong else None)

    def headers(self) -> dict[str, str]:
        """What asks for the rest."""
        if not self.size or self.etag is None:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.etag}

    def start(self, response: Download) -> int:
        """Where the body belongs in the file."""
        told = response.headers.get("Content-Range", "")
        if response.status == HTTPStatus.PARTIAL_CONTENT and told.startswith(f"bytes {self.size}-"):
            return self.size
        return 0


async def write(path: Path, start: int, chunks: AsyncIterator[bytes], largest: int = LARGEST) -> None:
    """Write chunks to a file from a place on; what was there behind it is gone.

    Raises:
        ArchiveError: if it becomes larger than `largest` bytes.
        OSError: if the disk fails or is full.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.ftruncate(file, start)
        os.lseek(file, start, os.SEEK_SET)
        size, block = start, bytearray()
        async for chunk in chunks:
            block += chunk
            if len(block) >= _BLOCK:
                size += len(block)
                if size > largest:
                    raise ArchiveError(
                        f"The archive is larger than {largest >> 30} GiB, which docpipe refuses."
                    )
                await asyncio.to_thread(write_all, file, block)
                block = bytearray()
        await asyncio.to_thread(write_all, file, block)
    finally:
        os.close(file)
