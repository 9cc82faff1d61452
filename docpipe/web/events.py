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
from docpipe.app import Docpipe
from docpipe.engine.pace import Pace
from docpipe.engine.run import Change
from docpipe.util.json import to_json
from docpipe.web.overview import disks_view, services_view
from docpipe.web.problems import Problem
from docpipe.web.shared import Shared
from docpipe.web.views import run_view

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
    """Turns changes of the engine into events for all readers. Use as an async context manager."""

    def __init__(self, docpipe: Docpipe, shared: Shared) -> None:
        self.pace = Pace(docpipe.engine, docpipe.checkpoints.listing, docpipe.quotas["docex.search"])
        self.closed = False
        self._shared = shared
        self._docpipe = docpipe
        self._engine = docpipe.engine
        self._readers: set[Reader] = set()
        self._changed: dict[str, None] = {}  # a set that keeps its order
        self._wake = asyncio.Event()
        self._ids = itertools.count(1)
        self._at: dict[str, tuple[object, ...]] = {}
        self._stale = False
        self._services: Services | None = None
        self._summary = ""
        self._sum_up = False
        """Whether the next batch has a summary, because a person has changed something."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._engine.listeners.append(self._listen)
        self._task = asyncio.create_task(self._send_forever(), name="events")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        self._engine.listeners.remove(self._listen)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def close(self) -> None:
        """End every connection, and accept no new ones."""
        self.closed = True
        for reader in self._readers:
            reader.end(cut_off=False)

    # Changes

    def _listen(self, change: Change) -> None:
        self.pace.changed(change)
        if change.activity is None:
            self._at.pop(change.run_id, None)
        self._mark_changed([change.run_id])

    def touch(self, run_ids: Iterable[str]) -> None:
        """Send an event for each of these runs, which a request has changed, and a summary, soon."""
        self._sum_up = True
        self._mark_changed(run_ids)

    def _mark_changed(self, run_ids: Iterable[str]) -> None:
        self._changed |= dict.fromkeys(run_ids)
        self._wake.set()

    def _compare(self) -> None:
        """Note which runs under way have changed what they do or wait for."""
        under_way = self._engine.runs
        for run_id, run in under_way.items():
            if (at := run.position()) != self._at.get(run_id):
                self._at[run_id] = at
                self._changed[run_id] = None
        for run_id in self._at.keys() - under_way.keys():
            del self._at[run_id]

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
        self._compare()
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
            for run in await self._docpipe.checkpoints.runs(changed):
                pieces.append(self._event("run", to_json(run_view(run, self._engine))))
                await asyncio.sleep(0)
        if (services := services_view(self._docpipe)) != self._services:
            self._services = services
            whole = msgspec.structs.replace(services, disk=await disks_view(self._docpipe))
            pieces.append(self._event("service", to_json(whole)))
        if with_summary and (summary := to_json(await self.pace.summary())) != self._summary:
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
            return to_json(await self.pace.summary()).encode()

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
