"""Runs that fail: their documents so far are counted, reported and kept, and a retry continues there."""

import asyncio
import json

import pytest

import fakes
from docpipe import app
from docpipe.activities.activities import Activities
from docpipe.checkpoints import StoredRun
from docpipe.model import RunState
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of, simulate


class UnforeseenError(Exception):
    """What nobody foresaw."""


def files_of(plan: Plan, run: StoredRun) -> tuple[dict, dict]:
    """The manifest of a run and its report for programs."""
    folder = plan.folder / "storage" / run.patient_id / "runs" / run.run_id
    return tuple(json.loads((folder / f"{name}.json").read_bytes()) for name in ("manifest", "report"))


async def retried(plan: Plan, runs: list[StoredRun]) -> tuple[list[StoredRun], fakes.Running]:
    """Each of them retried by another process, against services without faults that know the tasks."""
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        async with app.opened(config, clock=virtual.wall_clock, converter=CONVERTER, inline=True) as docpipe:
            for run in runs:
                await docpipe.engine.retry(run.run_id)
            await docpipe.engine.wait()
            return await docpipe.checkpoints.runs([run.run_id for run in runs]), running


@pytest.mark.virtual
@pytest.mark.parametrize(
    "fault",
    [
        "tracker.report 400",
        "tracker.report 413",
        "tracker.report 401",
        "tracker.update 400",
        "tracker.update 401",
        "tracker.update 403",
    ],
)
async def test_a_tracker_that_refuses_at_the_end(tmp_path, fault):
    """Documents are stored and counted, manifest and report are there, and the run says what was refused."""
    plan = Plan(tmp_path, patients=3, faults=[fault], options={"state": tmp_path / "fakes.db"})
    runs = (await simulate(plan)).runs
    assert [run.patient_id for run in runs] == ids(3)
    for run in runs:
        assert run.state is RunState.FAILED
        assert "The tracker refused" in run.error
        manifest, report = files_of(plan, run)
        assert run.counts
        assert manifest["counts"] == report["counts"] == run.counts
        assert sum(run.counts.values()) == len(manifest["files"])
    again, running = await retried(Plan(tmp_path, patients=3, options={"state": tmp_path / "fakes.db"}), runs)
    for before, run in zip(runs, again, strict=True):
        assert (run.state, run.error, run.counts) == (RunState.COMPLETED, None, before.counts)
        reports = running.tracker.reports[run.task_id]
        assert len(reports) == (2 if "update" in fault else 1)  # the first of two says what was refused
        assert reports[-1].body.startswith("# Completed")
        assert files_of(plan, run)[1]["run"]["state"] == "completed"


@pytest.mark.virtual
@pytest.mark.parametrize("broken", ["search", "wait_until_ready", "download_and_extract", "convert", "store"])
async def test_an_error_that_nobody_foresaw(tmp_path, monkeypatch, broken):
    """The task is reported, with a report; `retry` continues once the fault is mended."""
    state = {"state": tmp_path / "fakes.db"}
    plan = Plan(tmp_path, patients=2, options=state)
    real = getattr(Activities, broken)

    async def method(self, step, *args):
        if broken == "store" and args[0][2] == "00001":
            return await real(self, step, *args)
        await asyncio.sleep(5)  # in which the first document is stored
        raise UnforeseenError

    with monkeypatch.context() as patched:
        patched.setattr(Activities, broken, method)
        story = await simulate(plan)
    for run in story.runs:
        assert run.state is RunState.FAILED
        assert "docpipe itself failed (UnforeseenError at test_ends.py:" in run.error
        (task,) = story.running.tracker.tasks_of(run.run_id)
        assert (task.status, run.task_id) == ("failed", task.id)
        assert len(story.running.tracker.reports[task.id]) == 1
        manifest, report = files_of(plan, run)
        assert report["run"]["error"] == run.error
        assert manifest["counts"] == run.counts
        if broken == "store":
            assert run.counts["converted"] == 1
    again, running = await retried(Plan(tmp_path, patients=2, options=state), story.runs)
    for run in again:
        assert (run.state, run.error) == (RunState.COMPLETED, None)
        assert [task.status for task in running.tracker.tasks_of(run.run_id)] == ["completed"]
        assert set(run.counts) == {"converted"}
