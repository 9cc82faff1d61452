"""What a command waits for when another has ended a moment before, in virtual time."""

import asyncio
import random
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.config.config import Config
from docpipe.model import Patient, RunState
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


def moments(running: fakes.Running, operation: str) -> list[float]:
    """When such requests came, in seconds since the first of them."""
    seen = [seen.at for seen in running.docex.requests if seen.operation == operation]
    return [round(at - seen[0], 1) for at in seen]


@pytest.mark.parametrize(("spacing", "gaps"), [("burst", [0.0] * 10), ("even", [6.0 * n for n in range(10)])])
async def test_a_fresh_quota(tmp_path: Path, spacing: str, gaps: list[float]) -> None:
    """Ten patients at 10/min search as soon as their tasks are made, or one every 6 s."""
    plan = Plan(tmp_path, docex={"spacing": spacing}, tracker_rate=None)
    async with fakes.serve(options_of(plan)) as running, opened(await prepared(plan, running)) as docpipe:
        await docpipe.engine.submit(ids(10))
        await docpipe.engine.wait()
        assert moments(running, "docex.search") == pytest.approx(gaps, abs=0.3)
        assert running.count_429() == 0


async def test_after_a_clean_end_nothing_is_waited_for(tmp_path: Path) -> None:
    """A second command right after the first takes as long as the first; the quotas have room for both."""
    plan = Plan(tmp_path, patients=2, options={"search_seconds": (5.0, 5.0)})
    took = []
    async with fakes.serve(options_of(plan)) as running:
        config = await prepared(plan, running)
        for patient in ids(2):
            async with opened(config) as docpipe:
                began = virtual.wall_clock()
                (run,) = await docpipe.engine.submit([patient])
                await docpipe.engine.wait()
                took.append(virtual.wall_clock() - began)
                (ended,) = await docpipe.checkpoints.runs([run.run_id])
                assert ended.state is RunState.COMPLETED
        assert running.count_429() == 0
    assert took[1] == pytest.approx(took[0], abs=0.5)


async def test_what_is_spent_is_waited_for(tmp_path: Path) -> None:
    """Ten searches of a command that has ended count in the next: its first search comes a window later."""
    plan = Plan(tmp_path, patients=11, options={"search_seconds": (5.0, 5.0)}, tracker_rate=None)
    async with fakes.serve(options_of(plan)) as running:
        config = await prepared(plan, running)
        for some in (ids(10), ids(11)[10:]):
            async with opened(config) as docpipe:
                await docpipe.engine.submit(some)
                await docpipe.engine.wait()
                await asyncio.sleep(1.0)
        assert running.count_429() == 0
        assert moments(running, "docex.search")[-1] == pytest.approx(60.0, abs=0.5)
