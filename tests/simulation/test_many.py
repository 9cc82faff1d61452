"""Many patients at once: they are taken a slice at a time, and others have their turn between."""

import asyncio
import contextlib
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.model import RunState
from tests import virtual
from tests.simulation.world import Plan, config_of, ids, options_of

MANY = 5000


@contextlib.asynccontextmanager
async def opened(plan: Plan):
    async with (
        fakes.serve(options_of(plan)) as running,
        app.opened(config_of(plan, running), clock=virtual.wall_clock, inline=True) as docpipe,
    ):
        yield docpipe


@pytest.mark.virtual
async def test_others_have_their_turn_while_many_are_taken(tmp_path: Path) -> None:
    """Taking patients leaves the loop to others several times; all stand in line at the end, in order."""
    plan = Plan(tmp_path)
    async with opened(plan) as docpipe:
        docpipe.engine.pause()
        taking = asyncio.create_task(docpipe.engine.submit(ids(MANY)))
        seen = set()
        while not taking.done():
            await asyncio.sleep(0)
            seen.add(docpipe.engine.waiting)
        assert len(seen) > 4
        assert docpipe.engine.waiting == MANY
        order = [run.patient_id for run in docpipe.engine.queued]
        assert order == ids(MANY)


@pytest.mark.virtual
async def test_a_run_that_is_cancelled_while_many_are_taken(tmp_path: Path) -> None:
    """A run that was read as queued and cancelled before its turn to stand in line does not stand there."""
    plan = Plan(tmp_path)
    async with opened(plan) as docpipe:
        docpipe.engine.pause()
        taking = asyncio.create_task(docpipe.engine.submit(ids(MANY)))
        while not docpipe.engine.waiting:
            await asyncio.sleep(0)
        (last,) = await docpipe.checkpoints.listing.page(limit=1)
        cancelled = await docpipe.engine.cancel(last.run_id)
        assert last.run_id in {run.run_id for run in await taking}
        assert cancelled.state is RunState.CANCELLING
        assert docpipe.engine.waiting == MANY - 1
        assert last.run_id not in {run.run_id for run in docpipe.engine.queued}
