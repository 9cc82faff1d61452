"""The composition root: builds everything from the configuration, and closes it in reverse."""

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from docpipe.activities.activities import Activities, Exchange
from docpipe.archive.extract import Limits
from docpipe.checkpoints import Checkpoints, open_database
from docpipe.config.config import Config
from docpipe.config.parsing import FAKE
from docpipe.engine.engine import Engine
from docpipe.engine.tracing import traced
from docpipe.errors import StateError, UnreachableError, UsageError
from docpipe.gates import Observer, Quota, Service
from docpipe.gates.line import Slots
from docpipe.http import Credentials, Har, Http, origin_of
from docpipe.model import Activity, Clock, Json, RunIds
from docpipe.patients import PatientDatabase
from docpipe.patients.lookup import Lookup
from docpipe.runtime.activity_log import ActivityLog
from docpipe.runtime.retention import tidied
from docpipe.runtime.state_folder import StateFolder
from docpipe.sources.docex.download import Downloader
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.sources.docex.retrieve import ArchiveExchange
from docpipe.storage import Storage
from docpipe.tasks.tracker import TaskTracker
from docpipe.wiring.backends import open_patients, open_storage, storage_folder
from docpipe.wiring.credentials import open_access, open_ways
from docpipe.wiring.gates import Gates, open_gates, rates
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.machine import default_workers
from docpipe.workers.pool import Workers

log = structlog.get_logger(__name__)

CONVERTER: Final = "docpipe.convert.document:convert"
_PLAIN: Final[dict[str, Any]] = {
    **dict.fromkeys(("token", "client_secret", "client_assertion_key", "proxy_login")),
    **dict.fromkeys(("token_url", "client_id", "client_cert_file", "client_key_file", "proxy"), ""),
}
"""What is not for fakes."""
PRELOAD: Final = "docpipe.convert.preload"


@dataclass(frozen=True, slots=True)
class Docpipe:
    """What is running: the engine, and what its faces look at."""

    config: Config
    state: StateFolder
    engine: Engine
    checkpoints: Checkpoints
    storage: Storage
    patients: PatientDatabase
    workers: Workers | InlineWorkers
    activities: Activities
    services: dict[str, Service]
    quotas: dict[str, Quota]
    observers: list[Observer]
    """Told of every attempt on the wire."""

    async def pause(self, name: str | None) -> None:
        """Pause a service (nobody is sent to it), or with no name everything; it stays so through restarts.

        Raises:
            UsageError: if there is no such service.
        """
        paused = self._pausable(name)
        await self.checkpoints.pause(name or "")
        paused.pause()

    async def unpause(self, name: str | None) -> None:
        """Take back `pause`.

        Raises:
            UsageError: if there is no such service.
        """
        paused = self._pausable(name)
        await self.checkpoints.unpause(name or "")
        paused.unpause()

    def _pausable(self, name: str | None) -> Engine | Service:
        if name is None:
            return self.engine
        if name not in self.services:
            raise UsageError(f"There is no service {name!r}; there are {', '.join(self.services)}.")
        return self.services[name]

    def use_rates(self, config: Config) -> list[str]:
        """Take over the rates of a new configuration; returns what changed. The rest needs a restart."""
        changed = []
        for name, rate in rates(config).items():
            if rate != self.quotas[name].rate:
                changed.append(f"{name}: {self.quotas[name].rate or 'none'} to {rate or 'none'}")
                self.quotas[name].set_rate(rate)
        return changed


@contextlib.asynccontextmanager
async def opened(
    config: Config,
    *,
    clock: Clock = time.time,
    rng: random.Random | None = None,
    converter: str = CONVERTER,
    inline: bool = False,
    until: Activity | None = None,
    trace_http: Path | None = None,
) -> AsyncIterator[Docpipe]:
    """Build everything and hold it open.

    Args:
        config: the configuration.
        clock: the wall clock.
        rng: spreads retries and makes run ids.
        converter: `module:function` that converts a document.
        inline: whether it runs inside this process, without limits, instead of in worker processes.
        until: the last activity that runs may begin.
        trace_http: a file for every HTTP exchange, as HAR.

    Raises:
        ConfigError: if a value of the configuration cannot be used.
        StateError: if the state folder or the storage cannot be used.
    """
    rng = rng or random.Random()
    async with contextlib.AsyncExitStack() as stack:
        state = stack.enter_context(StateFolder(config.state_dir))
        config = await _with_fakes(config, stack)
        memory = await _memory(state, clock, stack)
        bucket = storage_folder(config) is None
        gates = await open_gates(config, memory.checkpoints, clock, rng, stack, storage=bucket)
        storage = await _storage(config, gates, stack)
        patients = await stack.enter_async_context(open_patients(config))
        http = await stack.enter_async_context(Http(_har(trace_http, stack), open_ways(config)))
        workers = make_workers(config, clock, converter, inline=inline)
        await stack.enter_async_context(workers)
        access = open_access(config, http, gates, clock)
        activities = Activities(
            patients=Lookup(patients, gates.patients, Slots(config.patients.pool, clock)),
            exchange=_exchange(config, http, gates, clock, access.docex, spool=state.spool),
            tracker=TaskTracker(http, config.tasktracker, gates.tracker, clock, access.tracker),
            downloads=Slots(config.docex.max_downloads, clock),
            workers=workers,
            storage=storage,
            spool=state.spool,
            clock=clock,
            conversion=conversion(config),
        )
        engine = await _engine(
            config, memory, activities, gates, RunIds(clock, rng), until=until, stack=stack
        )
        yield Docpipe(
            config,
            state,
            engine,
            memory.checkpoints,
            storage,
            patients,
            workers,
            activities,
            gates.services,
            gates.quotas,
            gates.observers,
        )


def _har(path: Path | None, stack: contextlib.AsyncExitStack) -> Har | None:
    if path is None:
        return None
    try:
        return stack.enter_context(Har(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


@dataclass(frozen=True, slots=True)
class _Memory:
    checkpoints: Checkpoints
    activity_log: ActivityLog


async def _memory(state: StateFolder, clock: Clock, stack: contextlib.AsyncExitStack) -> _Memory:
    checkpoints = await stack.enter_async_context(open_database(state.path, clock))
    await _sweep(state.spool, checkpoints)
    return _Memory(checkpoints, await stack.enter_async_context(ActivityLog(state.path, clock)))


async def _engine(
    config: Config,
    memory: _Memory,
    activities: Activities,
    gates: Gates,
    ids: RunIds,
    *,
    until: Activity | None,
    stack: contextlib.AsyncExitStack,
) -> Engine:
    """The engine, with what goes on beside it."""
    clock, keep = activities.clock, config.state.keep
    engine = Engine(
        checkpoints=memory.checkpoints,
        activity_log=memory.activity_log,
        activities=activities,
        clock=clock,
        ids=ids,
        refresh=gates.refresh,
        paused=gates.pauses.get(""),
        until=until,
    )
    await stack.enter_async_context(tidied(memory.checkpoints, memory.activity_log, keep, clock))
    await stack.enter_async_context(traced(engine, gates.observers))
    return await stack.enter_async_context(engine)


async def _storage(config: Config, gates: Gates, stack: contextlib.AsyncExitStack) -> Storage:
    """The storage, tried; one that does not answer now is waited for by whoever needs it."""
    storage = open_storage(config, gates.storage)
    stack.push_async_callback(storage.close)
    try:
        await storage.check()
    except UnreachableError as error:
        log.warning("storage_not_reached", reason=str(error))
    return storage


async def _with_fakes(config: Config, stack: contextlib.AsyncExitStack) -> Config:
    """Start the fake services where the configuration asks for them, and point it at them."""
    if FAKE not in (config.docex.base_url, config.tasktracker.base_url):
        return config
    import fakes  # noqa: PLC0415 -- only a first try needs it

    options = fakes.FakeOptions(state=config.state_dir / "fakes.db")
    try:
        running = await stack.enter_async_context(fakes.serve(options))
    except OSError as error:
        raise StateError(f"The fake services cannot start: {error}.") from error
    docex, tracker = config.docex, config.tasktracker
    if docex.base_url == FAKE:
        url = running.fhir_url if docex.kind == "fhir" else running.docex_url
        docex = replace(docex, base_url=url, **_PLAIN)
    if tracker.base_url == FAKE:
        tracker = replace(tracker, base_url=running.tracker_url, **_PLAIN)
    return replace(config, docex=docex, tasktracker=tracker)


def conversion(config: Config) -> Json:
    """What every job of the converter says beside its document."""
    languages = config.convert.languages if config.convert.ocr else ()
    return {"seconds": config.convert.timeout, "languages": languages}


def make_workers(
    config: Config, clock: Clock = time.time, converter: str = CONVERTER, *, inline: bool = False
) -> Workers | InlineWorkers:
    """The workers that the configuration asks for; not yet entered."""
    convert = config.convert
    if inline:
        return InlineWorkers(converter, clock=clock)
    return Workers(
        converter,
        preload=PRELOAD,
        size=convert.workers or default_workers(convert.memory),
        memory=convert.memory,
        timeout=convert.timeout,
        clock=clock,
    )


def _exchange(
    config: Config, http: Http, gates: Gates, clock: Clock, credentials: Credentials, *, spool: Path
) -> Exchange:
    docex = config.docex
    if docex.kind == "fhir":
        # Whoever has another exchange does not wait for its import.
        from docpipe.sources.fhir.exchange import FhirExchange  # noqa: PLC0415
        from docpipe.sources.fhir.wire import Wire  # noqa: PLC0415

        wire = Wire(http, docex, gates.searching, gates.asking, gates.archives, credentials)
        return FhirExchange(wire, spool, clock)
    exchange = DocumentExchange(http, docex, gates.searching, gates.asking, clock, credentials)
    return ArchiveExchange(exchange, _downloader(config, gates, exchange), Limits(), clock)


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


async def _sweep(spool: Path, checkpoints: Checkpoints) -> None:
    """Remove from the spool what belongs to no unfinished run."""
    kept = await checkpoints.unfinished_ids()

    def sweep() -> None:
        for folder in spool.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    await asyncio.to_thread(sweep)
