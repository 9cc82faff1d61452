"""One answer for concurrent requests of the same address.

An answer is reused for `FRESH_S`, but never past a change that was made through the API, nor past an event
that was sent: both call `invalidate`. So a caller sees its own change, and a reader of events never loads
older data than the events had.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

FRESH_S: Final = 0.5


class Shared:
    """Recent bodies, by path and query."""

    def __init__(self) -> None:
        self._made: dict[str, asyncio.Future[bytes | None]] = {}
        """Done when the body is there; None if the request that built it failed or was cancelled."""

    def invalidate(self) -> None:
        """Drop every body: later requests get new ones."""
        self._made.clear()

    async def of(self, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The body for a key, built by the first request; an error of `make` reaches that request only."""
        while (known := self._made.get(key)) is not None:
            if (body := await asyncio.shield(known)) is not None:
                return body
        loop = asyncio.get_running_loop()
        began = loop.time()
        made: asyncio.Future[bytes | None] = loop.create_future()
        self._made[key] = made
        try:
            body = await make()
        except BaseException:
            self._drop(key, made)
            made.set_result(None)
            raise
        made.set_result(body)
        if (left := began + FRESH_S - loop.time()) > 0:
            loop.call_later(left, self._drop, key, made)
        else:
            self._drop(key, made)
        return body

    def _drop(self, key: str, made: asyncio.Future[bytes | None]) -> None:
        if self._made.get(key) is made:
            del self._made[key]
