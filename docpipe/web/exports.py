"""Makes charts in a worker of their own, one at a time, in a folder of the spool; nothing of them is kept."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from docpipe import chart
from docpipe.chart import Contents
from docpipe.errors import WorkerError
from docpipe.gates.local_trouble import trouble_of
from docpipe.web.problems import Problem, from_storage
from docpipe.web.source import Source
from docpipe.wiring.workers import make_workers

log = structlog.get_logger(__name__)

CHARTS: Final = 8
"""Requests for a chart at the same time: one is made, the others wait, or are being read."""
PACKAGES: Final = 8
"""ZIPs that are read at the same time."""
_BLOCK: Final = 256 * 2**10
_PREFIX: Final = "chart-"
"""Of the folders in the spool; after a crash the next start removes them."""
_NOT_MADE: Final = "The chart cannot be made of these documents. Download them as a ZIP instead."


class Places:
    """This many requests at the same time; more are refused, so that no line grows."""

    def __init__(self, most: int) -> None:
        self._left = most

    def refuse_when_full(self) -> None:
        """Raises Problem 503 where no place is left."""
        if not self._left:
            raise Problem(
                503,
                "Too many charts or downloads are being made for others: try again in a minute.",
                "busy",
                headers={"Retry-After": "60"},
            )

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold a place; raises Problem 503 where none is left."""
        self.refuse_when_full()
        self._left -= 1
        try:
            yield
        finally:
            self._left += 1


class Exports:
    """What makes charts, and how many readers of charts and ZIPs there may be."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._making = asyncio.Lock()
        self.charts = Places(CHARTS)
        self.packages = Places(PACKAGES)

    @contextlib.asynccontextmanager
    async def chart_of(self, contents: Contents) -> AsyncIterator[tuple[BinaryIO, int]]:
        """A chart, open for reading, and its size in bytes; it is gone afterwards.

        Raises:
            Problem: 503 where too many wait, the storage cannot be read, or the chart cannot be made.
        """
        async with self.charts.taken():
            with from_storage():
                file = await self._make(contents)
            with file:
                yield file, await asyncio.to_thread(file.seek, 0, 2)

    async def _make(self, contents: Contents) -> BinaryIO:
        """The file, which has no name any more."""
        spool = self._source.state.spool
        async with self._making:
            folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_PREFIX, dir=spool))
            try:
                return await self._written(contents, folder)
            except WorkerError as error:
                log.warning("chart_not_made", reason=type(error).__name__)
                raise Problem(503, _NOT_MADE, "chart") from error
            except OSError as error:
                if (trouble := trouble_of(error)) is None:
                    raise
                log.warning("chart_not_made", reason=error.strerror)
                why = trouble.problem.format(what="spool")
                raise Problem(503, f"The chart cannot be made now: {why}.", "chart") from error
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _written(self, contents: Contents, folder: Path) -> BinaryIO:
        source, target = self._source, folder / "chart.pdf"
        making = make_workers(
            source.config,
            converter=chart.TARGET,
            preload=chart.PRELOAD,
            inline=source.inline,
            rooms=folder,
            size=1,
        )
        async with making as workers:
            await chart.write_chart(source.storage, contents, target, workers, clock=source.clock)
        return await asyncio.to_thread(target.open, "rb")


async def pieces(file: BinaryIO) -> AsyncGenerator[bytes]:
    """A file from its beginning on, piece by piece."""
    await asyncio.to_thread(file.seek, 0)
    while piece := await asyncio.to_thread(file.read, _BLOCK):
        yield piece
