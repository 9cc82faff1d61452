"""The writer's transactions: whole or not at all, also when a statement fails."""

import asyncio
import errno
import sqlite3

import pytest

from docpipe.checkpoints.writer import StepRow, Writer, _put_steps
from docpipe.gates.local_trouble import FULL


@pytest.fixture
async def writer():
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.execute("CREATE TABLE t (n INTEGER UNIQUE)")
    made = Writer(db, lambda: 0.0)
    made.open()
    yield made
    await made.close()
    db.close()


async def numbers(writer):
    return await writer.exclusive(lambda db: [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")])


async def put(writer, *values):
    """All values in one transaction."""
    for value in values:
        writer.put("INSERT INTO t VALUES (?)", (value,))
    await writer.committed()


async def test_a_batch_is_committed(writer):
    """What was put before `committed` is in the database when it returns."""
    await put(writer, 1, 2)
    assert await numbers(writer) == [1, 2]


async def test_a_failed_statement_rolls_its_transaction_back(writer):
    """Nothing of the batch stays, its waiters get the error, and the next batch is written."""
    with pytest.raises(sqlite3.IntegrityError):
        await put(writer, 1, 1)
    assert await numbers(writer) == []
    await put(writer, 2, 3)
    assert await numbers(writer) == [2, 3]


async def test_every_waiter_is_woken(writer):
    """More waiters than are woken in one turn of the loop are all woken."""
    writer.put("INSERT INTO t VALUES (?)", (1,))
    await asyncio.gather(*(writer.committed() for _ in range(120)))
    assert await numbers(writer) == [1]


async def test_every_waiter_gets_the_error(writer):
    """A failed batch wakes all its waiters with the error."""
    writer.put("INSERT INTO t VALUES (?)", (1,))
    writer.put("INSERT INTO t VALUES (?)", (1,))
    results = await asyncio.gather(*(writer.committed() for _ in range(120)), return_exceptions=True)
    assert {type(result) for result in results} == {sqlite3.IntegrityError}


async def test_what_has_to_be_written_before_is(writer):
    """The hook runs in the writer's thread before each transaction."""
    order = []
    writer.before_commit = lambda: order.append("first")
    await put(writer, 1, 2)
    assert order == ["first"]


class Troubled:
    """A connection whose next statements fail as SQLite's do; a rollback may fail as well."""

    def __init__(self, real, *codes):
        self.real = real
        self.codes = list(codes)

    def execute(self, sql, values=()):
        done = self.real.execute(sql, values) if sql.startswith(("BEGIN", "ROLLBACK")) else None
        if self.codes and not sql.startswith("BEGIN"):
            error = sqlite3.OperationalError("as SQLite says it")
            error.sqlite_errorcode = self.codes.pop(0)
            raise error
        return done or self.real.execute(sql, values)

    @property
    def in_transaction(self):
        return self.real.in_transaction


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_LOCK,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
    ],
)
@pytest.mark.parametrize("values", [(1,), (1, 2, 3)])
async def test_no_batch_is_dropped_for_what_passes(writer, monkeypatch, code, values):
    """Whatever keeps SQLite from writing for a time: the batch is written once, and whole."""
    monkeypatch.setattr("docpipe.checkpoints.writer._RETRY_S", 0.01)
    writer._db = Troubled(writer._db, code, code, code)
    await put(writer, *values)
    assert await writer.exclusive(lambda db: [n for (n,) in db.real.execute("SELECT n FROM t")]) == list(
        values
    )
    assert writer.trouble is None


@pytest.mark.parametrize("at_once", [1, 2])
async def test_a_lock_of_somebody_else_is_waited_out(tmp_path, monkeypatch, at_once):
    """Another program holds the database, as a shell or a backup does: the writer gives the cause."""
    monkeypatch.setattr("docpipe.checkpoints.writer._RETRY_S", 0.01)
    path = tmp_path / "t.db"
    db, other = (
        sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.01) for _ in range(2)
    )
    db.execute("CREATE TABLE t (n INTEGER UNIQUE)")
    writer = Writer(db, lambda: 7.0)
    writer.open()
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(put(writer, *range(at_once)))
    async with asyncio.timeout(30):
        while writer.trouble is None:
            await asyncio.sleep(0.002)
    assert "another program holds checkpoints.db" in writer.trouble.problem
    assert (writer.trouble_since, writer.full_since) == (7.0, None)
    other.execute("COMMIT")
    await task
    assert await numbers(writer) == list(range(at_once))
    await writer.close()
    for connection in (db, other):
        connection.close()


async def test_a_stop_waits_for_nobody(writer, monkeypatch):
    """A waiter for a commit that is impossible is cancelled at the stop, and resumes later."""
    writer._db = Troubled(writer._db, *[sqlite3.SQLITE_BUSY] * 1000)
    task = asyncio.create_task(put(writer, 1))
    async with asyncio.timeout(30):
        while writer.trouble is None:
            await asyncio.sleep(0.002)
    writer.give_up()
    with pytest.raises(asyncio.CancelledError):
        await task
    writer._db.codes.clear()


async def test_a_transaction_that_was_left_open_is_rolled_back(writer):
    """Its statements are not committed with the next ones, whether those are one or several."""
    for values in ((1,), (2, 3)):
        await writer.exclusive(lambda db: db.execute("BEGIN") and db.execute("INSERT INTO t VALUES (99)"))
        await put(writer, *values)
        assert not await writer.exclusive(lambda db: db.in_transaction)
    assert await numbers(writer) == [1, 2, 3]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_waiter_holds_up_no_other(writer, fails):
    """The rest of the batch gets its result or its error."""
    writer.put("INSERT INTO t VALUES (?)", (1,))
    if fails:
        writer.put("INSERT INTO t VALUES (?)", (1,))
    cancelled, other = writer.committed(), writer.committed()
    cancelled.cancel()
    async with asyncio.timeout(60):  # instead of for ever
        (result,) = await asyncio.gather(other, return_exceptions=True)
    assert type(result) is (sqlite3.IntegrityError if fails else type(None))


async def test_a_trouble_ends_with_its_time(writer):
    """Once writing works again nothing says since when it did not."""
    writer._note(FULL)
    assert (writer.trouble, writer.trouble_since, writer.full_since) == (FULL, 0.0, 0.0)
    writer._note(None)
    assert (writer.trouble, writer.trouble_since, writer.full_since) == (None, None, None)


async def test_three_new_steps_in_one_statement(checkpoints):
    """A statement has a power of two of rows; what fills it up counts nothing."""
    await checkpoints.create_runs({"P1": "R1"}, 0)
    for item in ("1", "2", "3"):
        checkpoints.begin_step("R1", "ConvertFile", item)
    await checkpoints.finish_step("R1", "ConvertFile", "1", {})
    assert [(step.item, step.attempts) for step in await checkpoints.steps("R1")] == [
        ("1", 1),
        ("2", 1),
        ("3", 1),
    ]


def test_few_sizes_of_statements_are_compiled():
    """SQLite keeps compiled statements by their text: up to 16 rows there are five, not sixteen."""
    rows = [StepRow(("R1", "ConvertFile", str(number)), 0.0) for number in range(16)]
    assert len({_put_steps(rows[:size])[0] for size in range(1, 17)}) == 5


async def test_a_single_statement_is_its_own_transaction(writer):
    """Most batches are one statement: BEGIN and COMMIT would each wait for the interpreter lock."""
    seen = []
    await writer.exclusive(lambda db: db.set_trace_callback(seen.append))
    await put(writer, 1)
    await put(writer, 2, 3)
    assert [sql.split()[0] for sql in seen] == ["INSERT", "BEGIN", "INSERT", "INSERT", "COMMIT"]


async def test_an_error_of_the_system_without_a_name_is_waited_out(writer, monkeypatch):
    """What is written before a batch may fail in ways that no table has: nothing is lost for it."""
    monkeypatch.setattr("docpipe.checkpoints.writer._RETRY_S", 0.0)
    failing = [OSError(errno.EBADF, "as the system says it")] * 2

    def log():
        if failing:
            raise failing.pop()

    writer.before_commit = log
    await put(writer, 1)
    assert (await numbers(writer), writer.trouble) == ([1], None)
