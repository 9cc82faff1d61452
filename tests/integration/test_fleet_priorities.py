"""A task of a fleet that no worker takes comes forward in line, with all that is known of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from docpipe.fleet.client import FleetRuns
from docpipe.fleet.queues import Queue
from docpipe.fleet.views import FleetRun
from docpipe.fleet.worker import working
from docpipe.model import Activity, RunState
from tests.fleet_support import BareWorker, Machines, machines
from tests.fleet_worker import CONVERTER

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
WORTH_S = 3.0
"""In place of an hour for each level."""
HEARTBEAT_S = 4.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machines]:
    """Its only worker begins no run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("docpipe.fleet.queues.PRIORITY_WORTH_S", WORTH_S)
        patch.setattr("docpipe.fleet.course.HEARTBEAT", timedelta(seconds=HEARTBEAT_S))
        async with machines(tmp_path_factory.mktemp("fleet")) as made:
            queues = (Queue.DOCEX, Queue.TRACKER, Queue.CONVERT)
            async with working(made.config("further"), queues, converter=CONVERTER, inline=True):
                yield made


async def keys_of(runs: FleetRuns, run: FleetRun, activity: Activity) -> list[int]:
    """Temporal's priorities with which an activity of a run was put in line."""
    handle, keys = runs.client.get_workflow_handle(run.workflow), []
    async for event in handle.fetch_history_events():
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == activity.value:
            keys.append(scheduled.priority.priority_key)
    return keys


async def until_in_line(runs: FleetRuns, run: FleetRun, activity: Activity, times: int) -> list[int]:
    async with asyncio.timeout(120):
        while len(keys := await keys_of(runs, run, activity)) < times:
            await asyncio.sleep(0.2)
    return keys


async def test_who_waits_for_a_worker_comes_forward(fleet: Machines) -> None:
    """Up to the key of the most urgent runs; what it waits for is done once, as its first try."""
    async with fleet.runs() as runs:
        (run,) = await runs.submit(["P100"])
        keys = await until_in_line(runs, run, Activity.GET_PATIENT, 3)
        assert keys == [4, 3, 2]
        async with working(fleet.config("begins"), (Queue.BEGIN,)):
            (ended,) = await runs.wait([run])
        assert ended.state is RunState.COMPLETED
        assert await keys_of(runs, run, Activity.GET_PATIENT) == keys
        steps = await runs.steps((await runs.runs(ended.run_id))[0])
    assert {step.attempts for step in steps if step.activity == Activity.GET_PATIENT} == {1}


async def test_a_lost_try_leaves_what_it_saved(fleet: Machines) -> None:
    """A worker dies after it has asked for a task, and no other comes until the next try has come forward."""
    fleet.services.add_fault("tracker.create late seconds=60 times=1")
    env = {"DOCPIPE_TEST_WORTH_S": str(WORTH_S), "DOCPIPE_TEST_HEARTBEAT_S": str(HEARTBEAT_S)}
    mortal = await BareWorker.started(fleet, "mortal", **env)
    try:
        async with fleet.runs() as runs:
            (run,) = await runs.submit(["P101"])
            async with asyncio.timeout(120):
                while not [task for task in fleet.tasks() if task.external_ref == run.stored.run_id]:
                    await asyncio.sleep(0.05)
            await mortal.killed()
            await until_in_line(runs, run, Activity.CREATE_TASK, 2)
            async with working(fleet.config("begins"), (Queue.BEGIN,)):
                (ended,) = await runs.wait([run])
    finally:
        await mortal.killed()
    assert ended.state is RunState.COMPLETED, ended.error
    assert len([task for task in fleet.tasks() if task.external_ref == run.stored.run_id]) == 1
    assert len(fleet.services.tracker.ledger.of("tracker.find")) == 1
