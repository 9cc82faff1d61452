"""The activities with all their dependencies, independent of the engine."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from docpipe.activities.activities import Activities, Exchange
from docpipe.archive.limits import Limits
from docpipe.config.config import Config
from docpipe.errors import UnreachableError, UsageError
from docpipe.gates.line import Slots
from docpipe.http import Credentials, Har, Http, origin_of
from docpipe.model import Clock, Spool
from docpipe.patients.lookup import Lookup
from docpipe.search import SearchIndex, open_index
from docpipe.sources.docex.download import Downloader
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.sources.docex.owners import Owners
from docpipe.sources.docex.retrieve import ArchiveExchange
from docpipe.storage import Storage
from docpipe.storage.privacy import mode_for_others
from docpipe.tasks.tracker import TaskTracker
from docpipe.util.structs import prepare_structs
from docpipe.wiring.backends import index_path, open_patients, open_storage, storage_folder
from docpipe.wiring.credentials import open_access, open_transports
from docpipe.wiring.gates import Gates
from docpipe.wiring.workers import conversion
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers
from docpipe.workers.unpacking import ROOMS, Unpacker, make_unpacker

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def open_activities(
    config: Config,
    gates: Gates,
    spool: Spool,
    workers: Workers | InlineWorkers,
    clock: Clock,
    *,
    trace_http: Path | None = None,
) -> AsyncIterator[Activities]:
    """Open what the activities use, and close it in reverse.

    Args:
        config: the configuration; its services have addresses.
        gates: what requests pass.
        spool: where files are that are not stored yet.
        workers: what converts documents, not entered yet.
        clock: the wall clock.
        trace_http: a file for every HTTP exchange, as HAR.

    Raises:
        ConfigError: if a value of the configuration cannot be used.
        StateError: if the storage cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        storage = await _storage(config, gates, stack)
        patients = await stack.enter_async_context(open_patients(config))
        http = await stack.enter_async_context(Http(_har(trace_http, stack), open_transports(config)))
        await stack.enter_async_context(workers)
        unpacker = make_unpacker(
            spool.path(ROOMS),
            clock,
            inline=isinstance(workers, InlineWorkers),
            file=config.convert.file_size,
        )
        await stack.enter_async_context(unpacker)
        access = open_access(config, http, gates, clock)
        exchange = _exchange(config, http, gates, access.docex, _Local(spool, unpacker, clock))
        prepare_structs()  # all that these need is loaded now
        yield Activities(
            patients=Lookup(patients, gates.patients, Slots(config.patients.pool, clock)),
            exchange=exchange,
            tracker=TaskTracker(http, config.tasktracker, gates.tracker, clock, access.tracker),
            downloads=Slots(config.docex.max_downloads, clock),
            workers=workers,
            storage=storage,
            spool=spool,
            clock=clock,
            conversion=conversion(config, inline=isinstance(workers, InlineWorkers)),
            index=await open_search_index(config, storage, stack),
        )


def _har(path: Path | None, stack: contextlib.AsyncExitStack) -> Har | None:
    if path is None:
        return None
    try:
        return stack.enter_context(Har(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


async def _storage(config: Config, gates: Gates, stack: contextlib.AsyncExitStack) -> Storage:
    """The storage, after one try; runs wait for one that does not answer."""
    storage = open_storage(config, gates.storage)
    stack.push_async_callback(storage.close)
    folder = storage_folder(config)
    if folder is not None and mode_for_others(folder) is not None:
        log.warning("storage_open_to_others", folder=str(folder), cure=f"chmod o-rwx {folder}")
    try:
        await storage.check()
    except UnreachableError as error:
        log.warning("storage_not_reached", reason=str(error))
    return storage


async def open_search_index(
    config: Config, storage: Storage, stack: contextlib.AsyncExitStack
) -> SearchIndex | None:
    """The search index, made where there is none."""
    if not config.search.index:
        return None
    index = await stack.enter_async_context(open_index(index_path(config), storage))
    await index.create()
    return index


@dataclass(frozen=True, slots=True)
class _Local:
    """What an exchange has of this machine."""

    spool: Spool
    unpacker: Unpacker
    clock: Clock


def _exchange(config: Config, http: Http, gates: Gates, credentials: Credentials, here: _Local) -> Exchange:
    docex, clock = config.docex, here.clock
    limits = Limits(member=config.convert.file_size, total=config.convert.total_size)
    if docex.kind == "fhir":
        # Imported only where it is configured.
        from docpipe.sources.fhir.exchange import FhirExchange  # noqa: PLC0415
        from docpipe.sources.fhir.wire import Wire  # noqa: PLC0415

        wire = Wire(http, docex, gates.searching, gates.polling, gates.archives, credentials)
        return FhirExchange(wire, here.spool, clock, here.unpacker, limits)
    exchange = DocumentExchange(
        http, docex, gates.searching, gates.polling, clock, credentials, Owners(clock)
    )
    return ArchiveExchange(exchange, _downloader(config, gates, exchange), here.unpacker, limits, clock)


def _downloader(config: Config, gates: Gates, exchange: DocumentExchange) -> Downloader:
    home = origin_of(config.docex.base_url)
    others = config.docex.archive_origins

    def allowed(origin: str) -> bool:
        return origin == home or not others or origin in others

    return Downloader(
        http=exchange.http,
        config=config.docex,
        credentials=exchange.credentials,
        gate_of=gates.archives,
        allowed=allowed,
        clock=exchange.clock,
    )
