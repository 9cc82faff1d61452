"""One run in progress: what it replays, repeats, counts and sends as keys."""

import asyncio

import pytest

from docpipe.errors import ServiceError, UsageError
from docpipe.model import Activity
from tests.unit.core.support import MemoryActivities, engine_of, member


class Spooled(MemoryActivities):
    """Activities whose spool is cleared at the end of a run; remembers keys and attempts."""

    def __init__(self, **more):
        super().__init__([member("a.txt")], **more)
        self.keys = []
        self.downloads = 0
        self.conversions = 0
        self.refusing = False

    def extracted(self, run_id):
        return lambda done: False

    def converted(self, run_id, item):
        return lambda done: False

    async def download_and_extract(self, step, run_id, search, ready):
        self.downloads += 1
        return await super().download_and_extract(step, run_id, search, ready)

    async def convert(self, step, place, member, patient=None):
        self.conversions += 1
        return await super().convert(step, place, member, patient)

    async def update_status(self, step, task_id, state, note):
        self.keys.append(step.key)
        if self.refusing:
            raise ServiceError("no", 400)
        return await super().update_status(step, task_id, state, note)

    async def clear_spool(self, run_id):
        """There is none."""


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (Activity.UPDATE_STATUS, (0, 0)),
        (Activity.STORE, (1, 1)),
        (Activity.CONVERT, (1, 1)),
        (Activity.DOWNLOAD, (1, 1)),
    ],
)
async def test_a_retry_needs_the_spool_only_where_something_is_stored_again(checkpoints, first, again):
    """After all documents were stored nothing is downloaded or converted; before, all of it is."""
    activities = Spooled()
    async with engine_of(checkpoints, activities) as engine:
        (run,) = await engine.submit(["P1"])
        await engine.wait()
        assert (activities.downloads, activities.conversions) == (1, 1)
        await engine.retry(run.run_id, first)
        await engine.wait()
    assert (activities.downloads - 1, activities.conversions - 1) == again


async def test_a_retry_has_keys_of_its_own(checkpoints):
    """Under the old key a service would repeat its old answer; within one time the key stays."""
    activities = Spooled()
    activities.refusing = True
    async with engine_of(checkpoints, activities) as engine:
        (run,) = await engine.submit(["P1"])
        await engine.wait()
        activities.refusing = False
        for _ in range(2):
            await engine.retry(run.run_id, Activity.UPDATE_STATUS)
            await engine.wait()
    keys = [key for key in activities.keys if not key.endswith("again") and ":again" not in key]
    assert keys == [
        f"{run.run_id}:TaskTracker_UpdateStatus",
        f"{run.run_id}:TaskTracker_UpdateStatus:retry1",
        f"{run.run_id}:TaskTracker_UpdateStatus:retry2",
    ]


async def test_attempts_are_counted_across_processes(checkpoints):
    """An activity that was stopped has a second attempt when its run is resumed."""
    seen = []

    class Stopped(Spooled):
        async def search(self, step, patient):
            seen.append(step.attempt)
            if len(seen) == 1:
                await asyncio.Event().wait()
            return await super().search(step, patient)

    async with engine_of(checkpoints, Stopped()) as engine:
        await engine.submit(["P1"])
        async with asyncio.timeout(60):
            while not seen:
                await asyncio.sleep(0.002)
        await engine.stop(grace=0)
    async with engine_of(checkpoints, Stopped()) as engine:
        await engine.resume()
        await engine.wait()
    assert seen == [1, 2]


async def test_a_retry_is_refused_while_the_patient_has_another_run(checkpoints):
    """The finished run stays finished, and the message names the cure."""
    async with engine_of(checkpoints, Spooled()) as engine:
        (run,) = await engine.submit(["P1"])
        await engine.wait()
        engine.pause()
        await engine.submit(["P1"])
        with pytest.raises(UsageError, match="resume or cancel"):
            await engine.retry(run.run_id, Activity.UPDATE_STATUS)
        assert (await checkpoints.runs([run.run_id]))[0].state.finished
        assert engine.waiting == 1


async def test_a_stop_ends_an_activity_that_outlasts_its_grace(checkpoints):
    """What neither waits nor ends is cancelled at the deadline, and disks are waited for no more."""
    given_up = []

    class Busy(Spooled):
        async def search(self, step, patient):
            given_up.append("searching")
            await asyncio.Event().wait()

    async with engine_of(checkpoints, Busy()) as engine:
        engine.activity_log.give_up = lambda: given_up.append("log")
        await engine.submit(["P1"])
        async with asyncio.timeout(60):
            while not given_up:
                await asyncio.sleep(0.002)
            await engine.stop(grace=0.01)
    assert given_up[0] == "searching"
    assert "log" in given_up
