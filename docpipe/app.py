"""The composition root: builds everything from the configuration, and closes it in reverse."""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docpipe.activities.activities import Activities
from docpipe.activities.spool import FolderSpool
from docpipe.checkpoints import Checkpoints, open_database
from docpipe.config.config import Config
from docpipe.config.parsing import FAKE
from docpipe.engine.engine import Engine
from docpipe.engine.tracing import traced
from docpipe.errors import StateError, UsageError
from docpipe.gates import Observer, Quota, Service
from docpipe.model import Activity, Clock, RunIds
from docpipe.patients import PatientDatabase
from docpipe.runtime.activity_log import ActivityLog
from docpipe.runtime.retention import tidied
from docpipe.runtime.state_folder import StateFolder
from docpipe.search import SearchIndex
from docpipe.storage import Storage
from docpipe.wiring.activities import open_activities
from docpipe.wiring.backends import storage_folder
from docpipe.wiring.fleet import open_store
from docpipe.wiring.gates import Gates, open_gates, rates
from docpipe.wiring.notifications import make_notifier
from docpipe.wiring.workers import CONVERTER, conversion, make_workers
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers
from docpipe.workers.rooms import sweep

if TYPE_CHECKING:  # of the extra docpipe[fleet]
    from docpipe.gates.shared import QuotaStore
    from docpipe.notify import Notifier
    from docpipe.schedule import Scheduler

__all__ = ["CONVERTER", "Docpipe", "conversion", "make_workers", "opened"]

_PLAIN: Final[dict[str, Any]] = {
    **dict.fromkeys(("token", "client_secret", "client_assertion_key", "proxy_login")),
    **dict.fromkeys(("token_url", "client_id", "client_cert_file", "client_key_file", "proxy"), ""),
}
"""What is not for fakes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docpipe:
    """The running parts: the engine, and what the commands and the service read and change."""

    config: Config
    state: StateFolder
    engine: Engine
    checkpoints: Checkpoints
    activity_log: ActivityLog
    storage: Storage
    patients: PatientDatabase
    workers: Workers | InlineWorkers
    activities: Activities
    services: dict[str, Service]
    quotas: dict[str, Quota]
    observers: list[Observer]
    """Called with every attempt on the wire."""
    gates: Gates
    schedules: "Callable[[], Scheduler]"
    """Makes `scheduler`, always the same one."""
    notifier: "Notifier | None" = None
    """Notifies a receiver of ended runs, None where none is configured."""

    @property
    def index(self) -> SearchIndex | None:
        """Full-text search in the storage; None where `search.index` is false."""
        return self.activities.index

    @property
    def scheduler(self) -> "Scheduler":
        """Begins runs by plan while it is entered, which `docpipe serve` does."""
        return self.schedules()

    async def pause(self, name: str | None) -> None:
        """Pause a service, or everything if there is no name. A pause survives restarts.

        Requests in progress end; those in line for a service wait.

        Raises:
            UsageError: if there is no such service.
        """
        service = None if name is None else self._service(name)
        await self.checkpoints.pause(name or "")
        if service is not None:
            service.pause()
            return
        self.engine.pause()
        self.gates.pause(self.engine.paused_since or self.engine.clock())

    async def unpause(self, name: str | None) -> None:
        """Take back `pause`.

        Raises:
            UsageError: if there is no such service.
        """
        service = None if name is None else self._service(name)
        await self.checkpoints.unpause(name or "")
        if service is not None:
            service.unpause()
            return
        self.gates.unpause()
        self.engine.unpause()

    def _service(self, name: str) -> Service:
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
        store = await open_store(config, stack)
        config = await _with_fakes(config, stack)
        memory = await _memory(state, clock, stack)
        gates = await _gates(config, memory, store, rng, stack)
        workers = make_workers(config, clock, converter, inline=inline, rooms=state.spool)
        spool = FolderSpool(state.spool)
        opening = open_activities(config, gates, spool, workers, clock, trace_http=trace_http)
        activities = await stack.enter_async_context(opening)
        notifier = make_notifier(config, memory.checkpoints, activities.tracker.http, gates, clock)
        if notifier is not None:  # before the engine: it delivers the ends of runs until after its end
            await stack.enter_async_context(notifier)
        engine = await _engine(config, memory, activities, gates, rng, until=until, stack=stack)
        if notifier is not None:
            engine.listeners.append(notifier.changed)
        yield Docpipe(
            config=config,
            state=state,
            engine=engine,
            checkpoints=memory.checkpoints,
            activity_log=memory.activity_log,
            storage=activities.storage,
            patients=activities.patients.database,
            workers=workers,
            activities=activities,
            services=gates.services,
            quotas=gates.quotas,
            observers=gates.observers,
            gates=gates,
            schedules=functools.cache(
                functools.partial(
                    _scheduler, config, memory.checkpoints, activities.patients.database, engine
                )
            ),
            notifier=notifier,
        )


def _scheduler(
    config: Config, checkpoints: Checkpoints, patients: PatientDatabase, engine: Engine
) -> "Scheduler":
    from docpipe.wiring.schedules import make_scheduler  # noqa: PLC0415 -- only a service needs it

    return make_scheduler(config, checkpoints, patients, engine)


@dataclass(frozen=True, slots=True)
class _Memory:
    checkpoints: Checkpoints
    activity_log: ActivityLog
    clock: Clock


async def _memory(state: StateFolder, clock: Clock, stack: contextlib.AsyncExitStack) -> _Memory:
    checkpoints = await stack.enter_async_context(open_database(state.path, clock))
    await _sweep(state.spool, checkpoints)
    activity_log = await stack.enter_async_context(ActivityLog(state.path, clock))
    return _Memory(checkpoints, activity_log, clock)


async def _gates(
    config: Config,
    memory: _Memory,
    store: "QuotaStore | None",
    rng: random.Random,
    stack: contextlib.AsyncExitStack,
) -> Gates:
    bucket, checkpoints = storage_folder(config) is None, memory.checkpoints
    return await open_gates(config, checkpoints, memory.clock, rng, stack, storage=bucket, store=store)


async def _engine(
    config: Config,
    memory: _Memory,
    activities: Activities,
    gates: Gates,
    rng: random.Random,
    *,
    until: Activity | None,
    stack: contextlib.AsyncExitStack,
) -> Engine:
    """The engine, with retention and tracing."""
    clock, keep = activities.clock, config.state.keep
    engine = Engine(
        checkpoints=memory.checkpoints,
        activity_log=memory.activity_log,
        activities=activities,
        clock=clock,
        ids=RunIds(clock, rng, after=await memory.checkpoints.newest_run_id()),
        refresh=gates.refresh,
        paused=gates.pauses.get(""),
        until=until,
    )
    await stack.enter_async_context(tidied(memory.checkpoints, memory.activity_log, keep, clock))
    await stack.enter_async_context(traced(engine, gates.observers))
    return await stack.enter_async_context(engine)


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


async def _sweep(spool: Path, checkpoints: Checkpoints) -> None:
    """Remove from the spool what belongs to no unfinished run."""
    await asyncio.to_thread(sweep, spool, await checkpoints.unfinished_ids())
