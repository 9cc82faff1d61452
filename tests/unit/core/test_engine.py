"""Which runs may start, and how they are cancelled: the engine with real checkpoints."""

import asyncio

from structlog.testing import capture_logs

from docpipe.engine.admission import ADMITTED
from docpipe.errors import ServiceError
from docpipe.model import Activity, RunState
from tests.unit.core.support import MemoryActivities, engine_of, member


class Held(MemoryActivities):
    """Activities in which one stops until `open` is set."""

    def __init__(self, held):
        super().__init__()
        self.open = asyncio.Event()
        self.held = held

    async def search(self, step, patient):
        if self.held is Activity.SEARCH:
            await self.open.wait()
        return await super().search(step, patient)

    async def download_and_extract(self, step, run_id, search, ready):
        if self.held is Activity.DOWNLOAD:
            await self.open.wait()
        return await super().download_and_extract(step, run_id, search, ready)

    async def clear_spool(self, run_id):
        """There is none."""


async def until(condition):
    """Let others work until the condition holds."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


async def settled(engine, activity, number):
    """Wait until so many runs are at an activity, and none more can follow."""
    await until(
        lambda: (
            sum(run.current is not None and run.current.activity is activity for run in engine.runs.values())
            == number
        )
    )


def patients(number):
    return [f"P{n}" for n in range(number)]


async def test_only_so_many_runs_stand_before_their_search(checkpoints):
    """More runs than are admitted wait, and start as others have searched."""
    activities = Held(Activity.SEARCH)
    async with engine_of(checkpoints, activities) as engine:
        await engine.submit(patients(ADMITTED + 5))
        await settled(engine, Activity.SEARCH, ADMITTED)
        assert (len(engine.runs), engine.waiting) == (ADMITTED, 5)
        activities.open.set()
        await engine.wait()
        assert (activities.searched, engine.waiting) == (ADMITTED + 5, 0)


async def test_checkpoints_are_read_of_runs_that_have_some(checkpoints, monkeypatch):
    """A new run has none, so nothing is read; one that was stopped or is retried replays its own."""
    read, real = [], checkpoints.packed_steps

    async def packed_steps(run_id):
        read.append(run_id)
        return await real(run_id)

    monkeypatch.setattr(checkpoints, "packed_steps", packed_steps)
    activities = Held(Activity.DOWNLOAD)
    async with engine_of(checkpoints, activities) as engine:
        (run,) = await engine.submit(["P1"])
        await settled(engine, Activity.DOWNLOAD, 1)
    assert read == []
    async with engine_of(checkpoints, activities) as engine:
        await engine.resume()
        activities.open.set()
        await engine.wait()
        assert (read, activities.searched) == ([run.run_id], 1)
        await engine.retry(run.run_id, Activity.DOWNLOAD)
        await engine.wait()
        assert activities.searched == 1
        assert read == [run.run_id] * 3  # `retry` reads them, too


async def test_a_run_that_has_searched_keeps_no_place(checkpoints):
    """Runs that have searched do not count as admitted, so that all others can start."""
    async with engine_of(checkpoints, Held(Activity.DOWNLOAD)) as engine:
        await engine.submit(patients(ADMITTED + 5))
        await settled(engine, Activity.DOWNLOAD, ADMITTED + 5)
        assert engine.waiting == 0


async def test_a_resumed_run_that_has_searched_keeps_no_place(checkpoints):
    """The same for runs whose search is replayed from a checkpoint: all are resumed at once."""
    async with engine_of(checkpoints, Held(Activity.DOWNLOAD)) as engine:
        await engine.submit(patients(ADMITTED + 5))
        await settled(engine, Activity.DOWNLOAD, ADMITTED + 5)
        await engine.stop(grace=0)
    activities = Held(Activity.DOWNLOAD)
    async with engine_of(checkpoints, activities) as engine:
        assert len(await engine.resume()) == ADMITTED + 5
        await settled(engine, Activity.DOWNLOAD, ADMITTED + 5)
        activities.open.set()
        await engine.wait()
    assert activities.searched == 0


async def test_a_cancelled_run_keeps_no_place_while_its_task_is_updated(checkpoints):
    """It does not search any more: while the tracker is down, other runs start."""

    class Down(Held):
        async def update_status(self, step, task_id, state, note):
            await self.open.wait()
            return await super().update_status(step, task_id, state, note)

    activities = Down(Activity.SEARCH)
    async with engine_of(checkpoints, activities) as engine:
        runs = await engine.submit(patients(ADMITTED))
        await settled(engine, Activity.SEARCH, ADMITTED)
        await asyncio.gather(*(engine.cancel(run.run_id) for run in runs))
        await settled(engine, Activity.UPDATE_STATUS, ADMITTED)
        await engine.submit(["another"])
        await settled(engine, Activity.SEARCH, 1)
        activities.open.set()
        await engine.wait()


async def test_a_task_is_cancelled_once(checkpoints):
    """A second cancellation does not interrupt the clean-up that the first one began."""
    cleaning, clean, cleaned = asyncio.Event(), asyncio.Event(), []

    class Cleaning(Held):
        async def download_and_extract(self, step, run_id, search, ready):
            try:
                await asyncio.Event().wait()
            finally:
                cleaning.set()
                await clean.wait()
                cleaned.append(run_id)

    async with engine_of(checkpoints, Cleaning(Activity.DOWNLOAD)) as engine:
        (run,) = await engine.submit(["P1"])
        await settled(engine, Activity.DOWNLOAD, 1)
        first = asyncio.create_task(engine.cancel(run.run_id))
        await cleaning.wait()
        second = asyncio.create_task(engine.cancel(run.run_id))
        for _ in range(3):  # until the second one waits for the clean-up, too
            await checkpoints.runs([run.run_id])
        clean.set()
        await asyncio.gather(first, second)
        await engine.wait()
    assert cleaned == [run.run_id]
    (ended,) = await checkpoints.runs([run.run_id])
    assert ended.state is RunState.CANCELLED


async def test_a_run_cancelled_while_it_is_read_does_not_start(checkpoints):
    """A resume that read a run before it was cancelled does not start it."""
    async with engine_of(checkpoints, Held(None)) as engine:
        engine.pause()
        (run,) = await engine.submit(["P1"])
    activities = Held(None)
    async with engine_of(checkpoints, activities) as engine:
        read = checkpoints.unfinished

        async def read_and_cancel():
            runs = await read()
            await engine.cancel(run.run_id)
            await engine.wait()
            return runs

        checkpoints.unfinished = read_and_cancel
        await engine.resume()
        await engine.wait()
    assert activities.searched == 0


async def test_a_queued_run_that_is_cancelled_never_starts(checkpoints):
    """A run that waits for admission leaves the queue, and searches nothing."""
    activities = Held(Activity.SEARCH)
    async with engine_of(checkpoints, activities) as engine:
        runs = await engine.submit(patients(ADMITTED + 1))
        await settled(engine, Activity.SEARCH, ADMITTED)
        last = runs[-1].run_id
        await engine.cancel(last)
        while (await checkpoints.runs([last]))[0].state is not RunState.CANCELLED:
            await asyncio.sleep(0.002)
        await until(lambda: last not in engine.runs)
        activities.open.set()
        await engine.wait()
    assert activities.searched == ADMITTED


async def test_a_cancelled_run_whose_task_cannot_be_updated(checkpoints):
    """What was stored before is counted, whatever the tracker says."""

    class Refusing(Held):
        async def store(self, step, place, member, done):
            if member.path == "b.txt":
                await self.open.wait()
            return await super().store(step, place, member, done)

        async def update_status(self, step, task_id, state, note):
            raise ServiceError("The tracker refused the new status.")

    activities = Refusing(None)
    activities.members = [member("a.txt"), member("b.txt")]
    async with engine_of(checkpoints, activities) as engine:
        (run,) = await engine.submit(["P1"])
        await until(lambda: run.run_id in engine.runs and engine.runs[run.run_id].results(Activity.STORE))
        await engine.cancel(run.run_id)
        await engine.wait()
        (ended,) = await checkpoints.runs([run.run_id])
    assert (ended.state, ended.error) == (RunState.CANCELLED, "The tracker refused the new status.")
    assert (ended.counts["converted"], ended.task_id) == (1, "T1")


async def test_a_spool_that_cannot_be_cleared_hides_no_end(checkpoints):
    """The run has ended, and listeners are called."""

    class Stuck(Held):
        async def clear_spool(self, run_id):
            raise OSError(5, "Input/output error")

    ends = []
    async with engine_of(checkpoints, Stuck(None)) as engine:
        engine.listeners.append(lambda change: ends.append(change.outcome) if not change.activity else None)
        with capture_logs() as logs:
            await engine.submit(["P1"])
            await engine.wait()
    assert ends == [RunState.COMPLETED]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["spool_not_cleared"]


async def test_a_run_that_becomes_urgent_is_urgent_from_its_next_step_on(checkpoints):
    """A patient who is submitted again with a higher priority: the run in progress is raised."""
    activities = Held(Activity.SEARCH)
    async with engine_of(checkpoints, activities) as engine:
        (run,) = await engine.submit(["P1"])
        await settled(engine, Activity.SEARCH, 1)
        await engine.submit(["P1"], priority=5)
        assert engine.runs[run.run_id].stored.priority == 5
        activities.open.set()
        await engine.wait()


async def test_a_run_that_was_over_when_it_was_cancelled_can_be_retried(checkpoints):
    """The cancellation comes too late and changes nothing, also nothing for later."""
    async with engine_of(checkpoints, Held(None)) as engine:
        (run,) = await engine.submit(["P1"])
        await engine.wait()
        assert (await engine.cancel(run.run_id)).state is RunState.COMPLETED
        await engine.retry(run.run_id, Activity.SEARCH)
        await engine.wait()
        (again,) = await checkpoints.runs([run.run_id])
    assert (again.state, again.retries) == (RunState.COMPLETED, 1)


async def test_garbage_is_collected_as_runs_end(checkpoints, monkeypatch):
    """Once in so many runs."""
    collected = []
    monkeypatch.setattr("docpipe.engine.engine._COLLECT_EVERY", 2)
    monkeypatch.setattr("docpipe.engine.engine.gc.collect", lambda: collected.append(1))
    async with engine_of(checkpoints, Held(None)) as engine:
        await engine.submit(patients(5))
        await engine.wait()
    assert len(collected) == 2
