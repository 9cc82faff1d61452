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
    positions = [run.doing() for run in docpipe.engine.runs.values()]
    return {(one.wait.kind, one.wait.what) for one in positions if one is not None and one.wait is not None}


async def test_everything_is_paused(tmp_path: Path) -> None:
    """No activity begins while docpipe is paused, also after a restart; then all continues from there."""
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
            await asyncio.sleep(900.0)
            assert len(running.docex.requests) + len(running.tracker.requests) == seen
            await docpipe.engine.stop()
        async with opened(config) as docpipe:
            assert docpipe.engine.paused_since == since
            await docpipe.engine.resume()
            await asyncio.sleep(300.0)
            assert len(running.docex.requests) + len(running.tracker.requests) == seen
            await docpipe.unpause(None)
            await docpipe.engine.wait()
            ended = await docpipe.checkpoints.runs([run.run_id for run in runs])
            assert {run.state for run in ended} == {RunState.COMPLETED}
            assert await docpipe.checkpoints.pauses() == {}
        assert len(running.docex.searches) == 20


def arrivals(running: fakes.Running) -> list[float]:
    """When each request came to a service."""
    servers = (running.docex, running.tracker, running.archive)
    return sorted(seen.at for server in servers for seen in server.requests)


@pytest.mark.parametrize("moment", [4.0, 31.5, 95.0], ids=["searches", "polls", "downloads"])
async def test_a_pause_of_everything_holds_who_stands_in_line(tmp_path: Path, moment: float) -> None:
    """What is on the wire ends, and nothing more leaves: no search, poll, download or report in line."""
    options = {"search_seconds": (30.0, 60.0), "latency": 0.4}
    plan = Plan(tmp_path, patients=40, options=options, docex={"max_downloads": 1})
    async with fakes.serve(options_of(plan)) as running, opened(await prepared(plan, running)) as docpipe:
        runs = await docpipe.engine.submit(ids(40))
        await asyncio.sleep(moment)
        assert docpipe.quotas["docex.search"].waiting
        before = asyncio.get_running_loop().time()
        await docpipe.pause(None)
        await asyncio.sleep(300.0)
        assert max(arrivals(running)) <= before + 0.5
        assert waits(docpipe) == {(WaitKind.PAUSE, "")}
        assert all(service.paused_since is None for service in docpipe.services.values())
        await docpipe.unpause(None)
        await docpipe.engine.wait()
        ended = await docpipe.checkpoints.runs([run.run_id for run in runs])
        assert {run.state for run in ended} == {RunState.COMPLETED}
        searched = [search.person.id for search in running.docex.searches.values()]
        bursts = [searched[first : first + 10] for first in range(0, 40, 10)]  # sent in the same moment
        assert [id_ for burst in bursts for id_ in sorted(burst)] == ids(40)


async def test_a_service_that_comes_to_be_known_during_a_pause_is_paused(tmp_path: Path) -> None:
    """The origin of archives is known from the first download on; until `unpause` nothing is sent there."""
    plan = Plan(tmp_path)
    async with fakes.serve(options_of(plan)) as running, opened(await prepared(plan, running)) as docpipe:
        await docpipe.pause(None)
        gate = docpipe.gates.archives("http://archives.example:80")
        assert gate.service.wait() is not None
        await docpipe.unpause(None)
        assert gate.service.wait() is None


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_one_service_is_paused(tmp_path: Path, down: bool) -> None:
    """Nothing is sent to a paused service, not even a probe; the other service is used on."""
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
            seen, reported = len(running.docex.requests), len(running.tracker.requests)
            running.clear_faults()
            await asyncio.sleep(900.0)
            assert (len(running.docex.requests), len(running.tracker.requests)) == (seen, reported)
            assert waits(docpipe) == {(WaitKind.PAUSE, "docex")}
            assert docpipe.services["docex"].view().paused_since is not None
            assert docpipe.services["docex"].up is not down
            await docpipe.engine.stop()
        async with opened(config) as docpipe:
            await docpipe.engine.resume()
            await asyncio.sleep(300.0)
            assert len(running.docex.requests) == seen
            await docpipe.unpause("docex")
            await docpipe.engine.wait()
            ended = await docpipe.checkpoints.runs([run.run_id for run in runs])
            assert {run.state for run in ended} == {RunState.COMPLETED}
            with pytest.raises(UsageError, match="no service 'printer'"):
                await docpipe.pause("printer")


async def test_a_run_that_is_paused_can_be_cancelled(tmp_path: Path) -> None:
    """A run that waits for the end of a pause is cancelled then, and its task with it."""
    plan = Plan(tmp_path, patients=1, options={"patient_seconds": {"S00000": 600.0}})
    async with fakes.serve(options_of(plan)) as running, opened(await prepared(plan, running)) as docpipe:
        (run,) = await docpipe.engine.submit(ids(1))
        await asyncio.sleep(60.0)
        await docpipe.pause(None)
        assert (await docpipe.engine.cancel(run.run_id)).state is RunState.CANCELLING
        await asyncio.sleep(300.0)
        ((_, task),) = running.tracker.tasks.items()
        assert task.status == "in_progress"
        await docpipe.unpause(None)
        await docpipe.engine.wait()
        assert (await docpipe.checkpoints.runs([run.run_id]))[0].state is RunState.CANCELLED
        assert task.history[-1] == "cancelled" or running.tracker.tasks[task.id].status == "cancelled"
