"""Answers that many people ask for at about the same time are made once.

What an answer tells may be as old as `FRESH_S`, as what comes over the network is anyway. It is never older
than a change that was made through the API and answered, nor than what the events have told: both call
`outdate`. So whoever changes something sees it, and whoever reads the events never loads something older.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

FRESH_S: Final = 0.5


class Shared:
    """The bodies of the last moment, each by the path and query that it answers."""

    def __init__(self) -> None:
        self._made: dict[str, asyncio.Future[bytes | None]] = {}
        """Done when the body is made; with None where whoever made it failed, or left."""

    def outdate(self) -> None:
        """Something has changed: what was made before is given to nobody who asks from now on."""
        self._made.clear()

    async def of(self, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The body for a key; made by the first who asks for it. Whoever fails does so alone."""
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
