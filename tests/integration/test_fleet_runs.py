"""Runs of a fleet with one worker: cancelled, retried, carried over, and without their spool."""

import asyncio
import csv
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from docpipe.errors import UsageError
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.course import TemporalRun
from docpipe.fleet.queues import PIPELINE
from docpipe.fleet.spool import BucketSpool
from docpipe.fleet.worker import FleetWorker, working
from docpipe.model import Activity, RunState, WaitKind
from tests.fleet_support import Machines, machines
from tests.fleet_worker import CONVERTER, ENTERED, OPEN

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
DOCUMENTS = 4
"""Of each patient; each has another one in it."""


class World:
    """A fleet with one worker in this process."""

    def __init__(self, made: Machines, worker: FleetWorker, runs: FleetRuns) -> None:
        self.machines = made
        self.worker = worker
        self.runs = runs

    def reports_of(self, run_id: str) -> int:
        """How many the task of a run has."""
        (task,) = self.tasks_of(run_id)
        return len(self.machines.services.tracker.reports[task.id])

    def tasks_of(self, run_id: str) -> list[Any]:
        return [task for task in self.machines.tasks() if task.external_ref == run_id]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("fleet")
    async with machines(folder) as made:
        config = made.config("worker")
        async with (
            working(config, converter=CONVERTER, inline=True) as worker,
            made.runs() as runs,
        ):
            yield World(made, worker, runs)


async def test_a_long_history_goes_on_in_a_new_one(world: World) -> None:
    """With all results: nothing is done twice, and the report knows the whole course."""
    async with world.machines.runs(longest=40) as runs:
        (run,) = await runs.submit(["P100"])
        (ended,) = await runs.wait([run])
        assert (ended.state, ended.counts) == (RunState.COMPLETED, {"converted": 2 * DOCUMENTS})
        client, histories = runs.client, 0
        async for execution in client.list_workflows(f"WorkflowId = '{run.workflow}'"):
            histories += execution.status is not None
        assert histories > 1
        steps = await runs.steps((await runs.runs(ended.run_id))[0])
    done = Counter(step.activity for step in steps)
    assert done[Activity.CONVERT] == done[Activity.STORE] == 2 * DOCUMENTS
    assert {step.attempts for step in steps if step.activity == Activity.CONVERT} == {1}
    assert world.reports_of(ended.run_id) == 1


async def test_a_patient_has_one_unfinished_run(world: World) -> None:
    """A submission meanwhile gets that run, also at the same moment."""
    OPEN.clear()
    try:
        groups = await asyncio.gather(*(world.runs.submit(["P101"]) for _ in range(5)))
        assert len({runs[0].stored.run_id for runs in groups}) == 1
        (urgent,) = await world.runs.submit(["P101"], priority=7)
        while (await world.runs.with_progress([urgent]))[0].priority != 7:
            await asyncio.sleep(0.1)
        with pytest.raises(UsageError, match="is not finished"):
            await world.runs.retry(groups[0][0])
    finally:
        OPEN.set()
    (ended,) = await world.runs.wait(groups[0])
    assert (ended.state, ended.priority) == (RunState.COMPLETED, 7)


async def test_cancelled_in_the_middle_of_conversions(world: World) -> None:
    """What is under way ends, the task is cancelled, and what is stored already stays."""
    OPEN.clear()
    while ENTERED.acquire(blocking=False):
        pass
    (run,) = await world.runs.submit(["P102"])
    await asyncio.to_thread(ENTERED.acquire)
    await world.runs.cancel(run)
    (now,) = await world.runs.with_progress([run])
    assert now.state in (RunState.CANCELLING, RunState.CANCELLED)
    OPEN.set()
    (ended,) = await world.runs.wait([run])
    assert (ended.state, ended.error) == (RunState.CANCELLED, None)
    (task,) = world.tasks_of(ended.run_id)
    assert task.status == "cancelled"
    with pytest.raises(UsageError, match="was cancelled"):
        await world.runs.retry((await world.runs.runs(ended.run_id))[0])


async def test_a_finished_run_is_retried(world: World) -> None:
    """From an activity on, under new keys, at the same task; nothing is converted that is stored."""
    (run,) = await world.runs.submit(["P103"])
    await world.runs.wait([run])
    (finished,) = await world.runs.runs("P103")
    again = await world.runs.retry(finished, Activity.CONVERT)
    assert again.stored.retries == 1
    (ended,) = await world.runs.wait([again])
    assert (ended.state, ended.run_id) == (RunState.COMPLETED, run.stored.run_id)
    assert world.reports_of(ended.run_id) == 2
    later = await world.runs.retry((await world.runs.runs(ended.run_id))[0], Activity.REPORT)
    (ended,) = await world.runs.wait([later])
    assert (ended.state, ended.retries) == (RunState.COMPLETED, 2)
    assert world.reports_of(ended.run_id) == 3


async def test_files_that_are_lost_are_downloaded_again(world: World) -> None:
    """The spool in the storage and on the machine is gone, while the run waits for a conversion."""
    OPEN.clear()
    while ENTERED.acquire(blocking=False):
        pass
    (run,) = await world.runs.submit(["P104"])
    await asyncio.to_thread(ENTERED.acquire)
    folder = world.machines.folder
    shutil.rmtree(folder / "storage" / ".fleet" / "spool" / run.stored.run_id)
    shutil.rmtree(folder / "worker" / "spool" / run.stored.run_id)
    OPEN.set()
    (ended,) = await world.runs.wait([run])
    assert (ended.state, ended.counts) == (RunState.COMPLETED, {"converted": 2 * DOCUMENTS}), ended
    assert len(world.tasks_of(ended.run_id)) == 1


def done_by(made: Machines, name: str) -> set[str]:
    """The runs of whose activities a worker has done any, by its own log."""
    with (made.folder / name / "activity_log.csv").open(encoding="utf-8", newline="") as log:
        return {row["run_id"] for row in csv.DictReader(log)}


async def test_releases_work_side_by_side(world: World) -> None:
    """A run stays with workers of the release that began it, with all its activities, and waits for one where
    there is none; a retry of it is begun by the release that is asked.
    """
    later = PIPELINE + 1
    config = world.machines.config("upgraded")
    async with world.machines.runs(pipeline=later) as runs:
        assert not await runs.workers()
        (run,) = await runs.submit(["P105"])
        (mine,) = await world.runs.submit(["P106"])
        await world.runs.wait([mine])
        (still,) = await runs.with_progress([run])
        assert still.state is RunState.QUEUED
        async with working(config, converter=CONVERTER, inline=True, pipeline=later):
            both = [run, *await world.runs.submit(["P110"])]
            ended = await runs.wait(both)
            again = await runs.retry((await runs.runs("P106"))[0], Activity.UPDATE_STATUS)
            (retried,) = await runs.wait([again])
    assert {(one.state, one.counts["converted"]) for one in ended} == {(RunState.COMPLETED, 2 * DOCUMENTS)}
    assert retried.state is RunState.COMPLETED
    upgraded, old = done_by(world.machines, "upgraded"), done_by(world.machines, "worker")
    assert upgraded == {run.stored.run_id, mine.stored.run_id}
    assert run.stored.run_id not in old
    assert both[1].stored.run_id in old


async def test_computing_a_course_may_take_its_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes a run for deadlocked after 2 s, which many documents take on a busy machine."""
    computed = TemporalRun.do

    async def slow(self: TemporalRun, *args: Any, **kwargs: Any) -> Any:
        if args[0] is Activity.REPORT and not slept:
            slept.append(True)
            time.sleep(3.0)  # noqa: ASYNC251 -- it stands for computing
        return await computed(self, *args, **kwargs)

    slept: list[bool] = []
    monkeypatch.setattr(TemporalRun, "do", slow)
    (run,) = await world.runs.submit(["P111"])
    (ended,) = await world.runs.wait([run])
    assert (ended.state, len(slept)) == (RunState.COMPLETED, 1)
    handle = world.runs.client.get_workflow_handle(run.workflow)
    events = [event async for event in handle.fetch_history_events()]
    assert not [event for event in events if event.HasField("workflow_task_failed_event_attributes")]


async def test_outages_of_both_services_are_waited_out(world: World) -> None:
    """One prober asks; runs say what they wait for, and go on by themselves."""
    services = world.machines.services
    services.add_fault("docex.search html502")
    services.add_fault("tracker.create html502")
    submitted = await world.runs.submit(["P107", "P108", "P109"])
    waits: set[tuple[str, str]] = set()
    while (WaitKind.OUTAGE, "tasktracker") not in waits:
        stand = await world.runs.with_progress(submitted)
        waits |= {(run.doing.wait.kind, run.doing.wait.what) for run in stand if run.doing and run.doing.wait}
        await asyncio.sleep(0.5)
    services.clear_faults()
    services.add_fault("docex.search html502 times=3")
    ended = await world.runs.wait(submitted)
    assert {run.state for run in ended} == {RunState.COMPLETED}
    assert len({task.external_ref for task in world.machines.tasks()}) == len(world.machines.tasks())
    steps = await world.runs.steps((await world.runs.runs("P107"))[0])
    assert {step.activity for step in steps} == set(Activity)


async def test_the_spool_is_empty_at_the_end(world: World) -> None:
    """Of every run before, in the storage as on the machine."""
    assert not list((world.machines.folder / "storage" / ".fleet" / "spool").glob("*/*"))
    spool = world.worker.fleet_activities.activities.spool
    assert isinstance(spool, BucketSpool)
    await spool.tidy(set())  # a worker does so every few minutes: another one may have ended a run
    assert not [path for path in (world.machines.folder / "worker" / "spool").iterdir() if path.is_dir()]
    assert (
        Path(world.machines.folder / "worker" / "activity_log.csv").read_text().count(",DocEx_Search,") >= 8
    )
