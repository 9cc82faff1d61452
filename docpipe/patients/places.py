"""The number of connections that a database grants: a pooler before it may have fewer than the pool."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

log = structlog.get_logger(__name__)

ANOTHER_S: Final = 600.0
"""After so many seconds one place more is tried: the database may only have been slow."""


class Places:
    """Places for work on connections; one fewer after each that ran out of time while another was served.

    PgBouncer accepts any number of clients and lets those beyond its own pool wait without a word, in session
    mode for as long as the others keep their connections.

    Args:
        most: connections of the pool.
    """

    def __init__(self, most: int) -> None:
        self.most = self._all = most
        self._lowered = 0.0
        self._busy = 0
        self._served = 0
        self._changed = asyncio.Condition()

    @property
    def scarce(self) -> bool:
        """Whether there are fewer than connections of the pool; then none may be kept unused."""
        return self.most < self._all

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it.

        Raises:
            TimeoutError: that of the work; where others were served meanwhile, one place is given up.
        """
        now = asyncio.get_running_loop().time
        if self.most < self._all and now() >= self._lowered + ANOTHER_S:
            self.most, self._lowered = self.most + 1, now()
        async with self._changed:
            await self._changed.wait_for(lambda: self._busy < self.most)
            self._busy += 1
        served = self._served
        try:
            yield
            self._served += 1
        except TimeoutError:
            if self._served > served and self.most > 1:
                self.most, self._lowered = self.most - 1, now()
                log.warning(
                    "patients_pool_lowered",
                    places=self.most,
                    cure="set patients.pool to at most the connections that the pooler has for docpipe",
                )
            raise
        finally:
            self._busy -= 1
            async with self._changed:
                self._changed.notify_all()
