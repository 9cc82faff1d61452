"""docpipe or one of its services is paused, for an hour and through a restart, in virtual time."""

import asyncio
import random
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.app import Docpipe
from docpipe.config.config import Config
from docpipe.errors import UsageError
from docpipe.model import Patient, RunState, WaitKind
from docpipe.patients import PatientDatabase
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of

pytestmark = pytest.mark.virtual


async def prepared(plan: Plan, running: fakes.Running) -> Config:
    config = config_of(plan, running)
    database = PatientDatabase(config.patients.url)
    await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(plan.patients)])
    await database.aclose()
    return config


def opened(config: Config):
    return app.opened(
        config, clock=virtual.wall_clock, rng=random.Random(1), converter=CONVERTER, inline=True
    )


def waits(docpipe: Docpipe) -> set[tuple[WaitKind, str]]:
    """What the runs under way wait for."""
    found = {run.doing()["activity"]: run.doing()["wait"] for run in docpipe.engine.runs.values()}
    return {(wait["kind"], wait["what"]) for wait in found.values() if wait}


async def test_everything_is_paused(tmp_path: Path) -> None:
    """No activity begins while docpipe is paused, also after a restart; then all goes on from there."""
    plan = Plan(tmp_path, patients=20, options={"search_seconds": (30.0, 60.0)})
    async with fakes.serve(options_of(plan)) as running:
        config = await prepared(plan, running)
        async with opened(config) as docpipe:
            runs = await docpipe.engine.submit(ids(20))
            await asyncio.sleep(60.0)
            await docpipe.pause(None)
            since = docpipe.engine.paused_since
            await asyncio.sleep(300.0)  # what was under way ends
            seen = len(running.docex.requests) + len(running.tracker.requests)
            assert waits(docpipe) == {(WaitKind.PAUSE, "")}
            await asyncio.sleep(3600.0)
            assert len(running.docex.requests) + len(running.tracker.requests) == seen
            await docpipe.engine.stop()
        async with opened(config) as docpipe:
            assert docpipe.engine.paused_since == since
            await docpipe.engine.resume()
            await asyncio.sleep(600.0)
            assert len(running.docex.requests) + len(running.tracker.requests) == seen
            await docpipe.unpause(None)
            await docpipe.engine.wait()
            ended = await docpipe.checkpoints.runs([run.run_id for run in runs])
            assert {run.state for run in ended} == {RunState.COMPLETED}
            assert await docpipe.checkpoints.pauses() == {}
        assert len(running.docex.searches) == 20


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_one_service_is_paused(tmp_path: Path, down: bool) -> None:
    """Nobody is sent to a service that is paused, not even a probe; the other goes on being used."""
    plan = Plan(tmp_path, patients=5, options={"search_seconds": (30.0, 60.0)})
    async with fakes.serve(options_of(plan)) as running:
        config = await prepared(plan, running)
        async with opened(config) as docpipe:
            runs = await docpipe.engine.submit(ids(5))
            if down:
                running.add_fault("docex.* 503")
            await asyncio.sleep(20.0)
            await docpipe.pause("docex")
            await asyncio.sleep(60.0)
            seen, told = len(running.docex.requests), len(running.tracker.requests)
            running.clear_faults()
            await asyncio.sleep(3600.0)
            assert (len(running.docex.requests), len(running.tracker.requests)) == (seen, told)
            assert waits(docpipe) == {(WaitKind.PAUSE, "docex")}
            assert docpipe.services["docex"].view().paused_since is not None
            assert docpipe.services["docex"].up is not down
            await docpipe.engine.stop()
        async with opened(config) as docpipe:
            await docpipe.engine.resume()
            await asyncio.sleep(600.0)
            assert len(running.docex.requests) == seen
            await docpipe.unpause("docex")
            await docpipe.engine.wait()
            ended = await docpipe.checkpoints.runs([run.run_id for run in runs])
            assert {run.state for run in ended} == {RunState.COMPLETED}
            with pytest.raises(UsageError, match="no service 'printer'"):
                await docpipe.pause("printer")


async def test_a_run_that_is_paused_can_be_cancelled(tmp_path: Path) -> None:
    """A run that waits because of the pause is cancelled when docpipe goes on, and the tracker told then."""
    plan = Plan(tmp_path, patients=1, options={"patient_seconds": {"S00000": 600.0}})
    async with fakes.serve(options_of(plan)) as running, opened(await prepared(plan, running)) as docpipe:
        (run,) = await docpipe.engine.submit(ids(1))
        await asyncio.sleep(60.0)
        await docpipe.pause(None)
        assert (await docpipe.engine.cancel(run.run_id)).state is RunState.CANCELLING
        await asyncio.sleep(600.0)
        ((_, task),) = running.tracker.tasks.items()
        assert task.status == "in_progress"
        await docpipe.unpause(None)
        await docpipe.engine.wait()
        assert (await docpipe.checkpoints.runs([run.run_id]))[0].state is RunState.CANCELLED
        assert task.history[-1] == "cancelled" or running.tracker.tasks[task.id].status == "cancelled"
