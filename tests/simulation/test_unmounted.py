"""A storage whose disk is not mounted, in virtual time: runs wait, and nothing is written below."""

import asyncio
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.checkpoints import read_runs
from docpipe.errors import StateError
from docpipe.model import RunState
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, simulate


def test_runs_wait_until_it_is_mounted_again(tmp_path: Path) -> None:
    """The status says why; then every run completes with its documents."""
    storage, below, waits = tmp_path / "storage", [], []

    async def unmounted_for_a_while(_: fakes.Running) -> None:
        await asyncio.sleep(1)
        storage.rename(tmp_path / "disk")
        storage.mkdir()
        await asyncio.sleep(600)
        waits.extend(run.doing.wait for run in read_runs(tmp_path / "state") if run.doing and run.doing.wait)
        below.extend(storage.iterdir())
        storage.rmdir()
        (tmp_path / "disk").rename(storage)

    options = {"search_seconds": (5.0, 5.0)}
    story = virtual.run(
        simulate(Plan(tmp_path, patients=3, options=options, meanwhile=unmounted_for_a_while))
    )
    assert below == []
    assert waits
    assert all("the storage is not mounted: mount it again" in wait.what for wait in waits)
    assert [run.state for run in story.runs] == [RunState.COMPLETED] * 3
    assert all(
        (storage / run.patient_id / "runs" / run.run_id / "manifest.json").exists() for run in story.runs
    )


@pytest.mark.virtual
async def test_a_start_without_it_is_refused(tmp_path: Path) -> None:
    """No run begins, and the storage folder stays empty."""
    plan = Plan(tmp_path, patients=1)
    await simulate(plan)
    (tmp_path / "storage").rename(tmp_path / "disk")
    (tmp_path / "storage").mkdir()
    async with fakes.serve() as running:
        opening = app.opened(
            config_of(plan, running), clock=virtual.wall_clock, converter=CONVERTER, inline=True
        )
        with pytest.raises(StateError, match=r"not mounted.*mount it"):
            await opening.__aenter__()
    assert list((tmp_path / "storage").iterdir()) == []
