"""Runs the real engine, pipeline and gates in virtual time, with simulated services."""

import asyncio
import contextlib
import gc
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import structlog

from docpipe.checkpoints import StoredStep
from docpipe.engine.engine import Change, Engine
from docpipe.gates.line import Slots
from docpipe.http.credentials import NONE
from docpipe.model import Activity, Clock, RunIds, RunState
from docpipe.plan.activities import PlannedActivities
from docpipe.plan.memory import NoLog, PlannedCheckpoints
from docpipe.plan.services import ARCHIVES, DOCEX, TRACKER, PlannedHttp, Search, World
from docpipe.plan.setup import Setup
from docpipe.plan.trace import Trace
from docpipe.plan.virtual import NoEventLoop
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.sources.docex.owners import Owners
from docpipe.tasks.tracker import TaskTracker
from docpipe.wiring.gates import open_gates
from docpipe.workers.turns import Turns

_MANY: Final = 500
_BUNDLES: Final = 8
"""Where patients are many, their documents are converted and stored in bundles, at most this many: the same
work in fewer steps. There are as many as workers, so that a patient who is alone keeps all of them busy."""
_GARBAGE: Final = 100_000
Progress = Callable[[float], None]
"""Called with the part of the runs that has ended."""


def simulate(setup: Setup, progress: Progress = lambda _: None) -> Trace:
    """Simulate from the start until the last run has ended."""
    loop = NoEventLoop()
    with _silence(), _rare_collection(), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_simulated(setup, progress, loop.wall))


async def _simulated(setup: Setup, progress: Progress, clock: Clock) -> Trace:
    trace = Trace()
    world = World(setup, trace)
    runs = _unfinished(setup, world, clock)
    checkpoints = PlannedCheckpoints(setup.before, clock, runs)
    async with contextlib.AsyncExitStack() as stack:
        # Not entered: it would write its state every second for other processes.
        engine = Engine(
            checkpoints=checkpoints,
            activity_log=NoLog(),
            activities=await _activities(setup, world, checkpoints, clock, stack),
            clock=clock,
            ids=RunIds(clock, random.Random(setup.seed)),
        )
        stack.push_async_callback(engine.stop, grace=0)  # only an interrupted simulation has anything left
        trace.submitted = len(runs) + setup.patients

        def note(change: Change) -> None:
            if change.activity is None:
                trace.ended.append(world.now())
                trace.failed += change.outcome == RunState.FAILED
                progress(len(trace.ended) / trace.submitted)

        engine.listeners.append(note)
        await engine.resume()
        await engine.submit(f"new {number}" for number in range(setup.patients))
        await engine.wait()
    return trace


async def _activities(
    setup: Setup,
    world: World,
    checkpoints: PlannedCheckpoints,
    clock: Clock,
    stack: contextlib.AsyncExitStack,
) -> PlannedActivities:
    docex = replace(setup.config.docex, base_url=DOCEX, token=None)
    tracker = replace(setup.config.tasktracker, base_url=TRACKER, token=None)
    rng = random.Random(f"{setup.seed} gates")
    gates = await open_gates(setup.config, checkpoints, clock, rng, stack)
    http = PlannedHttp(world)
    return PlannedActivities(
        world,
        DocumentExchange(http, docex, gates.searching, gates.polling, clock, NONE, Owners(clock)),
        TaskTracker(http, tracker, gates.tracker, clock, NONE),
        gates.archives(ARCHIVES),
        downloads=Slots(docex.max_downloads, clock),
        workers=Turns(setup.workers, clock, timer=world.now),
        disk=Slots(setup.threads, clock),
        bundles=min(_BUNDLES, setup.workers) if setup.patients > _MANY else None,
    )


def _unfinished(setup: Setup, world: World, clock: Clock) -> dict[str, list[StoredStep]]:
    """The unfinished runs of the state folder; searches already sent are put into the simulated exchange."""
    runs: dict[str, list[StoredStep]] = {f"queued {number}": [] for number in range(setup.before.queued)}
    now = clock()
    for number, ago in enumerate(setup.before.searched):
        patient = f"searched {number}"
        world.searches[patient] = Search(world.case(patient), -ago)
        path = {"search_id": patient, "path": f"/v1/searches/{patient}", "at": now - ago, "ask_after": ago}
        row = {"id": patient, "given": "", "family": "", "birth_date": ""}
        done = {Activity.GET_PATIENT: row, Activity.CREATE_TASK: {"task_id": "task"}, Activity.SEARCH: path}
        runs[patient] = [StoredStep(name, "", 1, now, now, None, result) for name, result in done.items()]
    return runs


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Log nothing of a simulation."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextlib.contextmanager
def _rare_collection() -> Iterator[None]:
    """Collect garbage less often: a simulation makes many small objects and hardly any cycles."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
