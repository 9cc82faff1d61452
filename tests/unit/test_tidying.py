"""What is old is forgotten, and nothing else; the files give their room back."""

import asyncio
import csv
from pathlib import Path

import pytest

from docpipe.checkpoints import open_database, prune, read_runs
from docpipe.model import Activity, RunState
from docpipe.runtime import activity_log
from docpipe.runtime.activity_log import COLUMNS, ActivityLog, Entry
from docpipe.runtime.retention import EVERY_S, tidied
from tests import virtual

DAY = 86400.0


async def a_run(store, number: int, state: RunState = RunState.COMPLETED, size: int = 10) -> None:
    await store.create_runs({f"P{number}": f"R{number:05d}"}, 0)
    for item in range(3):
        store.begin_step(f"R{number:05d}", Activity.CONVERT, str(item))
        await store.finish_step(f"R{number:05d}", Activity.CONVERT, str(item), {"x": "x" * size})
    if state.finished:
        await store.finish_run(f"R{number:05d}", state, {"converted": 3}, None, None)


async def test_only_old_and_finished_runs_are_forgotten(tmp_path: Path) -> None:
    """Runs under way stay however old they are, and so does what ended lately."""
    now = [0.0]
    async with open_database(tmp_path, lambda: now[0]) as store:
        for number in range(120):
            now[0] = number * DAY
            await a_run(store, number, RunState.QUEUED if number % 10 == 0 else RunState.FAILED)
        assert await prune(store, before=100 * DAY) == 90
        left = {run.run_id for run in read_runs(tmp_path)}
        assert left == {f"R{n:05d}" for n in range(120) if n % 10 == 0 or n >= 100}
        assert await store.steps("R00011") == []
        assert len(await store.steps("R00010")) == 3
        assert await prune(store, before=100 * DAY) == 0
        store.ledger.note_alive()
        await store.create_runs({"P1": "R1"}, 0)  # and it continues being written to


async def test_the_database_shrinks(tmp_path: Path) -> None:
    """Room that most of its runs have left is given back to the disk; a new database can do that."""
    now = [0.0]
    async with open_database(tmp_path, lambda: now[0]) as store:
        for number in range(150):
            await a_run(store, number, size=40_000)
        await store.writer.exclusive(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        before = (tmp_path / "checkpoints.db").stat().st_size
        now[0] = DAY
        await prune(store, before=DAY)
    assert (tmp_path / "checkpoints.db").stat().st_size < before / 2


@pytest.mark.virtual
async def test_once_an_hour(tmp_path: Path) -> None:
    """A service forgets by itself; `forever` means that it does not."""
    async with open_database(tmp_path, virtual.wall_clock) as store:
        log = ActivityLog(tmp_path, virtual.wall_clock)
        async with log, tidied(store, log, 2 * DAY, virtual.wall_clock):
            await a_run(store, 1)
            await asyncio.sleep(DAY)
            await a_run(store, 2)
            assert len(await store.listing.page()) == 2
            await asyncio.sleep(DAY + EVERY_S)
            assert [run.run_id for run in await store.listing.page()] == ["R00002"]
        async with log_of(tmp_path) as log, tidied(store, log, None, virtual.wall_clock):
            await asyncio.sleep(10 * DAY)
            assert len(await store.listing.page()) == 1


class Clock:
    """A wall clock that can be set."""

    step = 0.0

    def __call__(self) -> float:
        return virtual.wall_clock() + self.step


@pytest.mark.virtual
@pytest.mark.parametrize("hours", [0.1, 5, 23])
async def test_a_clock_far_ahead_for_some_hours_prunes_nothing(tmp_path: Path, hours: float) -> None:
    """Neither in a service that sees it, nor where it is restarted meanwhile, nor twice."""
    clock = Clock()
    async with open_database(tmp_path, clock) as store, log_of(tmp_path) as log:
        await a_run(store, 1)
        async with tidied(store, log, 30 * DAY, clock):
            await asyncio.sleep(DAY)
            clock.step = 200 * DAY
            await asyncio.sleep(hours * EVERY_S / 2)
        async with tidied(store, log, 30 * DAY, clock):
            await asyncio.sleep(hours * EVERY_S / 2)
            clock.step = 0.0
            await asyncio.sleep(DAY)
            clock.step = 900 * DAY
            await asyncio.sleep(hours * EVERY_S)
        assert len(await store.listing.page()) == 1


@pytest.mark.virtual
async def test_a_clock_set_back_at_the_end_of_a_run_makes_it_no_older(tmp_path: Path) -> None:
    """Neither while the clock is on its way back, nor when it is right again."""
    clock = Clock()
    async with open_database(tmp_path, clock) as store, log_of(tmp_path) as log:
        await store.create_runs({"P1": "R1"}, 0)
        clock.step = -400 * DAY
        await store.finish_run("R1", RunState.COMPLETED, {}, None, None)
        for step in (-200 * DAY, 0.0):
            clock.step = step
            async with tidied(store, log, 30 * DAY, clock):
                await asyncio.sleep(2 * DAY)
        assert len(await store.listing.page()) == 1


@pytest.mark.virtual
@pytest.mark.parametrize("off", [2 * DAY, 200 * DAY])
async def test_after_a_long_rest_old_runs_are_pruned_all_the_same(tmp_path: Path, off: float) -> None:
    """A machine that was off for months, or is used once a week, cleans up a day later."""
    clock = Clock()
    async with open_database(tmp_path, clock) as store, log_of(tmp_path) as log:
        await a_run(store, 1)
        async with tidied(store, log, DAY, clock):
            await asyncio.sleep(EVERY_S)
        clock.step = off
        async with tidied(store, log, DAY, clock):
            await asyncio.sleep(EVERY_S)
        await asyncio.sleep(7 * DAY)
        async with tidied(store, log, DAY, clock):
            await asyncio.sleep(EVERY_S)
        assert await store.listing.page() == []


def log_of(folder: Path) -> ActivityLog:
    return ActivityLog(folder, virtual.wall_clock)


@pytest.mark.virtual
async def test_the_activity_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large log is put aside, whole; no line is lost or doubled; old ones are removed in time."""
    monkeypatch.setattr(activity_log, "ROTATE_BYTES", 4000)
    async with log_of(tmp_path) as log:
        for number in range(100):
            entry = Entry(f"R{number}", "P1", Activity.SEARCH, 1, {})
            log.start(entry)
            log.finish(entry, 1.0, "ok")
            await log.flush()
            await asyncio.sleep(60.0)
        files = sorted(tmp_path.glob("activity_log*.csv"))
        assert len(files) > 3
        rows = []
        for file in files:
            with file.open(newline="") as lines:
                header, *more = csv.reader(lines)
            assert tuple(header) == COLUMNS
            rows += more
        assert sorted((row[1], row[4]) for row in rows) == sorted(
            (f"R{number}", event) for number in range(100) for event in ("start", "finish")
        )
        assert await log.prune(virtual.wall_clock() - DAY) == 0
        (tmp_path / "activity_log-notes.csv").touch()
        await asyncio.sleep(2 * DAY)
        assert await log.prune(virtual.wall_clock() - DAY) == len(files) - 1
    assert sorted(path.name for path in tmp_path.glob("activity_log*")) == [
        "activity_log-notes.csv",
        "activity_log.csv",
    ]


@pytest.mark.virtual
async def test_a_log_that_cannot_be_put_aside_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something in the way of the new file is reported, and costs no line."""
    monkeypatch.setattr(activity_log, "ROTATE_BYTES", 500)
    (tmp_path / "activity_log.new").mkdir()
    async with log_of(tmp_path) as log:
        for number in range(20):
            log.finish(Entry(f"R{number}", "P1", Activity.SEARCH, 1, {}), 1.0, "ok")
            await log.flush()
    assert len((tmp_path / "activity_log.csv").read_text().splitlines()) == 21
