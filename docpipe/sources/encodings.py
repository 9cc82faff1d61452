"""Bodies that a server sends with a Content-Encoding."""

import zlib
from collections.abc import AsyncIterator

from docpipe.errors import ServiceError
from docpipe.http import Download


class DamagedError(Exception):
    """A body is not encoded as its Content-Encoding says."""


async def decoded(answer: Download) -> AsyncIterator[bytes]:
    """Yield the decoded body of an answer.

    Raises:
        DownloadError: if it breaks off.
        DamagedError: if it is not encoded as its Content-Encoding says.
    """
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        async for chunk in answer.chunks():
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ServiceError("The exchange sends a file encoded in a way that docpipe did not ask for.")
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        async for chunk in answer.chunks():
            rest = chunk
            while rest and not machine.eof:
                yield machine.decompress(rest, 2**20)
                rest = machine.unconsumed_tail
    except zlib.error as error:
        raise DamagedError from error
    if not machine.eof:
        raise DamagedError
