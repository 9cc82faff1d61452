"""Runs cancelled in the process that runs them, as a service does it: at every activity, in virtual time."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.activities.activities import Activities
from docpipe.app import Docpipe
from docpipe.engine.engine import Change
from docpipe.errors import UsageError
from docpipe.model import Activity, Patient, RunState
from docpipe.patients import PatientDatabase
from fakes.tracker import ALLOWED
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of

pytestmark = pytest.mark.virtual


@contextlib.asynccontextmanager
async def world(plan: Plan) -> AsyncIterator[tuple[Docpipe, fakes.Running]]:
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(plan.patients)])
        await database.aclose()
        rng = random.Random(plan.seed)
        async with app.opened(
            config, clock=virtual.wall_clock, rng=rng, converter=CONVERTER, inline=True
        ) as docpipe:
            yield docpipe, running


@pytest.mark.parametrize("ends", [False, True], ids=["at its begin", "at its end"])
@pytest.mark.parametrize("activity", list(Activity))
async def test_a_run_under_way(tmp_path: Path, activity: Activity, ends: bool) -> None:
    """Wherever it stands, the run stops, its task gets the outcome, and the others continue."""
    async with world(Plan(tmp_path, patients=2)) as (docpipe, running):
        engine = docpipe.engine
        cancels: list[asyncio.Task] = []

        def listen(change: Change) -> None:
            here = (change.patient_id, change.activity, change.outcome is not None)
            if here == ("S00000", activity, ends) and not cancels:
                cancels.append(asyncio.create_task(engine.cancel(change.run_id)))

        engine.listeners.append(listen)
        runs = await engine.submit(ids(2))
        await engine.wait()
        await asyncio.gather(*cancels)
        await engine.wait()
        assert cancels
        cancelled, other = await docpipe.checkpoints.runs([run.run_id for run in runs])
        assert other.state is RunState.COMPLETED
        assert engine.runs == {}
        assert not list((docpipe.config.state_dir / "spool").iterdir())
        tasks = running.tracker.tasks_of(cancelled.run_id)
        if cancelled.state is RunState.COMPLETED:  # all was done when it came
            assert (activity, ends) == (Activity.APPEND_REPORT, True)
            return
        assert cancelled.state is RunState.CANCELLED
        assert [task.id for task in tasks] == ([cancelled.task_id] if cancelled.task_id else [])
        for task in tasks:
            steps = zip(task.history, task.history[1:], strict=False)
            assert all(after in ALLOWED[before] for before, after in steps)
            assert (task.status == "cancelled") is (cancelled.error is None), task
        assert cancelled.error is None or "from completed to cancelled" in cancelled.error
        assert await engine.resume() == []


async def test_runs_that_stand_in_line(tmp_path: Path) -> None:
    """A run that has not begun ends without a word to anybody; one that waits for its quota ends at once."""
    async with world(Plan(tmp_path, patients=80, docex={"spacing": "even"})) as (docpipe, running):
        runs = await docpipe.engine.submit(ids(80))
        await asyncio.sleep(30.0)
        assert docpipe.engine.waiting > 0
        began = virtual.wall_clock()
        await asyncio.gather(*(docpipe.engine.cancel(run.run_id) for run in runs[5:]))
        await docpipe.engine.wait()
        assert virtual.wall_clock() - began < 60.0
        ended = await docpipe.checkpoints.runs([run.run_id for run in runs])
        assert {run.state for run in ended[5:]} == {RunState.CANCELLED}
        assert {run.state for run in ended[:5]} == {RunState.COMPLETED}
        assert len(running.docex.searches) <= 6
        assert [run for run in ended if run.task_id is None]
        assert {task.status for task in running.tracker.tasks.values()} == {"cancelled", "completed"}


async def test_a_listener_that_fails_stops_no_run(tmp_path: Path) -> None:
    """Nor does it keep others from what they are to be reported."""
    reported: list[Change] = []

    def fail(change: Change) -> None:
        raise ValueError(change.run_id)

    async with world(Plan(tmp_path, patients=2)) as (docpipe, _):
        docpipe.engine.listeners += [fail, reported.append]
        runs = await docpipe.engine.submit(ids(2))
        await docpipe.engine.wait()
        ended = await docpipe.checkpoints.runs([run.run_id for run in runs])
    assert {run.state for run in ended} == {RunState.COMPLETED}
    assert [change.outcome for change in reported if change.activity is None] == [RunState.COMPLETED] * 2


async def test_cancelling_twice_and_nobody(tmp_path: Path) -> None:
    """Cancelling again while it is reported changes nothing; an unknown run is refused."""
    options = {"patient_seconds": {"S00000": 600.0}}
    async with world(Plan(tmp_path, patients=1, options=options)) as (docpipe, running):
        (run,) = await docpipe.engine.submit(ids(1))
        await asyncio.sleep(60.0)
        running.add_fault("tracker.* 503")
        assert (await docpipe.engine.cancel(run.run_id)).state is RunState.CANCELLING
        await asyncio.sleep(60.0)
        assert (await docpipe.engine.cancel(run.run_id)).state is RunState.CANCELLING
        (new,) = await docpipe.engine.submit(ids(1))  # the patient may begin anew meanwhile
        assert new.run_id != run.run_id
        running.clear_faults()
        await docpipe.engine.wait()
        states = [ended.state for ended in await docpipe.checkpoints.runs([run.run_id, new.run_id])]
        assert states == [RunState.CANCELLED, RunState.COMPLETED]
        (task,) = running.tracker.tasks_of(run.run_id)
        assert (task.history, len(task.notes)) == (("in_progress", "cancelled"), 1)
        with pytest.raises(UsageError, match="no run nobody"):
            await docpipe.engine.cancel("nobody")


async def test_a_retry_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has just ended is retried in the same process, though it still clears up behind itself."""
    clear = Activities.clear_spool

    async def slowly(self: Activities, run_id: str) -> None:
        await asyncio.sleep(1.0)
        await clear(self, run_id)

    monkeypatch.setattr(Activities, "clear_spool", slowly)
    async with world(Plan(tmp_path, patients=1)) as (docpipe, running):
        engine = docpipe.engine
        (run,) = await engine.submit(ids(1))
        while (await docpipe.checkpoints.runs([run.run_id]))[0].state is not RunState.COMPLETED:
            await asyncio.sleep(0.001)
        await asyncio.gather(
            *(engine.retry(run.run_id, Activity.SEARCH) for _ in range(2)), return_exceptions=True
        )
        await engine.wait()
        (again,) = await docpipe.checkpoints.runs([run.run_id])
        assert (again.state, again.retries) == (RunState.COMPLETED, 1)
        assert len(running.docex.searches) == 2
        assert [len(reports) for reports in running.tracker.reports.values()] == [2]


async def test_a_stop_while_it_is_reported(tmp_path: Path) -> None:
    """A stop leaves the telling to the next start."""
    plan = Plan(tmp_path, patients=1, options={"patient_seconds": {"S00000": 600.0}})
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient("S00000", "Ann", "Lee", "1957-03-31")])
        await database.aclose()
        opened = {"clock": virtual.wall_clock, "converter": CONVERTER, "inline": True}
        async with app.opened(config, rng=random.Random(0), **opened) as docpipe:
            (run,) = await docpipe.engine.submit(ids(1))
            await asyncio.sleep(60.0)
            running.add_fault("tracker.* hang")
            await docpipe.engine.cancel(run.run_id)
            await asyncio.sleep(5.0)
            await docpipe.engine.stop()
        running.clear_faults()
        async with app.opened(config, rng=random.Random(0), **opened) as docpipe:
            assert [run.state for run in await docpipe.engine.resume()] == [RunState.CANCELLING]
            await docpipe.engine.wait()
            assert (await docpipe.checkpoints.runs([run.run_id]))[0].state is RunState.CANCELLED
        assert running.tracker.tasks_of(run.run_id)[0].history == ("in_progress", "cancelled")
