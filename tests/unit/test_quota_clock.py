"""Ages of grants are those of the time since boot: no step of the wall clock, at any time, frees a place."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from docpipe.checkpoints import boottime, open_database
from docpipe.gates import Quota
from docpipe.model import Rate, Ticket
from tests import virtual

pytestmark = pytest.mark.virtual
RATE = Rate(2, 60.0)
YEAR = 365 * 86400.0
STEPS = {"forwards": 7200.0, "backwards": -7200.0, "to 1970": -virtual.EPOCH_S + 100, "a year on": YEAR}
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


@pytest.fixture
def boots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """What the system gives as the id of its boot; None where it has none."""
    path = tmp_path / "boot_id"
    monkeypatch.setattr(boottime, "_BOOT_ID", path)

    def boot(name: str | None) -> None:
        path.unlink(missing_ok=True)
        if name is not None:
            path.write_text(f"{name}\n")

    boot("first")
    return boot


def stepped(step: float) -> Callable[[], float]:
    return lambda: virtual.wall_clock() + step


@contextlib.asynccontextmanager
async def process(folder: Path, step: float = 0.0, rate: Rate = RATE):
    """A process with one quota; the wall clock is ahead by `step`."""
    folder.mkdir(exist_ok=True)
    async with open_database(folder, stepped(step)) as store:
        quota = await Quota.restored("docex.search", rate, stepped(step), store.ledger)
        await store.ledger.begin_life()
        async with quota:
            yield quota
            store.ledger.end_life()


async def kill(folder: Path, target: Path) -> None:
    """What a process leaves that is killed now."""
    await asyncio.sleep(0)
    target.mkdir()
    with (
        contextlib.closing(sqlite3.connect(folder / "checkpoints.db")) as db,
        contextlib.closing(sqlite3.connect(target / "checkpoints.db")) as copy,
    ):
        db.backup(copy)


async def spend(quota: Quota) -> float:
    async with quota.place(Ticket()) as place:
        place.answered()
    return asyncio.get_running_loop().time()


@each_step
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
async def test_a_step_between_two_processes(tmp_path: Path, boots: object, step: float, killed: bool) -> None:
    """The next process waits for exactly the rest of the window."""
    left = tmp_path / "state"
    async with process(left) as quota:
        sent = [await spend(quota), await spend(quota)]
        if killed:
            await asyncio.sleep(1)
            await kill(left, left := tmp_path / "left")
    await asyncio.sleep(20)
    async with process(left, step) as quota:
        assert quota.view().used == 2
        third = await spend(quota)
    assert 60 < third - sent[0] < 61


@each_step
async def test_a_step_within_a_process(tmp_path: Path, boots: object, step: float) -> None:
    """What is written down after the step has the age that it has."""
    state, steps = tmp_path / "state", [0.0]
    state.mkdir()
    async with open_database(state, lambda: virtual.wall_clock() + steps[0]) as store:
        quota = await Quota.restored("docex.search", RATE, virtual.wall_clock, store.ledger)
        await store.ledger.begin_life()
        sent = [await spend(quota)]
        steps[0] = step
        await asyncio.sleep(10)
        sent.append(await spend(quota))
        await store.ledger.begin_life()
        await kill(state, tmp_path / "left")
        await quota.__aexit__(None, None, None)
    async with process(tmp_path / "left", step) as quota:
        assert quota.view().used == 2
        sent += [await spend(quota), await spend(quota)]
    assert 60 < sent[2] - sent[0] < 61
    assert 60 < sent[3] - sent[1] < 61


@each_step
@pytest.mark.parametrize("rate", [RATE, Rate(3, 2.0)], ids=["long window", "short window"])
async def test_another_boot_waits_for_one_window(
    tmp_path: Path, boots: Callable[[str | None], None], step: float, rate: Rate
) -> None:
    """How long the machine was off, nobody knows: what was spent counts from now, and no longer than that."""
    async with process(tmp_path / "state", rate=rate) as quota:
        for _ in range(rate.n):
            await spend(quota)
        await asyncio.sleep(0.1)
        await kill(tmp_path / "state", tmp_path / "left")
    boots("second")
    began = asyncio.get_running_loop().time()
    async with process(tmp_path / "left", step, rate) as quota:
        assert rate.per - 1 < await spend(quota) - began < rate.per + 4.2
        await asyncio.sleep(rate.per + 4)
        again = asyncio.get_running_loop().time()
        assert await spend(quota) == pytest.approx(again, abs=0.01)


async def test_a_snapshot_that_is_set_back(tmp_path: Path, boots: object) -> None:
    """The time since boot is earlier than it was: nothing is taken for older than it is known to be."""
    async with process(tmp_path / "state") as quota:
        await spend(quota)
        await spend(quota)
        await kill(tmp_path / "state", tmp_path / "left")
    with contextlib.closing(sqlite3.connect(tmp_path / "left" / "checkpoints.db")) as db, db:
        db.execute("UPDATE clock SET ahead = ahead - 1000")
    began = asyncio.get_running_loop().time()
    async with process(tmp_path / "left") as quota:
        assert 59 < await spend(quota) - began < 61


async def test_a_429_does_not_age_what_was_spent_before_a_boot(
    tmp_path: Path, boots: Callable[[str | None], None]
) -> None:
    """A clean stop notes a closed quota as spent later; that moment is not taken for the latest known."""
    async with process(tmp_path / "state") as quota:
        await spend(quota)
        await spend(quota)
        quota.close(300.0, "429")
    boots("second")
    began = asyncio.get_running_loop().time()
    async with process(tmp_path / "state") as quota:
        assert await spend(quota) - began > 59


@pytest.mark.parametrize("step", [0.0, -7200.0], ids=["not set", "backwards"])
async def test_a_system_without_ids_of_boots(
    tmp_path: Path, boots: Callable[[str | None], None], step: float
) -> None:
    """There the wall clock counts, as long as it does not go backwards."""
    boots(None)
    async with process(tmp_path / "state") as quota:
        sent = await spend(quota)
        await spend(quota)
    await asyncio.sleep(20)
    async with process(tmp_path / "state", step) as quota:
        waited = 60 if step == 0 else 80
        assert waited < await spend(quota) - sent < waited + 1


async def test_a_clock_that_is_not_set_moves_nothing(tmp_path: Path, boots: object) -> None:
    """Stored times are written again only where the clock was set."""
    async with process(tmp_path / "state") as quota:
        await spend(quota)
    before = rows(tmp_path / "state")
    await asyncio.sleep(5)
    async with process(tmp_path / "state"):
        pass
    assert rows(tmp_path / "state") == before


def rows(folder: Path) -> list[tuple[float, float]]:
    with contextlib.closing(sqlite3.connect(folder / "checkpoints.db")) as db:
        return db.execute("SELECT at, answered FROM grants").fetchall()
