"""Files of the storage, sent as they are: with a type from a table, in a sandbox, whole or a range."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final

import structlog
from aiohttp import hdrs, web

from docpipe.web.context import web_of
from docpipe.web.downloads import attachment
from docpipe.web.problems import Problem, from_storage

log = structlog.get_logger(__name__)

_SANDBOX: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
"""Of what came from outside; docpipe's own page may frame it."""
SANDBOX_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"Content-Security-Policy": _SANDBOX, "X-Frame-Options": "SAMEORIGIN"}
)
_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)
PATIENCE_S: Final = 60.0
"""A reader that takes longer for a piece is disconnected."""


async def send(
    request: web.Request, media_type: str, patient_id: str, name: str, *, download: str = "", **place: str
) -> web.StreamResponse:
    """A file of the storage.

    Args:
        request: that asks for it.
        media_type: of the file.
        patient_id: whose it is.
        name: of the file.
        download: under which name it is to be saved, empty where it is to be displayed.
        place: `document_id` or `run_id`.

    Raises:
        Problem: 404 when there is none, 416 for a range that it has not.
    """
    storage = web_of(request).source.storage
    try:
        with from_storage():
            size = await storage.size(patient_id, name, **place)
    except ValueError:
        size = None
    if size is None:
        raise Problem(404, "There is no such file, or not yet.", "no-such-file")
    span = _span(request, size)
    start, end = span or (0, size)
    headers = {
        "Content-Type": media_type,
        "Content-Length": str(end - start),
        **SANDBOX_HEADERS,
        "Accept-Ranges": "bytes",
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if download:
        headers["Content-Disposition"] = attachment(download)
    response = web.StreamResponse(status=200 if span is None else 206, headers=headers)
    await response.prepare(request)
    if request.method != "HEAD":
        await copy(
            request, response, storage.read(patient_id, name, start=start, end=end, **place), end - start
        )
    return response


async def copy(
    request: web.Request, response: web.StreamResponse, data: AsyncIterator[bytes], left: int | None
) -> None:
    """Write what is read; the connection breaks off where the file or the reader does not keep up.

    Args:
        request: that is answered.
        response: to write to.
        data: is closed in the end.
        left: bytes of it; None where they are not known before.
    """
    transport = request.transport  # aiohttp forgets it when docpipe stops
    whole = False
    try:
        async for piece in data:
            async with asyncio.timeout(PATIENCE_S):
                await response.write(piece)
            left = None if left is None else left - len(piece)
        whole = not left
    except (TimeoutError, OSError) as error:
        log.info("file_not_sent", reason=type(error).__name__)
    finally:
        if not whole and transport is not None:
            transport.abort()
        if isinstance(data, AsyncGenerator):
            await data.aclose()


def _span(request: web.Request, size: int) -> tuple[int, int] | None:
    """The requested range; None for the whole file, also if there are several ranges (RFC 9110, 14.2)."""
    given = request.headers.get(hdrs.RANGE) if request.method == "GET" else None
    if given is None or hdrs.IF_RANGE in request.headers:  # nothing has a validator that it could be right
        return None
    match = _RANGE.fullmatch(given)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:  # the last N bytes
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < int(match[1]):
            return None
    if start >= size:
        raise Problem(
            416, f"The file has {size} bytes.", "no-such-range", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end
