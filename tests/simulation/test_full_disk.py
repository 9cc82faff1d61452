"""A disk without room at any one write of a run: it waits, and ends as if nothing had been."""

import errno
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import fakes
from docpipe import app
from tests import virtual
from tests.full_disk import Disk, prepared, watched
from tests.simulation import crashes, invariants
from tests.simulation.crashes import CONVERTER, FILES, Plan, config_of, prepare, stage


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with stage(("P1",)) as folder, prepared():
        yield folder


async def life(plan: Plan, folder: Path, disk: Disk) -> None:
    """One patient from submission to end, on that disk; then the world is held against the invariants."""
    async with fakes.serve(crashes._options(plan, folder)) as running:
        config = config_of(folder / "disk", running, plan)
        async with app.opened(
            config, clock=virtual.wall_clock, rng=random.Random(plan.seed), converter=CONVERTER, inline=True
        ) as docpipe:
            with watched(disk):
                await docpipe.engine.submit(plan.patients)
                await docpipe.engine.wait()
        files = {path: hashlib.sha256(data).hexdigest() if data else None for path, data in FILES.items()}
        if plan.kind == "fhir":
            files = {}
        invariants.judge(
            invariants.After(config.state_dir, folder / "disk" / "storage", running, plan.patients, files)
        )


def lived(plan: Plan, folder: Path, **full: int) -> Disk:
    prepare(folder)
    disk = Disk(folder / "disk", **full)
    virtual.run(life(plan, folder, disk))
    return disk


@pytest.mark.parametrize(
    ("kind", "number"), [("docex", errno.ENOSPC), ("fhir", errno.ENOSPC), ("docex", errno.EROFS)]
)
def test_no_room_at_any_write(folder: Path, kind: str, number: int) -> None:
    """Each write in turn finds no room, once: nothing fails, nothing is lost, nothing is done twice."""
    plan = Plan(kind=kind)
    writes = lived(plan, folder).writes
    assert len(writes) > 100
    assert {"os.rename siblings.json", "os.rename metadata.json", "write activity_log.csv"} <= set(writes)
    failures = []
    for at, what in enumerate(writes, 1):
        try:
            disk = lived(plan, folder, full_at=at, error=number)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is reported with the write
            failures.append(f"{at} ({what}): {type(error).__name__}: {str(error)[:300]}")
        else:
            assert len(disk.writes) >= at
    assert not failures, "\n".join(failures)
