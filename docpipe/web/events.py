"""Server-sent events: what changed, at most once a second, the same bytes for every reader.

Nothing is kept for those who come late: every connection begins with `reset`. A reader that does not read
is cut off, and begins anew.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from typing import Final, Self

import structlog
from aiohttp import web

from docpipe.app import Docpipe
from docpipe.engine.pace import Pace
from docpipe.engine.run import Change
from docpipe.util.json import to_json
from docpipe.web.overview import disks_view, services_view
from docpipe.web.problems import Problem
from docpipe.web.shared import Shared
from docpipe.web.views import run_view
from docpipe.web.waits import Waits

log = structlog.get_logger(__name__)

READERS: Final = 200
"""As many may read at the same time."""
SUMMARY: Final = "/api/summary"
"""Where the same stands that `reset` tells."""
EVERY_S: Final = 1.0
"""Changes are told at most so often."""
_SUMMARY_S: Final = 5.0
_COMMENT_S: Final = 15.0
_MANY: Final = 500
"""When more runs than these changed at once, readers are told to load anew."""
_BEHIND: Final = 8
"""A reader that is so many seconds behind is cut off."""


class Reader:
    """One connection: what is to be written to it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(_BEHIND)
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Done when no more is to be written; true where that is because the reader does not read."""

    def tell(self, data: bytes) -> None:
        """Queue a piece; a reader that is too far behind is cut off."""
        try:
            self.queue.put_nowait(data)
        except asyncio.QueueFull:
            self.end(cut_off=True)

    def end(self, *, cut_off: bool) -> None:
        """No more is to be written."""
        if not self.ended.done():
            self.ended.set_result(cut_off)


class Hub:
    """Listens to the engine, and tells readers. Use as an async context manager."""

    def __init__(self, docpipe: Docpipe, shared: Shared) -> None:
        self.pace = Pace(docpipe.engine, docpipe.checkpoints.listing, docpipe.quotas["docex.search"])
        self.waits = Waits()
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
        self._services = ""
        self._summary = ""
        self._sum_up = False
        """Whether somebody has changed something and looks at what it makes."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._engine.listeners.append(self._listen)
        self._task = asyncio.create_task(self._tell_forever(), name="events")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        self._engine.listeners.remove(self._listen)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def close(self) -> None:
        """End every connection, and take no more."""
        self.closed = True
        for reader in self._readers:
            reader.end(cut_off=False)

    # What has changed

    def _listen(self, change: Change) -> None:
        self.pace.changed(change)
        if change.activity is None:
            self._at.pop(change.run_id, None)
            self.waits.end(change.run_id, self._engine.clock())
        self._tell_of([change.run_id])

    def touch(self, run_ids: Iterable[str]) -> None:
        """Tell readers of these runs, which somebody has changed, and of all together, soon."""
        self._sum_up = True
        self._tell_of(run_ids)

    def _tell_of(self, run_ids: Iterable[str]) -> None:
        self._changed |= dict.fromkeys(run_ids)
        self._wake.set()

    def _look(self) -> None:
        """Note what runs under way are at, and what they wait for."""
        now = self._engine.clock()
        under_way = self._engine.runs
        for run_id, run in under_way.items():
            if (at := run.position()) != self._at.get(run_id):
                self._at[run_id] = at
                self._changed[run_id] = None
                self.waits.note(run, now)
        for run_id in self._at.keys() - under_way.keys():
            del self._at[run_id]
            self.waits.end(run_id, now)

    # What readers are told

    async def _tell_forever(self) -> None:
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
                await self._tell(with_summary=with_summary)
            except Exception:
                log.exception("events_failed")
                self._stale = True  # readers have missed something
            await asyncio.sleep(max(0.0, began + EVERY_S - loop.time()))

    async def _tell(self, *, with_summary: bool) -> None:
        self._look()
        changed, self._changed = list(self._changed), {}
        self._shared.outdate()  # who comes next loads no less than what is forgotten here
        if not self._readers:  # whoever comes next is told all there is
            self._services = self._summary = ""
            return
        pieces = []
        if self._stale or len(changed) > _MANY:
            pieces.append(await self._reset())
            self._stale = with_summary = False  # that bears the summary,
            self._summary = ""  # and what was told before it is no longer what readers know
        elif changed:
            for run in await self._docpipe.checkpoints.runs(changed):
                pieces.append(self._event("run", to_json(run_view(run, self._engine))))
                await asyncio.sleep(0)
        if (services := to_json(services_view(self._docpipe))) != self._services:
            self._services = services
            told = {**json.loads(services), "disk": await disks_view(self._docpipe)}
            pieces.append(self._event("service", to_json(told)))
        if with_summary and (summary := to_json(await self.pace.summary())) != self._summary:
            self._summary = summary
            pieces.append(self._event("summary", summary))
        if pieces:
            data = b"".join(pieces)
            self._shared.outdate()  # whoever loads now finds no less than what is told here
            for reader in self._readers:
                reader.tell(data)

    async def _reset(self) -> bytes:
        """After a restart all readers come back at once: the summary is made once for them."""

        async def summary() -> bytes:
            return to_json(await self.pace.summary()).encode()

        return self._event("reset", (await self._shared.of(SUMMARY, summary)).decode())

    def _event(self, name: str, data: str) -> bytes:
        return f"id: {next(self._ids)}\nevent: {name}\ndata: {data}\n\n".encode()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """A reader; what it is told first is queued.

        Raises:
            Problem: 503 when docpipe stops, or too many read already.
        """
        first = b"retry: 2000\n\n" + await self._reset()
        if self.closed or len(self._readers) >= READERS:
            why = "docpipe is stopping." if self.closed else "Too many event listeners."
            raise Problem(503, why, "no-events", headers={"Retry-After": "10"})
        reader = Reader()
        reader.tell(first)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            log.debug("reader_left", readers=len(self._readers))


async def write(reader: Reader, response: web.StreamResponse) -> None:
    """Write what a reader is told, and a comment when there is nothing, so that nobody takes it for dead."""
    while True:
        try:
            data = await asyncio.wait_for(reader.queue.get(), _COMMENT_S)
        except TimeoutError:
            data = b":\n\n"
        await response.write(data)
