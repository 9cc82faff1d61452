"""The parts of the service that request handlers use."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aiohttp import web

from docpipe.web.answers import of_bytes
from docpipe.web.events import Hub
from docpipe.web.exports import Exports
from docpipe.web.guard import Guard
from docpipe.web.problems import Problem
from docpipe.web.readiness import Readiness
from docpipe.web.shared import Shared
from docpipe.web.source import Source
from docpipe.web.submissions import Submissions

PATIENCE_S: Final = 30.0
"""After this time the caller gets 503; the change itself continues."""

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class Web:
    """What the service's faces share."""

    source: Source
    guard: Guard
    hub: Hub
    shared: Shared
    readiness: Readiness
    submissions: Submissions
    exports: Exports
    name_search: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Names are searched one after the other: runs need the connections to the database, too."""
    _under_way: set[asyncio.Task[Any]] = field(default_factory=set)

    def refuse_when_stopping(self) -> None:
        """Raises Problem 503 when docpipe stops."""
        if self.source.stopping:
            raise Problem(
                503,
                "docpipe is stopping; try again when it is back.",
                "stopping",
                headers={"Retry-After": "10"},
            )

    async def coalesce(
        self, request: web.Request, make: Callable[[web.Request], Awaitable[str]]
    ) -> web.Response:
        """An answer that all are given who ask for the same at about the same time; see shared.py."""

        async def body() -> bytes:
            return (await make(request)).encode()

        return of_bytes(await self.shared.of(request.raw_path, body))

    async def shielded(self, change: Coroutine[Any, Any, _T]) -> _T:
        """Await a change, which completes even if the caller leaves; raises Problem 503 when it is slow."""
        task = asyncio.create_task(change)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.wait_for(asyncio.shield(task), PATIENCE_S)
        except TimeoutError:
            task.add_done_callback(_retrieve)
            raise Problem(
                503,
                self.source.slow,
                "not-yet-durable",
                headers={"Retry-After": "30"},
            ) from None


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # marks it as retrieved, so that asyncio does not log it


WEB: Final = web.AppKey("web", Web)


def web_of(request: web.Request) -> Web:
    """The application's."""
    return request.app[WEB]
