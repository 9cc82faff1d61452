"""Handlers for services, pausing, the summary and the events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from docpipe.errors import UsageError
from docpipe.util.json import to_json
from docpipe.web.context import Web, web_of
from docpipe.web.events import SUMMARY, write
from docpipe.web.problems import Problem
from docpipe.web.reading import only

_LAST_S: Final = 1.0


async def services(request: web.Request) -> web.Response:
    """How services, quotas, workers and disks stand."""
    return await web_of(request).coalesce(request, _services)


async def _services(request: web.Request) -> str:
    only(request)
    source = web_of(request).source
    return to_json(msgspec.structs.replace(source.services(), disk=await source.disks()))


async def summary(request: web.Request) -> web.Response:
    """Counts, throughput, and when all should be done."""
    return await web_of(request).coalesce(request, _summary)


async def _summary(request: web.Request) -> str:
    only(request)
    return to_json(await web_of(request).source.summary())


async def pause(request: web.Request) -> web.Response:
    """Pause a service, or everything."""
    return await _change(request, lambda here, name: here.source.pause(name))


async def unpause(request: web.Request) -> web.Response:
    """Take that back."""
    return await _change(request, lambda here, name: here.source.unpause(name))


async def _change(request: web.Request, change: Callable[[Web, str | None], Awaitable[None]]) -> web.Response:
    only(request)
    here = web_of(request)

    async def work() -> None:
        await change(here, request.match_info.get("name"))

    try:
        await here.shielded(work())
    except UsageError as error:
        raise Problem(404, str(error), "no-such-service") from error
    return web.Response(status=204)


async def events(request: web.Request) -> web.StreamResponse:
    """What changes, as it changes."""
    only(request)
    here = web_of(request)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    if request.method == "HEAD":
        return response
    async with here.hub.reading() as reader:
        await response.prepare(request)
        writing = asyncio.create_task(write(reader, response))
        try:
            waited: set[asyncio.Future[Any]] = {writing, reader.ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await _end(request, response, cut_off=reader.ended.done() and reader.ended.result())
    return response


async def _end(request: web.Request, response: web.StreamResponse, *, cut_off: bool) -> None:
    """End the answer; a reader that is too slow is disconnected."""
    try:
        async with asyncio.timeout(_LAST_S):
            if not cut_off:
                await response.write_eof()
                return
    except (TimeoutError, ConnectionError):
        pass
    if request.transport is not None:
        request.transport.abort()


ROUTES: Final = (
    web.get("/api/services", services),
    web.post("/api/services/{name}/pause", pause),
    web.post("/api/services/{name}/resume", unpause),
    web.post("/api/pause", pause),
    web.post("/api/resume", unpause),
    web.get(SUMMARY, summary),
    web.get("/api/events", events),
)
