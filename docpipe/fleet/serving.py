"""The parts of `docpipe serve` on a fleet: runs, storage, patients, and the state of its services."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from temporalio.service import RPCError

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.config.config import Config
from docpipe.errors import ConfigError, UnreachableError, UsageError
from docpipe.fleet.board import Board
from docpipe.fleet.checks import refuse_unfit
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.indexing import Indexing
from docpipe.fleet.mirroring import EVERY_S, Mirroring
from docpipe.fleet.noledger import Nothing
from docpipe.fleet.opening import Fleet, open_fleet
from docpipe.fleet.planning import make_scheduler
from docpipe.fleet.queues import run_queue
from docpipe.fleet.replies import Replies
from docpipe.fleet.requests import notices_of
from docpipe.fleet.standings import RunSummaries
from docpipe.fleet.views import FleetRun
from docpipe.model import Activity, Clock
from docpipe.patients import PatientDatabase
from docpipe.runtime.activity_log import ActivityLog
from docpipe.runtime.state_folder import StateFolder
from docpipe.schedule import Scheduler
from docpipe.search import SearchIndex
from docpipe.storage import Storage
from docpipe.util.structs import prepare_structs
from docpipe.wiring.activities import open_search_index
from docpipe.wiring.backends import open_patients, open_storage, storage_folder
from docpipe.wiring.fleet import open_store
from docpipe.wiring.gates import Gates, open_gates

log = structlog.get_logger(__name__)

_PATIENCE_S: Final = 10.0
"""So long a request waits for Temporal; commands wait longer."""
_AWAY: Final = "Temporal does not answer: runs continue where they can, and this page as soon as it is back."
_T = TypeVar("_T")


@dataclass(slots=True, eq=False, kw_only=True)
class FleetServing:
    """The open parts, and what is done with runs. Methods raise UnreachableError where Temporal is away."""

    config: Config
    state: StateFolder
    fleet: Fleet
    gates: Gates
    storage: Storage
    patients: PatientDatabase
    index: SearchIndex | None
    activity_log: ActivityLog
    clock: Clock
    runs: FleetRuns
    mirror: Mirroring
    standings: RunSummaries
    replies: Replies
    board: Board
    scheduler: Scheduler
    pollers: dict[str, float] = field(default_factory=dict)
    """The workers that ask Temporal for runs, with when each last did."""
    stopping: bool = False
    read: bool = False
    """Whether somebody reads the events."""

    async def asked(self, answer: Awaitable[_T]) -> _T:
        """The answer of Temporal, if it comes soon."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await answer
        except (TimeoutError, RPCError) as error:
            raise UnreachableError(_AWAY) from error

    async def stored(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Those of these runs that are known, the oldest first; one that is not is looked for in Temporal."""
        missing = [run_id for run_id in run_ids if self.mirror.run(run_id) is None]
        for run_id in missing[:1]:  # many that are unknown are not of this fleet
            await self.mirror.learn(await self.asked(self.runs.runs(run_id)))
        return await self.mirror.rows.runs(run_ids)

    async def _run(self, run_id: str) -> FleetRun:
        await self.stored([run_id])
        if (run := self.mirror.run(run_id)) is None:
            raise UsageError(f"There is no run {run_id}.")
        return run

    async def steps(self, run_id: str) -> list[StoredStep]:
        """The activities of a run; none where it is unfinished, and no worker answers."""
        run = await self._run(run_id)
        try:
            return await self.asked(self.runs.steps(run))
        except UnreachableError:
            if run.stored.state.finished or not await self.answers():
                raise
            return []

    async def accept(self, patient_ids: Sequence[str], priority: int) -> list[tuple[StoredRun, bool]]:
        """Begin runs, each with whether it is new; a patient with an unfinished run keeps that."""
        accepted = await self.runs.accept(patient_ids, priority)
        await self.mirror.learn(run for run, _ in accepted)
        return [(run.stored, new) for run, new in accepted]

    async def cancel(self, run_id: str) -> StoredRun:
        """Cancel a run; returned as it stands then."""
        run = await self._run(run_id)
        await self.asked(self.runs.cancel(run))
        await self.standings.look([run_id], 0.0)
        return await self._as_it_stands(run_id)

    async def retry(self, run_id: str, first: Activity | None) -> StoredRun:
        """Retry a finished run; see `FleetRuns.retry`."""
        again = await self.asked(self.runs.retry(await self._run(run_id), first))
        await self.mirror.learn([again])
        return again.stored

    async def _as_it_stands(self, run_id: str) -> StoredRun:
        (stored,) = await self.mirror.rows.runs([run_id])
        now = self.standings.of(stored)
        return stored if now is None else now.run

    async def count_notices(self, status: str) -> int:
        """How many notifications have this status; see `notices_of`."""
        return await self.asked(notices_of(self.fleet.client, run_queue(self.config.fleet.prefix), status))

    async def answers(self) -> bool:
        """Whether Temporal does."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self.fleet.client.service_client.check_health(timeout=timedelta(seconds=3))
        except (RPCError, RuntimeError, TimeoutError):
            return False

    async def check(self) -> None:
        """Whether Temporal answers.

        Raises:
            UnreachableError: if not.
        """
        if not await self.answers():
            raise UnreachableError(_AWAY)

    async def attend(self) -> None:
        """Learn from Redis how services, quotas and workers stand, for ever."""
        store = self.gates.store
        while True:
            try:
                for look in store.looks if store else ():
                    look()
                await self.board.read()
            except UnreachableError as error:  # the page shows it
                log.debug("quota_store_not_reached", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def follow(self) -> None:
        """Ask Temporal which workers ask it for work, and for the runs that somebody looks at, for ever."""
        while True:
            try:
                self.pollers = await self.asked(self.runs.pollers())
                await self.standings.keep(read=self.read)
            except UnreachableError as error:  # the page shows it
                log.debug("temporal_not_reached", reason=str(error))
            except ConfigError as error:  # a key is missing: the others are served
                log.warning("runs_not_asked", reason=str(error))
            await asyncio.sleep(EVERY_S)


@contextlib.asynccontextmanager
async def open_serving(config: Config, *, clock: Clock = time.time) -> AsyncIterator[FleetServing]:
    """Open what serves a fleet; its runs are kept up to date until the end of the block.

    Args:
        config: the configuration; `fleet.temporal` is set.
        clock: the wall clock.

    Raises:
        ConfigError: if a value of the configuration cannot be used.
        StateError: if the state folder, the storage or Temporal cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        state = stack.enter_context(StateFolder(config.state_dir))
        store = await open_store(config, stack)
        assert store is not None  # noqa: S101 -- the configuration is refused without
        bucket = storage_folder(config) is None
        gates = await open_gates(
            config, Nothing(), clock, random.Random(), stack, storage=bucket, store=store
        )
        fleet = await stack.enter_async_context(open_fleet(config, gates.storage))
        await refuse_unfit(config, fleet, store)
        storage = open_storage(config, gates.storage)
        stack.push_async_callback(storage.close)
        notify, prefix = bool(config.notify.url), config.fleet.prefix
        runs = FleetRuns(fleet.client, fleet.keys, prefix, clock, notify=notify, patience=_PATIENCE_S)
        mirror = Mirroring(runs)
        stack.push_async_callback(mirror.rows.close)
        patients = await stack.enter_async_context(open_patients(config))
        serving = FleetServing(
            config=config,
            state=state,
            fleet=fleet,
            gates=gates,
            storage=storage,
            patients=patients,
            index=await open_search_index(config, storage, stack),
            activity_log=await stack.enter_async_context(ActivityLog(state.path, clock)),
            clock=clock,
            runs=runs,
            mirror=mirror,
            standings=RunSummaries(runs, mirror),
            replies=Replies(fleet.blobs, fleet.keys, config.fleet.prefix, clock),
            board=Board(store, gates, state.path),
            scheduler=make_scheduler(config, fleet, gates, patients=patients, runs=runs, mirror=mirror),
        )
        indexing = None
        if serving.index is not None:
            indexing = Indexing(serving.index, storage, mirror, state.path)
        await mirror.load()
        prepare_structs()
        works = [mirror.keep(), serving.follow(), serving.attend(), *([indexing.keep()] if indexing else [])]
        for work in works:
            stack.push_async_callback(_ended, asyncio.create_task(work))
        with contextlib.suppress(UnreachableError):  # then nothing begins
            await serving.board.read()  # all may be paused
        await stack.enter_async_context(serving.scheduler)
        yield serving


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
