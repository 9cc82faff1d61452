"""Start and stop the fakes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from fakes.archives import ArchiveOrigin
from fakes.clock import Clock
from fakes.docex import DocExchange
from fakes.documents.shelf import Shelf
from fakes.faults import Fault, Faults
from fakes.fhir import FhirServer, FileOrigin
from fakes.front import Front, World
from fakes.journal import Journal
from fakes.oauth2 import OAuth2Server
from fakes.options import FakeOptions
from fakes.tokens import Tokens
from fakes.tracker import TaskTracker

_BACKLOG: Final = 4096
"""A thousand clients that connect at once must not wait for a second SYN."""
_GRACE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Running:
    """The fakes while they are up."""

    docex_url: str
    tracker_url: str
    archive_url: str
    """The origin of the downloads; docpipe learns of it through redirects only."""
    docex: DocExchange
    tracker: TaskTracker
    archive: ArchiveOrigin
    oauth2: OAuth2Server | None
    world: World
    fhir_url: str
    fhir: FhirServer
    fhir_files: FileOrigin

    def add_fault(self, fault: Fault | str) -> None:
        """Put a fault in force, at whichever server its operation is."""
        self.docex.add_fault(fault)

    def clear_faults(self) -> None:
        """Let everything work again."""
        self.world.faults.clear()

    def skip(self, seconds: float) -> None:
        """Let searches and links grow older at once; quotas and faults go by the event loop's clock alone."""
        self.world.clock.skip(seconds)

    def count_429(self) -> int:
        """How many requests were over a quota, at all servers."""
        return (
            self.docex.count_429()
            + self.tracker.count_429()
            + self.archive.count_429()
            + self.fhir.count_429()
        )


@contextlib.asynccontextmanager
async def serve(options: FakeOptions | None = None) -> AsyncIterator[Running]:
    """Serve until the block ends. OSError where a port or the state file is in use."""
    options = options or FakeOptions()
    clock = Clock(options.wall_clock)
    faults = Faults(random.Random(f"faults:{options.seed}"))
    faults.add_all(options.faults, clock.start)
    async with contextlib.AsyncExitStack() as stack:
        journal = Journal(options.state)
        stack.callback(journal.close)
        shelf = Shelf(options.seed, options.mix, options.documents)
        stack.callback(shelf.close)
        rng = random.Random(f"latency:{options.seed}")
        tokens, guarded = Tokens(clock, options.oauth2_seconds), options.oauth2_port is not None
        world = World(options, clock, journal, faults, asyncio.Event(), rng, tokens, guarded)
        docex = DocExchange(world, shelf)
        tracker = TaskTracker(world)
        archive = ArchiveOrigin(world, docex, shelf)
        docex.archive_port = await _listen(stack, archive, options.host, options.archive_port)
        docex_port = await _listen(stack, docex, options.host, options.docex_port)
        tracker_port = await _listen(stack, tracker, options.host, options.tracker_port)
        fhir = FhirServer(world, shelf)
        files = FileOrigin(world, fhir)
        if options.fhir.elsewhere:
            fhir.file_port = await _listen(stack, files, options.host, 0)
        fhir_port = await _listen(stack, fhir, options.host, options.fhir.port)
        oauth2 = await _oauth2(stack, world)
        stack.callback(world.closing.set)  # first of all, so that what hangs lets go
        yield Running(
            docex_url=_url(options.host, docex_port),
            tracker_url=_url(options.host, tracker_port),
            archive_url=_url(options.host, docex.archive_port),
            docex=docex,
            tracker=tracker,
            archive=archive,
            oauth2=oauth2,
            world=world,
            fhir_url=f"{_url(options.host, fhir_port)}/fhir",
            fhir=fhir,
            fhir_files=files,
        )


async def _oauth2(stack: contextlib.AsyncExitStack, world: World) -> OAuth2Server | None:
    options = world.options
    if options.oauth2_port is None:
        return None
    server = OAuth2Server(world)
    server.url = (
        f"{_url(options.host, await _listen(stack, server, options.host, options.oauth2_port))}/token"
    )
    return server


async def _listen(stack: contextlib.AsyncExitStack, front: Front, host: str, port: int) -> int:
    runner = web.AppRunner(front.app(), access_log=None, shutdown_timeout=_GRACE_S)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
    await site.start()
    return site.port


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
