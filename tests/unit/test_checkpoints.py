"""The checkpoint database: durable, grouped, versioned, readable from outside."""

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from docpipe.checkpoints import Position, StoredRun, open_database, read_runs
from docpipe.checkpoints.schema import APPLICATION_ID, connect, run_of
from docpipe.checkpoints.tables import VERSION
from docpipe.errors import StateError
from docpipe.model import RunState, Wait, WaitKind


async def test_steps_come_back_as_they_were(tmp_path: Path) -> None:
    """States and results survive; tries are counted; a result is in the order of beginning."""
    async with open_database(tmp_path, time.time) as store:
        await store.create_runs({"P1": "R1"}, 3)
        store.begin_step("R1", "Search", "")
        await store.save_step("R1", "Search", "", {"sent": 1})
        store.begin_step("R1", "Search", "")
        store.note_step("R1", "Search", "", {"sent": 2})
        await store.finish_step("R1", "Search", "", {"id": "é\0"})
        store.begin_step("R1", "Convert", "2")
    async with open_database(tmp_path, time.time) as store:
        search, convert = await store.steps("R1")
        assert (search.attempts, search.state, search.result) == (2, {"sent": 2}, {"id": "é\0"})
        assert (convert.item, convert.result, convert.finished_at) == ("2", None, None)
        assert [run.run_id for run in await store.unfinished()] == ["R1"]


async def test_one_unfinished_run_a_patient(tmp_path: Path) -> None:
    """A patient has one unfinished run at most; after its end another may begin."""
    async with open_database(tmp_path, time.time) as store:
        await store.create_runs({"P1": "R1"}, 0)
        await store.create_runs({"P1": "R2"}, 0)
        assert [run.run_id for run in await store.unfinished()] == ["R1"]
        await store.finish_run("R1", RunState.FAILED, {"converted": 2}, "T1", "because")
        await store.create_runs({"P1": "R3"}, 0)
        (run,) = await store.runs(["R1", "unknown"])
        assert (run.state, run.counts, run.task_id, run.error) == (
            RunState.FAILED,
            {"converted": 2},
            "T1",
            "because",
        )
    assert [(run.run_id, run.state) for run in read_runs(tmp_path, "P1")] == [
        ("R1", RunState.FAILED),
        ("R3", RunState.QUEUED),
    ]


async def test_many_runs_are_read_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop makes no run from its row, for there may be 100,000; the order is that of patients."""
    threads = set()

    def noted(row: tuple[Any, ...]) -> StoredRun:
        threads.add(threading.current_thread())
        return run_of(row)

    monkeypatch.setattr("docpipe.checkpoints.store.run_of", noted)
    wanted = {f"P{n}": f"R{n:05d}" for n in (*range(500, 1000), *range(500))}
    async with open_database(tmp_path, time.time) as store:
        runs = await store.create_runs(wanted, 0)
        assert await store.create_runs(wanted | {"P7": "R-other"}, 0) == runs
        assert await store.create_runs({}, 0) == []
    assert [run.run_id for run in runs] == list(wanted.values())
    assert threads
    assert threading.current_thread() not in threads


async def test_writes_are_grouped(tmp_path: Path) -> None:
    """A thousand writers at once share a few commits."""
    async with open_database(tmp_path, time.time) as store:
        commits = []
        store._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        await asyncio.gather(*(store.create_runs({f"P{n}": f"R{n}"}, 0) for n in range(1000)))
        assert len(commits) <= 3
        assert len(await store.unfinished()) == 1000


@pytest.mark.parametrize("number", [1, 2, 3, 700, 1024, 1025, 2500])
async def test_any_number_of_steps_at_once(tmp_path: Path, number: int) -> None:
    """However many steps a transaction holds, it writes each of them once, and nothing beside them."""
    items = [f"{n:05d}" for n in range(number)]
    async with open_database(tmp_path, time.time) as store:
        for item in items:
            store.begin_step("R1", "Convert", item)
            done = store.finish_step("R1", "Convert", item, {"item": item})
        await done
        assert [(step.item, step.attempts, step.result) for step in await store.steps("R1")] == [
            (item, 1, {"item": item}) for item in items
        ]
        assert await store.read("SELECT count(*) FROM steps") == [(number,)]


async def test_durable_settings(tmp_path: Path) -> None:
    """WAL and FULL: what was promised survives a power cut; nobody else can read the file."""
    async with open_database(tmp_path, time.time) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
        await store.create_runs({"P1": "R1"}, 0)
        assert not [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077]


async def test_readers_look_on(tmp_path: Path) -> None:
    """Another process reads while this one writes, and sees what a run is at."""
    at = Position(activity="DocEx_Search", since=1.0, wait=Wait(WaitKind.QUOTA, "docex.search", 2.0))
    async with open_database(tmp_path, time.time) as store:
        await store.create_runs({"P1": "R1"}, 0)
        store.start_run("R1")
        store.note_doing("R1", at)
        await store.create_runs({"P2": "R2"}, 0)  # committed with or after the notes
        assert read_runs(tmp_path, "R1")[0].doing == at
        assert len(read_runs(tmp_path)) == 2


async def test_what_a_thousand_runs_are_at_is_one_statement(tmp_path: Path) -> None:
    """The thread that writes waits for the interpreter once, not once a run; the last word of each counts."""
    async with open_database(tmp_path, time.time) as store:
        wanted = {f"P{n}": f"R{n}" for n in range(1000)}
        await store.create_runs(wanted, 0)
        statements = []
        store._db.set_trace_callback(statements.append)
        for at in ("DocEx_Search", "DocEx_CheckStatus"):
            for run_id in wanted.values():
                store.note_doing(run_id, Position(activity=at, since=0.0, wait=None))
        await store.finish_run("R7", RunState.FAILED, {}, None, "because")
        assert len([sql for sql in statements if "UPDATE runs" in sql and "noted" in sql]) == 1
        doing = {run.run_id: run.doing for run in await store.runs(list(wanted.values()))}
        assert doing.pop("R7") is None
        assert {at.activity for at in doing.values()} == {"DocEx_CheckStatus"}


async def test_grants_are_remembered(tmp_path: Path) -> None:
    """A quota finds after a restart what was spent, answered or not."""
    async with open_database(tmp_path, time.time) as store:
        first = await store.ledger.granted("docex.search", 100.0)
        await store.ledger.granted("docex.search", 101.0)
        await store.ledger.granted("other", 102.0)
        store.ledger.answered("docex.search", first, 100.5)
        store.ledger.note_alive()
    async with open_database(tmp_path, time.time) as store:
        actual = await store.ledger.grants("docex.search", since=100.2)
        assert [(grant.at, grant.answered) for grant in actual] == [(100.0, 100.5), (101.0, None)]
        assert await store.ledger.granted("docex.search", 103.0) == 4
        assert await store.ledger.last_alive() is not None
        store.ledger.spent("short", 104.0)
        store.ledger.settled("docex.search", 105.0)
        store.ledger.end_life()
    async with open_database(tmp_path, time.time) as store:
        assert [grant.answered for grant in await store.ledger.grants("short", 0.0)] == [104.0]
        answered = [grant.answered for grant in await store.ledger.grants("docex.search", 0.0)]
        assert answered == [100.5, 105.0, 105.0]
        assert await store.ledger.last_alive() is None
        store.ledger.spent("short", 104.0 + 3 * 3600)
    async with open_database(tmp_path, time.time) as store:
        assert [grant.at for grant in await store.ledger.grants("short", 0.0)] == [104.0 + 3 * 3600]


def damaged(folder: Path) -> None:
    (folder / "checkpoints.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


def foreign(folder: Path) -> None:
    with sqlite3.connect(folder / "checkpoints.db") as db:
        db.execute("CREATE TABLE songs (title)")
    db.close()


def newer(folder: Path) -> None:
    with sqlite3.connect(folder / "checkpoints.db") as db:
        db.executescript(
            f"CREATE TABLE runs (x); PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {VERSION + 1};"
        )
    db.close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(damaged, "damaged"), (foreign, "not a checkpoint database"), (newer, "newer docpipe")],
)
async def test_unusable_databases_are_refused_and_kept(tmp_path: Path, spoil, message: str) -> None:
    """A damaged, foreign or newer file is refused in a sentence with the cure, and not changed."""
    spoil(tmp_path)
    before = (tmp_path / "checkpoints.db").read_bytes()
    with pytest.raises(StateError, match=message) as refused:
        open_database(tmp_path, time.time)
    assert "Nothing was changed" in str(refused.value)
    assert (tmp_path / "checkpoints.db").read_bytes() == before


async def test_a_failed_write_reaches_its_writer(tmp_path: Path) -> None:
    """An error of SQLite is raised where the write was awaited, and later writes continue."""
    async with open_database(tmp_path, time.time) as store:
        with pytest.raises(sqlite3.IntegrityError):
            await store._commit("INSERT INTO runs (run_id) VALUES (NULL)")
        await store.create_runs({"P1": "R1"}, 0)
        assert len(await store.unfinished()) == 1


async def test_a_full_disk_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk delays a commit and loses nothing."""
    monkeypatch.setattr("docpipe.checkpoints.writer._RETRY_S", 0.01)
    async with open_database(tmp_path, time.time) as store:
        await store.create_runs({"P1": "R1"}, 0)
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        big = asyncio.create_task(_big(store))
        while store.full_since is None:
            await asyncio.sleep(0)
        assert not big.done()
        store.writer.thread.submit(store._db.execute, "PRAGMA max_page_count = 1000000").result()
        await big
        assert store.full_since is None
        assert (await store.steps("R1"))[0].state == "x" * 100_000


async def _big(store) -> None:
    store.begin_step("R1", "Search", "")
    await store.save_step("R1", "Search", "", "x" * 100_000)


async def test_a_database_that_is_held_is_not_called_damaged(tmp_path: Path, monkeypatch) -> None:
    """Another program holds it at the start: the message has cause and cure."""
    async with open_database(tmp_path, time.time):
        pass
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: real(*args, **(more | {"timeout": 0.01})))
    other = real(tmp_path / "checkpoints.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(
            StateError, match=r"another program holds checkpoints\.db: close what has it open"
        ):
            open_database(tmp_path, time.time)
    finally:
        other.close()


async def test_reading_waits_for_what_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened for a time delays what is read, and fails nobody."""
    monkeypatch.setattr("docpipe.checkpoints.writer._RETRY_S", 0.01)
    async with open_database(tmp_path, time.time) as store:
        await store.create_runs({"P1": "R1"}, 0)
        store.begin_step("R1", "Search", "")
        await store.save_step("R1", "Search", "", 1)
        real, left = store._reader, [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY]

        class Reader:
            def execute(self, *args):
                if left:
                    error = sqlite3.OperationalError("as SQLite says it")
                    error.sqlite_errorcode = left.pop()
                    raise error
                return real.execute(*args)

            def close(self):
                real.close()

        store._reader = Reader()
        assert [step.state for step in await store.steps("R1")] == [1]
        assert not left


def test_what_is_forgotten_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where SQLite was built to leave deleted rows in the file."""
    real = sqlite3.connect

    def leaving(*args: Any, **more: Any) -> sqlite3.Connection:
        db = real(*args, **more)
        db.execute("PRAGMA secure_delete = OFF")
        return db

    monkeypatch.setattr(sqlite3, "connect", leaving)
    db = connect(tmp_path / "checkpoints.db")
    assert db.execute("PRAGMA secure_delete").fetchone() == (1,)
    db.close()
