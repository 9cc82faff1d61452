"""Kill it anywhere while it retries or cancels a run, in virtual time: nothing is lost, and nothing twice."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.check import Scene, findings
from docpipe.checkpoints import StoredRun, read_runs
from docpipe.config.config import Config
from docpipe.engine.engine import Engine
from docpipe.model import Activity, RunState
from docpipe.storage import FolderStorage
from tests import virtual
from tests.simulation.crashes import CONVERTER, FILES, Plan, _options, config_of, prepare, stage
from tests.simulation.lives import Life, lived, prepared

EVERY = 9
"""Every ninth point; set it to 1 for all of them (five minutes)."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with stage(("P1",)) as folder, prepared():
        yield folder


@dataclass
class World:
    """A patient whose first life has been lived."""

    config: Config
    running: fakes.Running

    @property
    def run(self) -> StoredRun:
        (run,) = read_runs(self.config.state_dir)
        return run


async def first_life(engine: Engine, until: Activity | None) -> None:
    """The whole of a run, or as much as comes before an activity."""
    if until is not None:
        engine.listeners.append(
            lambda change: setattr(engine, "stopping", engine.stopping or change.activity == until)
        )
    await engine.submit(["P1"])
    await engine.wait()


async def command(engine: Engine, run: StoredRun, first: Activity | None) -> None:
    """What the user says, and says again where the process died before it was written down."""
    if first is None:
        await engine.cancel(run.run_id)
    elif run.retries == 0:
        await engine.retry(run.run_id, first)
    await engine.resume()
    await engine.wait()


async def tale(folder: Path, first: Activity | None, until: Activity | None, kill: int | None) -> list[str]:
    """A run, then a retry of it or its end, killed at a point, and said again; returns the points passed."""
    disk = folder / "disk"
    async with fakes.serve(_options(Plan(), folder)) as running:
        world = World(config_of(disk, running), running)

        async def live(*, begin: bool) -> None:
            rng = random.Random(0)
            async with app.opened(
                world.config, clock=virtual.wall_clock, rng=rng, converter=CONVERTER, inline=True
            ) as docpipe:
                if begin:
                    await first_life(docpipe.engine, until)
                else:
                    await command(docpipe.engine, world.run, first)

        await lived(Life(disk, None), live(begin=True))
        dying = Life(disk, kill)
        await lived(dying, live(begin=False))
        if dying.dead:
            await lived(Life(disk, None), live(begin=False))
        await judge(world, first)
        return dying.passed


async def judge(world: World, first: Activity | None) -> None:
    run, tracker = world.run, world.running.tracker
    (task,) = tracker.tasks.values()
    if first is None:
        assert (run.state, run.task_id, run.error) == (RunState.CANCELLED, task.id, None)
        assert task.history == ("in_progress", "cancelled")
        assert len(task.notes) == 1
        assert tracker.reports == {}
    else:
        assert (run.state, run.error, run.retries) == (RunState.COMPLETED, None, 1)
        assert len(tracker.reports[task.id]) == 2
        assert len(world.running.docex.searches) == 1 + (first is not Activity.REPORT)
    assert list((world.config.state_dir / "spool").iterdir()) == []
    storage = Path(world.config.storage.url)
    scene = Scene(world.config.state_dir, FolderStorage(storage), beside=False)
    result = [finding async for finding in findings(scene)]
    assert [finding for finding in result if finding.check != "state"] == []  # a life's copy has other modes
    known = {hashlib.sha256(data).hexdigest() for data in FILES.values() if data}
    kept = {hashlib.sha256(path.read_bytes()).hexdigest() for path in storage.glob("*/*/original.*")}
    assert first is None or kept >= known


TALES = [
    (Activity.SEARCH, None),
    (Activity.REPORT, None),
    (Activity.GET_PATIENT, None),
    (None, Activity.DOWNLOAD),
    (None, Activity.STORE),
]


@pytest.mark.parametrize(("first", "until"), TALES)
def test_dead_while_it_does_again_or_gives_up(
    folder: Path, first: Activity | None, until: Activity | None
) -> None:
    """A crash while a run is retried or cancelled, and one recovery, end as they would have without it."""
    prepare(folder)
    whole = virtual.run(tale(folder, first, until, None))
    assert "after the commit" in whole
    for number in range(1, len(whole) + 1, EVERY):
        prepare(folder)
        virtual.run(tale(folder, first, until, number))
