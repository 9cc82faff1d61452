"""Checkpoint databases of every past version are brought forward, whole or not at all, and resume."""

import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.checkpoints import open_database, read_runs
from docpipe.checkpoints.schema import APPLICATION_ID
from docpipe.checkpoints.tables import MIGRATIONS, VERSION
from docpipe.errors import StateError
from docpipe.model import Activity, Patient, RunState
from docpipe.patients import PatientDatabase
from fakes.docex import Search
from fakes.patients import Person
from fakes.tracker import Task
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of

REDACTED = (Activity.GET_PATIENT, Activity.CHECK_STATUS)
"""Their results lose personal data once a run has ended."""
PERSONAL = """
    SELECT runs.finished_at IS NULL, count(*) FROM steps JOIN runs USING (run_id)
    WHERE result LIKE '%1957-03-31%' OR result LIKE '%signature=%' GROUP BY 1
"""
LAST_ALIVE = 1_800_000_120.0
"""When the processes that wrote the databases were last alive."""
KEPT = sorted((Path(__file__).parent / "data").glob("checkpoints-v*.sql"))
every_version = pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)


def restored(kept: Path, folder: Path) -> Path:
    """The database as that version of docpipe left it."""
    folder.mkdir(exist_ok=True)
    path = folder / "checkpoints.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(kept.read_text("utf-8"))
        db.execute("PRAGMA journal_mode = WAL")
    return path


def shape(path: Path) -> dict[str, object]:
    """Tables with their columns, indexes and triggers."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: db.execute(f"PRAGMA table_xinfo({name})").fetchall() for name in sorted(tables)}
        others = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') ORDER BY name"
        indexes = db.execute(others)
        pragmas = [db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
        return {"columns": columns, "indexes": indexes.fetchall(), "pragmas": pragmas}


def test_every_past_version_is_kept() -> None:
    """There is a database of each version before this one, and a way from each to the next."""
    assert [path.stem for path in KEPT] == [f"checkpoints-v{version}" for version in range(1, VERSION)]
    assert sorted(MIGRATIONS) == list(range(1, VERSION))


@every_version
async def test_the_tables_are_those_of_a_new_database(tmp_path: Path, kept: Path) -> None:
    """What is brought forward differs in nothing from what is made new, and keeps every row."""
    old = restored(kept, tmp_path / "old")
    with contextlib.closing(sqlite3.connect(old)) as db:
        before = {name: rows(db, name) for name in ("runs", "steps", "grants", "process")}
    before["steps"] = [row for row in before["steps"] if row[1] not in REDACTED]
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir(exist_ok=True)
        async with open_database(tmp_path / folder, lambda: LAST_ALIVE):
            pass
    assert shape(old) == shape(tmp_path / "new" / "checkpoints.db")
    with contextlib.closing(sqlite3.connect(old)) as db:
        for name, values in before.items():
            kept_rows = [row for row in rows(db, name) if name != "steps" or row[1] not in REDACTED]
            assert [row[: len(values[0])] for row in kept_rows] == values


@every_version
async def test_runs_are_counted(tmp_path: Path, kept: Path) -> None:
    """The upgrade counts the runs that are there."""
    path = restored(kept, tmp_path)
    async with open_database(tmp_path, time.time) as store:
        counts = await store.listing.counts()
    with contextlib.closing(sqlite3.connect(path)) as db:
        expected = dict(db.execute("SELECT state, count(*) FROM runs GROUP BY state"))
    assert {state: count for state, count in counts.items() if count} == expected
    assert set(counts) == set(RunState)


@pytest.mark.parametrize("lost", ["TABLE run_counts", "TRIGGER run_changed", "TRIGGER run_removed"])
async def test_lost_counters_are_counted_anew(tmp_path: Path, lost: str) -> None:
    """A database without the counters, or a trigger of them, has right ones once it was opened."""
    async with open_database(tmp_path, time.time) as store:
        await store.create_runs({"P1": "R1", "P2": "R2"}, 0)
    with contextlib.closing(sqlite3.connect(tmp_path / "checkpoints.db")) as db, db:
        db.execute(f"DROP {lost}")
        if "TABLE" not in lost:
            db.execute("UPDATE runs SET state = 'failed', finished_at = 1 WHERE run_id = 'R1'")
            db.execute("UPDATE run_counts SET runs = 7 WHERE state = 'queued'")
    async with open_database(tmp_path, time.time) as store:
        actual = await store.listing.counts()
        assert actual[RunState.QUEUED] == (2 if "TABLE" in lost else 1)
        await store.finish_run("R2", RunState.COMPLETED, {}, None, None)
        assert (await store.listing.counts())[RunState.COMPLETED] == 1


@every_version
async def test_finished_runs_lose_demographics_and_links(tmp_path: Path, kept: Path) -> None:
    """The upgrade removes from finished runs what a run of today leaves behind at its end; others keep it."""
    path = restored(kept, tmp_path)
    async with open_database(tmp_path, time.time):
        pass
    with contextlib.closing(sqlite3.connect(path)) as db:
        actual = dict(db.execute(PERSONAL).fetchall())
    assert 0 not in actual
    assert actual[1]


def rows(db: sqlite3.Connection, table: str) -> list[tuple]:
    return db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 -- names of ours


@every_version
def test_looking_changes_nothing(tmp_path: Path, kept: Path) -> None:
    """`docpipe status` reads an old database, and leaves it as it was."""
    path = restored(kept, tmp_path)
    before = path.read_bytes()
    actual = read_runs(tmp_path)
    assert {run.state for run in actual} >= {RunState.COMPLETED, RunState.FAILED, RunState.RUNNING}
    assert {(run.retries, run.retried_from) for run in actual} <= {(0, None), (2, Activity.CONVERT)}
    assert read_runs(tmp_path, actual[0].patient_id) == [actual[0]]
    assert path.read_bytes() == before


def test_tables_that_were_never_made(tmp_path: Path) -> None:
    """A database whose maker died before there were tables has no runs."""
    (tmp_path / "checkpoints.db").touch()
    assert read_runs(tmp_path) == []


@every_version
async def test_a_failure_leaves_the_old_version(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails in the middle of the way has changed nothing; the next start brings it forward."""
    path = restored(kept, tmp_path)
    before = shape(path)
    last = VERSION - 1
    with monkeypatch.context() as patched:
        patched.setitem(MIGRATIONS, last, MIGRATIONS[last] + "DROP TABLE nowhere;")
        with pytest.raises(StateError, match="nowhere"):
            open_database(tmp_path, time.time)
    assert shape(path) == before
    async with open_database(tmp_path, time.time) as store:
        assert await store.unfinished()


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    return Plan(tmp_path, options={"patient_seconds": {"S00004": 2.0}})


@pytest.mark.virtual
@every_version
async def test_runs_of_a_past_version_are_resumed(plan: Plan, kept: Path) -> None:
    """Unfinished runs continue from their checkpoints: no task and no search is made a second time."""
    restored(kept, plan.folder / "state")
    unfinished = [run for run in read_runs(plan.folder / "state") if not run.state.finished]
    async with fakes.serve(options_of(plan)) as running:
        known(plan.folder / "state", running)
        config = config_of(plan, running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(5)])
        await database.aclose()
        rng = random.Random(0)
        async with app.opened(
            config, clock=virtual.wall_clock, rng=rng, converter=CONVERTER, inline=True
        ) as docpipe:
            assert await docpipe.engine.resume() == unfinished
            await docpipe.engine.wait()
            ended = await docpipe.checkpoints.runs([run.run_id for run in unfinished])
        for run in ended:
            assert (run.state, run.counts) == (RunState.COMPLETED, {"converted": 4}), run.error
            (task,) = running.tracker.tasks_of(run.run_id)
            assert task.history == ("in_progress", "completed")
            assert len(running.docex.searches_of(run.patient_id)) == 1


def known(state: Path, running: fakes.Running) -> None:
    """The fakes know the tasks and searches of the old database."""
    with contextlib.closing(sqlite3.connect(state / "checkpoints.db")) as db:
        actual = db.execute(
            "SELECT run_id, patient_id, activity, result ->> '$.task_id', result ->> '$.search_id', "
            "result ->> '$.at' FROM steps JOIN runs USING (run_id) WHERE result IS NOT NULL"
        ).fetchall()
    for run_id, patient_id, activity, task_id, search_id, at in actual:
        if activity == Activity.CREATE_TASK:
            title = f"Documents of patient {patient_id}"
            running.tracker.tasks[task_id] = Task(task_id, title, run_id, "in_progress", ("in_progress",))
        if activity == Activity.SEARCH:
            person = Person(patient_id, "Ann", "Lee", "1957-03-31")
            running.docex._count(Search(search_id, person, at, 200.0, "ready"))


def test_a_version_nobody_knows(tmp_path: Path) -> None:
    """Readers, too, refuse a newer database, which stays as it is."""
    with contextlib.closing(sqlite3.connect(tmp_path / "checkpoints.db")) as db:
        db.executescript(
            f"CREATE TABLE runs (x); PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {VERSION + 1};"
        )
    before = (tmp_path / "checkpoints.db").read_bytes()
    with pytest.raises(StateError, match="newer docpipe"):
        read_runs(tmp_path)
    assert (tmp_path / "checkpoints.db").read_bytes() == before
