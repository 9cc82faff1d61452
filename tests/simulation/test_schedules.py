"""Schedules in virtual time: patients are retrieved again for weeks, through stops, crashes and pauses."""

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.checkpoints import StoredRun
from docpipe.config.config import Config
from docpipe.config.schedule import Schedule
from docpipe.errors import UsageError
from docpipe.model import Patient, RunState
from docpipe.patients import PatientDatabase
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of

pytestmark = pytest.mark.virtual

HOUR, DAY = 3600.0, 86400.0
OFTEN = Schedule(name="often", patients=("all",), every="2h")
CRON = Schedule(name="cron", patients=("all",), every="0 1-23/3 * * *", zone="Europe/Berlin")
"""The first time is an hour after the start, at ten in Berlin."""


@pytest.fixture(autouse=True)
def notes_are_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions are noted for `status` each second, which would be most of the work of these weeks."""
    monkeypatch.setattr("docpipe.engine.engine._NOTE_S", 900.0)


@contextlib.asynccontextmanager
async def world(folder: Path, *schedules: Schedule, patients: int = 20) -> AsyncIterator[Config]:
    """The fakes, and a configuration in the folder that has these schedules."""
    plan = Plan(folder, patients=patients)
    async with fakes.serve(options_of(plan)) as running:
        source = folder / "config.toml"
        config = replace(config_of(plan, running), schedule=schedules, source=source)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(patients)])
        await database.aclose()
        yield config


def opened(config: Config):
    return app.opened(
        config, clock=virtual.wall_clock, rng=random.Random(1), converter=CONVERTER, inline=True
    )


@contextlib.asynccontextmanager
async def serving(config: Config) -> AsyncIterator[app.Docpipe]:
    """As `docpipe serve` does."""
    async with opened(config) as docpipe:
        await docpipe.engine.resume()
        async with docpipe.scheduler:
            yield docpipe
        await docpipe.engine.stop()


async def runs_of(docpipe: app.Docpipe) -> list[StoredRun]:
    return await docpipe.checkpoints.listing.page(limit=10_000)


async def test_patients_are_retrieved_again(tmp_path: Path) -> None:
    """Each patient once in two hours, at a time of its own, far below the priority of others."""
    async with world(tmp_path, OFTEN) as config, serving(config) as docpipe:
        await asyncio.sleep(6 * HOUR)
        runs = await runs_of(docpipe)
        assert Counter(run.patient_id for run in runs) == dict.fromkeys(ids(20), 3)
        assert {(run.priority, run.state) for run in runs} == {(-9, RunState.COMPLETED)}
        for patient_id in ids(20):
            times = sorted(run.created_at for run in runs if run.patient_id == patient_id)
            assert [round(later - earlier) for earlier, later in itertools.pairwise(times)] == [
                2 * HOUR,
                2 * HOUR,
            ]
        parts = Counter(int(run.created_at // 1200.0) for run in runs)
        assert max(parts.values()) <= 9
        (view,) = docpipe.scheduler.views()
        assert (view.members, view.trouble, view.stored.paused) == (20, None, None)
        assert view.stored.last_at == max(run.created_at for run in runs)
        now = virtual.wall_clock()
        assert now < view.next_at < now + 2 * HOUR


async def test_a_cron_expression(tmp_path: Path) -> None:
    """All within the hour after its times; how many have begun is counted anew each time."""
    async with world(tmp_path, CRON) as config, serving(config) as docpipe:
        began = virtual.wall_clock()
        await asyncio.sleep(6 * HOUR)
        runs = await runs_of(docpipe)
        assert Counter(run.patient_id for run in runs) == dict.fromkeys(ids(20), 2)
        assert {int((run.created_at - began) // HOUR) for run in runs} == {1, 4}
        (view,) = docpipe.scheduler.views()
        assert view.stored.begun == 20


async def test_times_that_were_missed_are_made_up_once(tmp_path: Path) -> None:
    """After a stop of a month each patient begins once at the start, and then at its usual time."""
    async with world(tmp_path, CRON) as config:
        async with serving(config) as docpipe:
            await asyncio.sleep(2.5 * HOUR)
            assert len(await runs_of(docpipe)) == 20
        await asyncio.sleep(30 * DAY + 0.5 * HOUR)
        async with serving(config) as docpipe:
            started = virtual.wall_clock()
            await asyncio.sleep(600.0)
            made_up = [run for run in await runs_of(docpipe) if run.created_at >= started]
            assert sorted(run.patient_id for run in made_up) == ids(20)
            await asyncio.sleep(2 * HOUR)
            assert len(await runs_of(docpipe)) == 60


async def test_a_schedule_that_is_new_makes_up_nothing(tmp_path: Path) -> None:
    """From its first start on; and one that is not configured any more is forgotten."""
    async with world(tmp_path, OFTEN) as config:
        async with serving(config):
            await asyncio.sleep(60.0)
        await asyncio.sleep(30 * DAY)
        async with serving(replace(config, schedule=(CRON,))) as docpipe:
            await asyncio.sleep(60.0)
            assert [view.schedule.name for view in docpipe.scheduler.views()] == ["cron"]
            assert await runs_of(docpipe) == []
        async with serving(config) as docpipe:
            await asyncio.sleep(60.0)
            assert await runs_of(docpipe) == []


async def test_a_pause_survives_restarts_and_is_not_made_up(tmp_path: Path) -> None:
    """Nothing begins while a schedule is paused; what was due meanwhile waits for the next round."""
    async with world(tmp_path, CRON, OFTEN) as config:
        async with serving(config) as docpipe:
            await docpipe.scheduler.pause("cron")
            since = virtual.wall_clock()
            with pytest.raises(UsageError, match="no schedule 'hourly'; there are cron, often"):
                await docpipe.scheduler.pause("hourly")
        async with serving(config) as docpipe:
            await asyncio.sleep(4 * HOUR)
            cron, often = docpipe.scheduler.views()
            assert (cron.stored.paused, cron.next_at, cron.stored.last_at) == (since, None, None)
            assert often.stored.paused is None
            before = await runs_of(docpipe)
            assert Counter(run.patient_id for run in before) == dict.fromkeys(ids(20), 2)
            await docpipe.scheduler.unpause("cron")
            await asyncio.sleep(60.0)
            assert len(await runs_of(docpipe)) <= len(before) + 2  # of the other schedule
            await asyncio.sleep(4 * HOUR)
            assert docpipe.scheduler.views()[0].stored.begun == 20


async def test_a_pause_of_everything_holds_schedules(tmp_path: Path) -> None:
    """The patients are not even read; after it who was due begins once."""
    async with world(tmp_path, CRON) as config:
        async with serving(config) as docpipe:
            await docpipe.pause(None)
        async with serving(config) as docpipe:
            await asyncio.sleep(3 * HOUR)
            assert docpipe.scheduler.views()[0].members is None
            assert await runs_of(docpipe) == []
            await docpipe.unpause(None)
            await asyncio.sleep(600.0)
            assert sorted(run.patient_id for run in await runs_of(docpipe)) == ids(20)


async def test_urgent_work_passes_first(tmp_path: Path) -> None:
    """A patient submitted while 300 scheduled runs wait is searched next, also one of those patients."""
    async with world(tmp_path, CRON, patients=300) as config:
        async with serving(config):
            pass
        await asyncio.sleep(3 * DAY)
        async with serving(config) as docpipe:
            await asyncio.sleep(30.0)
            assert docpipe.engine.waiting > 200
            queued = docpipe.engine.queued[-1].patient_id
            (run,) = await docpipe.engine.submit([queued])
            assert run.priority == 0
            await asyncio.sleep(120.0)
            (urgent,) = await docpipe.checkpoints.runs([run.run_id])
            assert urgent.started_at is not None
            assert urgent.started_at < urgent.created_at + 120.0
            assert docpipe.engine.waiting > 150
            await docpipe.engine.wait()
            assert Counter(one.patient_id for one in await runs_of(docpipe)) == dict.fromkeys(ids(300), 1)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_neither_loses_nor_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """docpipe dies at each tenth submission, before or after it is on the disk: each patient runs once."""
    async with world(tmp_path, CRON, patients=60) as config:
        async with serving(config):
            await asyncio.sleep(1.0)
        await asyncio.sleep(HOUR - 1.0)
        crashes = 0
        while True:
            submissions = 0
            async with serving(config) as docpipe:
                accept, died = docpipe.scheduler._submit, asyncio.Event()

                async def dying(*args, accept=accept, died=died):
                    nonlocal submissions
                    submissions += 1
                    if submissions == 10 and moment == "before":
                        died.set()
                        await asyncio.Event().wait()
                    done = await accept(*args)
                    if submissions == 10:
                        died.set()
                        await asyncio.Event().wait()
                    return done

                monkeypatch.setattr(docpipe.scheduler, "_submit", dying)
                try:
                    await asyncio.wait_for(died.wait(), 1800.0)
                    crashes += 1
                except TimeoutError:
                    break
        async with serving(config) as docpipe:
            await asyncio.sleep(900.0)
            assert Counter(run.patient_id for run in await runs_of(docpipe)) == dict.fromkeys(ids(60), 1)
        assert crashes >= 4


async def test_files_and_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule is for those of a file, which is read anew, or for those who meet conditions."""
    monkeypatch.setattr("docpipe.schedule.scheduler.REFRESH_S", 600.0)
    listed = Schedule(name="listed", patients=("some.csv",), every="1h")
    born = Schedule(name="born", patients=("id=S00003", "birth_date<1960-01-01"), every="1h")
    (tmp_path / "some.csv").write_text("id\nS00001\nS00002\n\nno\tid\n", "utf-8")
    async with world(tmp_path, listed, born) as config, serving(config) as docpipe:
        await asyncio.sleep(HOUR + 60.0)
        first = {run.patient_id for run in await runs_of(docpipe)}
        assert first == {"S00001", "S00002", "S00003"}
        (tmp_path / "some.csv").write_text("id\nS00002\nS00005\n", "utf-8")
        await asyncio.sleep(660.0)
        read = virtual.wall_clock()
        await asyncio.sleep(HOUR)
        second = {run.patient_id for run in await runs_of(docpipe) if run.created_at > read}
        assert second == {"S00002", "S00003", "S00005"}
        (tmp_path / "some.csv").unlink()
        await asyncio.sleep(660.0)
        read = virtual.wall_clock()
        view, _ = docpipe.scheduler.views()
        assert "some.csv cannot be read" in view.trouble
        assert view.members == 2
        await asyncio.sleep(HOUR)
        third = {run.patient_id for run in await runs_of(docpipe) if run.created_at > read}
        assert third == {"S00002", "S00003", "S00005"}
        (tmp_path / "some.csv").write_text("id\nS00002\n", "utf-8")
        await asyncio.sleep(180.0)
        assert docpipe.scheduler.views()[0].trouble is None


@pytest.mark.parametrize(
    ("patients", "reason"),
    [
        (("nobody.csv",), "nobody.csv cannot be read"),
        (("empty.csv",), "empty.csv names no patient"),
        (("ward=B2",), "ward"),
    ],
)
async def test_what_cannot_be_used_is_an_error_at_the_start(
    tmp_path: Path, patients: tuple[str, ...], reason: str
) -> None:
    """A file or a column that is not there: the schedule is named, and what is wrong."""
    (tmp_path / "empty.csv").write_text("id\n", "utf-8")
    async with world(tmp_path, Schedule(name="one", patients=patients, every="7d")) as config:
        with pytest.raises(UsageError, match=f"Schedule 'one': .*{reason}"):
            async with serving(config):
                pass
