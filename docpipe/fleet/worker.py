"""`docpipe worker`: performs activities of the fleet's runs, and drains when it is stopped."""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import msgspec
import structlog
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from docpipe import __version__
from docpipe.config.config import Config
from docpipe.errors import UnreachableError
from docpipe.fleet.activities import FleetActivities
from docpipe.fleet.board import EVERY_S, Board, Converters, Presence, attended
from docpipe.fleet.checks import refuse_unfit
from docpipe.fleet.flow import RetrievePatient
from docpipe.fleet.noledger import Nothing
from docpipe.fleet.notices import NotifyEnd
from docpipe.fleet.opening import open_fleet
from docpipe.fleet.probes import Probes, listening
from docpipe.fleet.queues import COMPUTE_S, PIPELINE, Queue, run_queue, slots_of, task_queue
from docpipe.fleet.spool import BucketSpool
from docpipe.fleet.tidying import tidy_once
from docpipe.model import Clock
from docpipe.runtime.activity_log import ActivityLog
from docpipe.runtime.state_folder import StateFolder
from docpipe.wiring.activities import open_activities
from docpipe.wiring.backends import storage_folder
from docpipe.wiring.fleet import open_store
from docpipe.wiring.gates import Gates, open_gates
from docpipe.wiring.notifications import make_delivery
from docpipe.wiring.workers import CONVERTER, make_workers
from docpipe.workers.machine import default_workers

log = structlog.get_logger(__name__)

STOP_S: Final = 8.0
"""Seconds that activities under way may take to end when a worker stops."""
_TICK_S: Final = 1.0
_TIDY_EVERY: Final = 300
_TIDY_STORAGE_EVERY: Final = 3600
_CACHED: Final = 400
"""Runs whose course a worker keeps in memory, at about 0.2 MiB each; the others are replayed."""
_POLLING: Final = PollerBehaviorAutoscaling(minimum=2, initial=5, maximum=20)
"""The SDK's 5 polls leave one for runs that are not in memory: with 2,000 that wait, some had their turn
minutes later."""
_POLLS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetWorker:
    """A running worker."""

    config: Config
    client: Client
    gates: Gates
    fleet_activities: FleetActivities
    name: str
    queues: Sequence[Queue]


@contextlib.asynccontextmanager
async def working(
    config: Config,
    queues: Sequence[Queue] = tuple(Queue),
    *,
    clock: Clock = time.time,
    converter: str = CONVERTER,
    inline: bool = False,
    pipeline: int = PIPELINE,
) -> AsyncIterator[FleetWorker]:
    """Open a worker, and let it work until the end of the block; then what is under way ends or is given up.

    Args:
        config: the configuration; `fleet.temporal` is set.
        queues: whose activities it does. Each worker decides on the course of runs, too.
        clock: the wall clock.
        converter: `module:function` that converts a document.
        inline: whether it runs inside this process, without limits.
        pipeline: the release of the pipeline whose runs it continues.

    Raises:
        ConfigError: if a value of the configuration cannot be used.
        StateError: if the state folder, the storage or Temporal cannot be used.
    """
    rng = random.Random()
    async with contextlib.AsyncExitStack() as stack:
        state = stack.enter_context(StateFolder(config.state_dir))
        store = await open_store(config, stack)
        bucket = storage_folder(config) is None
        gates = await open_gates(config, Nothing(), clock, rng, stack, storage=bucket, store=store)
        fleet = await stack.enter_async_context(open_fleet(config, gates.storage))
        await refuse_unfit(config, fleet, store)
        spool = await fleet.open_spool(state.spool)
        workers = make_workers(config, clock, converter, inline=inline, rooms=state.spool)
        alone = replace(config, search=replace(config.search, index=False))  # an index has one writer
        activities = await stack.enter_async_context(open_activities(alone, gates, spool, workers, clock))
        activity_log = await stack.enter_async_context(ActivityLog(state.path, clock))
        delivery = make_delivery(config, activities.tracker.http, gates, clock)
        fleet_activities = FleetActivities(fleet.client, activities, activity_log, delivery)
        name = f"{socket.gethostname()}:{os.getpid()}"
        worker = FleetWorker(
            config=config,
            client=fleet.client,
            gates=gates,
            fleet_activities=fleet_activities,
            name=name,
            queues=queues,
        )
        if config.fleet.probes:
            probes = Probes(fleet.client, gates, fleet_activities)
            await stack.enter_async_context(listening(probes, config.fleet.probes))
        ticking = asyncio.create_task(_tick(worker, spool), name="tick")
        stack.callback(ticking.cancel)
        if store is not None:
            await stack.enter_async_context(_present(worker, Board(store, gates, state.path)))
        for temporal_worker in _workers(worker, pipeline):
            await stack.enter_async_context(temporal_worker)
        stack.callback(fleet_activities.stopping.set)
        log.info("worker_started", name=name, queues=[str(queue) for queue in queues])
        yield worker


@contextlib.asynccontextmanager
async def _present(worker: FleetWorker, board: Board) -> AsyncIterator[None]:
    """Let the fleet know of this worker, and obey what is paused."""
    since = worker.fleet_activities.activities.clock()

    async def post() -> None:
        while True:
            await attended(board, _presence(worker, since))
            await asyncio.sleep(EVERY_S)

    await attended(board, _presence(worker, since))  # before it does anything
    posting = asyncio.create_task(post(), name="post")
    try:
        yield
    finally:
        posting.cancel()
        await asyncio.wait([posting])
        with contextlib.suppress(UnreachableError):
            await board.leave(worker.name)


def _presence(worker: FleetWorker, since: float) -> Presence:
    fleet_activities, lines = worker.fleet_activities, worker.gates.quotas
    return Presence(
        name=worker.name,
        queues=[str(queue) for queue in worker.queues],
        since=since,
        version=__version__,
        doing=dict(Counter(fleet_activities.under_way.values())),
        in_line={name: quota.waiting for name, quota in lines.items() if quota.waiting},
        converters=msgspec.convert(
            fleet_activities.activities.workers.snapshot(), Converters, from_attributes=True
        ),
        stopping=fleet_activities.stopping.is_set(),
    )


async def _tick(worker: FleetWorker, spool: BucketSpool) -> None:
    """Keep the places in line up to date, and this machine's spool free of ended runs."""
    ticks = 0
    while True:
        await asyncio.sleep(_TICK_S)
        worker.gates.refresh()
        ticks += 1
        if ticks % _TIDY_EVERY == 0:
            try:
                await spool.tidy(worker.fleet_activities.busy)
            except OSError as error:
                log.warning("spool_not_tidied", reason=error.strerror)
        if ticks % _TIDY_STORAGE_EVERY == 0:
            await tidy_once(worker.client, spool.blobs, worker.config.fleet.prefix)


def _be_patient(worker: Worker) -> None:
    """Let the next steps of a run be computed for `COMPUTE_S`.

    The SDK takes a run for deadlocked after 2 s, without an option. 10,000 documents take a second of CPU, so
    that on a busy machine their run would be computed anew for ever. Nothing in a run can block.
    """
    computing = worker._workflow_worker  # noqa: SLF001 -- a test fails where the SDK names it otherwise
    if computing is not None:
        computing._deadlock_timeout_seconds = COMPUTE_S  # noqa: SLF001


def _workers(worker: FleetWorker, pipeline: int) -> list[Worker]:
    """A worker of the runs' workflows, and one for each task queue."""
    config, client = worker.config, worker.client
    convert, prefix = config.convert, config.fleet.prefix
    made = [
        Worker(
            client,
            task_queue=run_queue(prefix, pipeline),
            workflows=[RetrievePatient, NotifyEnd],
            workflow_runner=UnsandboxedWorkflowRunner(),  # the pipeline is held to its rules by a test
            identity=worker.name,
            max_cached_workflows=_CACHED,
            workflow_task_poller_behavior=_POLLING,
        )
    ]
    _be_patient(made[0])
    conversions = convert.workers or default_workers(convert.memory)
    for queue in worker.queues:
        for slots in slots_of(queue, downloads=config.docex.max_downloads, conversions=conversions):
            if not (works := worker.fleet_activities.of_queue(slots.name)):
                continue
            of_queue = Worker(
                client,
                task_queue=task_queue(prefix, slots.name, pipeline),
                activities=works,
                identity=worker.name,
                max_concurrent_activities=slots.tasks,
                max_concurrent_activity_task_polls=min(_POLLS, slots.tasks),
                graceful_shutdown_timeout=timedelta(seconds=STOP_S),
            )
            made.append(of_queue)
    return made
