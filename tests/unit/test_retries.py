"""Where a retry begins, and what it forgets, all at once."""

import time
from pathlib import Path
from typing import Any

import pytest

from docpipe.checkpoints import Checkpoints, StoredRun, StoredStep, open_database
from docpipe.engine.restart import failure, restart_point
from docpipe.errors import ArchiveError, PoisonedError, ServiceError, UsageError
from docpipe.model import Activity, RunState
from docpipe.results.files import MISSING

OK = {"fine": True}
LACKING = {"state": "ready", "members": [{"path": "a", "reason": None}, {"path": "b", "reason": MISSING}]}


def run(state: RunState, **counts: int) -> StoredRun:
    return StoredRun("R1", "P1", 0, state, 0.0, 0.0, 1.0, "T1", None, counts, None)


def steps(results: dict[Activity, Any]) -> list[StoredStep]:
    return [StoredStep(name, "", 1, 0.0, 1.0, None, result) for name, result in results.items()]


@pytest.mark.parametrize(
    ("state", "counts", "activity", "result", "begins"),
    [
        ("failed", {}, Activity.GET_PATIENT, failure(ServiceError("no")), Activity.GET_PATIENT),
        ("failed", {}, Activity.SEARCH, failure(ServiceError("no", 400)), Activity.SEARCH),
        ("failed", {}, Activity.CHECK_STATUS, failure(ServiceError("it failed")), Activity.SEARCH),
        ("failed", {}, Activity.CHECK_STATUS, failure(ServiceError("token", 401)), Activity.CHECK_STATUS),
        ("failed", {}, Activity.CHECK_STATUS, failure(PoisonedError("alone")), Activity.CHECK_STATUS),
        ("failed", {}, Activity.CHECK_STATUS, {"error!": "as the first release wrote"}, Activity.SEARCH),
        ("failed", {}, Activity.CHECK_STATUS, None, Activity.CHECK_STATUS),
        ("failed", {}, Activity.DOWNLOAD, failure(ArchiveError("bad")), Activity.DOWNLOAD),
        ("failed", {}, Activity.STORE, failure(ArchiveError("full")), Activity.CONVERT),
        ("failed", {}, Activity.CHECK_STATUS, {"state": "expired"}, Activity.SEARCH),
        ("completed_with_errors", {"failed": 1}, Activity.CONVERT, OK, Activity.CONVERT),
        ("completed_with_errors", {"failed": 1}, Activity.DOWNLOAD, LACKING, Activity.SEARCH),
        ("failed", {"failed": 1}, Activity.DOWNLOAD, failure(ArchiveError("bad")), Activity.DOWNLOAD),
        ("completed_with_errors", {"refused": 1}, Activity.CONVERT, OK, Activity.CONVERT),
        ("completed_with_errors", {"converted": 1}, Activity.CONVERT, OK, Activity.UPDATE_STATUS),
    ],
)
def test_without_a_wish_what_failed_comes_first(state, counts, activity, result, begins) -> None:
    """The first activity of a retry follows from what went wrong."""
    assert restart_point(run(RunState(state), **counts), steps({activity: result}), None) is begins


@pytest.mark.parametrize("wanted", list(Activity))
def test_a_wish_is_followed(wanted: Activity) -> None:
    """A retry begins where it is reported; what was only in the spool is made again."""
    begins = restart_point(run(RunState.COMPLETED), steps(dict.fromkeys(Activity, OK)), wanted)
    assert begins is (Activity.CONVERT if wanted is Activity.STORE else wanted)


def test_what_failed_is_never_left_out() -> None:
    """A wish for a later activity does not step over what failed."""
    done = steps({Activity.SEARCH: failure(ServiceError("no", 400))})
    assert restart_point(run(RunState.FAILED), done, Activity.REPORT) is Activity.SEARCH
    assert restart_point(run(RunState.FAILED), done, Activity.GET_PATIENT) is Activity.GET_PATIENT
    mixed = run(RunState.COMPLETED_WITH_ERRORS, failed=1)  # which stopped nothing
    assert restart_point(mixed, steps({Activity.CONVERT: OK}), Activity.REPORT) is Activity.REPORT


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("queued", "retry it after its end"),
        ("running", "retry it after its end"),
        ("cancelling", "retry it after its end"),
        ("cancelled", "docpipe run --patient P1"),
        ("completed", "--from ACTIVITY"),
    ],
)
def test_what_cannot_be_retried(state: str, message: str) -> None:
    """What makes no sense is refused with what would."""
    with pytest.raises(UsageError, match=message):
        restart_point(run(RunState(state)), steps({Activity.SEARCH: OK}), None)


async def finished(store: Checkpoints, run_id: str, patient_id: str) -> None:
    await store.create_runs({patient_id: run_id}, 0)
    store.start_run(run_id)
    for activity in Activity:
        store.begin_step(run_id, activity, "")
        await store.save_step(run_id, activity, "", {"sent": 1})
        await store.finish_step(run_id, activity, "", OK)
    await store.finish_run(run_id, RunState.FAILED, {"failed": 1}, "T1", "because")


async def left(store: Checkpoints, run_id: str) -> dict[str, Any]:
    return {step.activity: (step.state, step.result) for step in await store.steps(run_id)}


async def test_what_is_forgotten(tmp_path: Path) -> None:
    """All from the activity on, of this run alone; the run is queued again with its number counted up."""
    async with open_database(tmp_path, time.time) as store:
        await finished(store, "R1", "P1")
        await finished(store, "R2", "P2")
        (before,) = await store.runs(["R1"])
        await store.retry_run(before, Activity.DOWNLOAD)
        kept = list(Activity)[:4]
        assert await left(store, "R1") == {name: ({"sent": 1}, OK) for name in kept}
        assert len(await left(store, "R2")) == len(Activity)
        (after,) = await store.runs(["R1"])
        assert (after.state, after.retries, after.retried_from) == (RunState.QUEUED, 1, Activity.DOWNLOAD)
        assert (after.error, after.finished_at, after.counts) == (None, None, {})
        assert [unfinished.run_id for unfinished in await store.unfinished()] == ["R1"]


async def test_a_task_is_not_forgotten_wholly(tmp_path: Path) -> None:
    """Its checkpoint goes, but that it was asked for stays: it is looked for before another is made."""
    async with open_database(tmp_path, time.time) as store:
        await finished(store, "R1", "P1")
        await store.retry_run((await store.runs(["R1"]))[0], Activity.GET_PATIENT)
        assert await left(store, "R1") == {Activity.CREATE_TASK: ({"sent": 1}, None)}


async def test_nothing_is_forgotten_where_it_is_too_late(tmp_path: Path) -> None:
    """A run that has gone on meanwhile, or whose patient has another, stays as it is."""
    async with open_database(tmp_path, time.time) as store:
        await finished(store, "R1", "P1")
        (old,) = await store.runs(["R1"])
        await store.create_runs({"P1": "R2"}, 0)
        await store.retry_run(old, Activity.SEARCH)
        assert await store.runs(["R1"]) == [old]
        assert len(await left(store, "R1")) == len(Activity)
        await store.finish_run("R2", RunState.COMPLETED, {}, None, None)
        await store.retry_run(old, Activity.REPORT)
        await store.retry_run(old, Activity.GET_PATIENT)  # by somebody who looked before
        assert Activity.STORE in await left(store, "R1")
        store.start_run("R1")
        await store.retry_run(old, Activity.REPORT)  # likewise
        assert Activity.STORE in await left(store, "R1")


async def test_a_run_that_is_given_up(tmp_path: Path) -> None:
    """It stays unfinished until the tracker is reported, and its patient may have a new run meanwhile."""
    async with open_database(tmp_path, time.time) as store:
        await store.create_runs({"P1": "R1"}, 0)
        await store.cancel_run("R1")
        store.start_run("R1")
        await store.create_runs({"P1": "R2"}, 0)
        states = {run.run_id: run.state for run in await store.unfinished()}
        assert states == {"R1": RunState.CANCELLING, "R2": RunState.QUEUED}
        await store.finish_run("R2", RunState.COMPLETED, {}, None, None)
        await store.cancel_run("R2")
        assert (await store.runs(["R2"]))[0].state is RunState.COMPLETED
