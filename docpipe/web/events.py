"""Server-sent events: the changes, at most once a second, the same bytes for every reader.

No event is stored: every connection begins with `reset`. A reader that falls too far behind is disconnected
and connects again.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Final, Self

import msgspec
import structlog
from aiohttp import web

from docpipe.api.shapes import Services
from docpipe.util.json import to_json
from docpipe.web.problems import Problem
from docpipe.web.shared import Shared
from docpipe.web.source import Source

log = structlog.get_logger(__name__)

READERS: Final = 200
"""As many may read at the same time."""
SUMMARY: Final = "/api/summary"
"""The address that returns the data of `reset`."""
EVERY_S: Final = 1.0
"""The shortest time between two batches of events, in seconds."""
_SUMMARY_S: Final = 5.0
_COMMENT_S: Final = 15.0
_MANY: Final = 500
"""If more runs than these change at once, one `reset` replaces their events."""
_BEHIND: Final = 8
"""A reader with this many unsent pieces, one a second, is disconnected."""


class Reader:
    """One connection, with the pieces that are still to be written to it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(_BEHIND)
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Done when nothing more is written; True if that is because the reader is too slow."""

    def queue_piece(self, data: bytes) -> None:
        """Queue a piece; a reader that is too far behind is disconnected."""
        try:
            self.queue.put_nowait(data)
        except asyncio.QueueFull:
            self.end(cut_off=True)

    def end(self, *, cut_off: bool) -> None:
        """End the connection."""
        if not self.ended.done():
            self.ended.set_result(cut_off)


class Hub:
    """Turns changes of runs into events for all readers. Use as an async context manager."""

    def __init__(self, source: Source, shared: Shared) -> None:
        self.closed = False
        self._shared = shared
        self._source = source
        self._watching = contextlib.ExitStack()
        self._readers: set[Reader] = set()
        self._changed: dict[str, None] = {}  # a set that keeps its order
        self._wake = asyncio.Event()
        self._ids = itertools.count(1)
        self._stale = False
        self._services: Services | None = None
        self._summary = ""
        self._sum_up = False
        """Whether the next batch has a summary, because a person has changed something."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watching.enter_context(self._source.watched(self._mark_changed))
        self._task = asyncio.create_task(self._send_forever(), name="events")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        self._watching.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def close(self) -> None:
        """End every connection, and accept no new ones."""
        self.closed = True
        for reader in self._readers:
            reader.end(cut_off=False)

    # Changes

    def touch(self, run_ids: Iterable[str]) -> None:
        """Send an event for each of these runs, which a request has changed, and a summary, soon."""
        self._sum_up = True
        self._mark_changed(run_ids)

    def _mark_changed(self, run_ids: Iterable[str]) -> None:
        self._changed |= dict.fromkeys(run_ids)
        self._wake.set()

    # Events

    async def _send_forever(self) -> None:
        loop = asyncio.get_running_loop()
        summed_up = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), EVERY_S)
            self._wake.clear()
            began = loop.time()
            try:
                with_summary = self._sum_up or began - summed_up >= _SUMMARY_S
                summed_up = began if with_summary else summed_up
                self._sum_up = False
                await self._send(with_summary=with_summary)
            except Exception:
                log.exception("events_failed")
                self._stale = True  # readers have missed an event
            await asyncio.sleep(max(0.0, began + EVERY_S - loop.time()))

    async def _send(self, *, with_summary: bool) -> None:
        self._changed |= dict.fromkeys(self._source.moved(read=bool(self._readers)))
        changed, self._changed = list(self._changed), {}
        self._shared.invalidate()  # later requests see all that is dropped here
        if not self._readers:  # the next reader gets the whole state
            self._services, self._summary = None, ""
            return
        pieces = []
        if self._stale or len(changed) > _MANY:
            pieces.append(await self._reset())
            self._stale = with_summary = False  # the reset has the summary,
            self._summary = ""  # so the last one sent no longer counts
        elif changed:
            for run in await self._source.runs(changed):
                pieces.append(self._event("run", to_json(self._source.view(run))))
                await asyncio.sleep(0)
        if (services := self._source.services()) != self._services:
            self._services = services
            whole = msgspec.structs.replace(services, disk=await self._source.disks())
            pieces.append(self._event("service", to_json(whole)))
        if with_summary and (summary := to_json(await self._source.summary())) != self._summary:
            self._summary = summary
            pieces.append(self._event("summary", summary))
        if pieces:
            data = b"".join(pieces)
            self._shared.invalidate()  # requests from now on see at least what these events say
            for reader in self._readers:
                reader.queue_piece(data)

    async def _reset(self) -> bytes:
        """The first event of a connection; readers that connect at the same time share one summary."""

        async def summary() -> bytes:
            return to_json(await self._source.summary()).encode()

        return self._event("reset", (await self._shared.of(SUMMARY, summary)).decode())

    def _event(self, name: str, data: str) -> bytes:
        return f"id: {next(self._ids)}\nevent: {name}\ndata: {data}\n\n".encode()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """A reader, with its first events queued.

        Raises:
            Problem: 503 when docpipe stops, or there are too many readers.
        """
        first = b"retry: 2000\n\n" + await self._reset()
        if self.closed or len(self._readers) >= READERS:
            why = "docpipe is stopping." if self.closed else "Too many event listeners."
            raise Problem(503, why, "no-events", headers={"Retry-After": "10"})
        reader = Reader()
        reader.queue_piece(first)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            log.debug("reader_left", readers=len(self._readers))


async def write(reader: Reader, response: web.StreamResponse) -> None:
    """Write the pieces of a reader, and a comment when there are none, to keep the connection alive."""
    while True:
        try:
            data = await asyncio.wait_for(reader.queue.get(), _COMMENT_S)
        except TimeoutError:
            data = b":\n\n"
        await response.write(data)
