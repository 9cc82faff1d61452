"""The writer's transactions: whole or not at all, also when a statement fails."""

import asyncio
import sqlite3

import pytest

from docpipe.checkpoints.writer import Writer


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
    return await writer.alone(lambda db: [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")])


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
    """Nothing of the batch stays, whoever waits gets the error, and the next batch is written."""
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
    """A failed batch wakes all who wait for it with the error."""
    writer.put("INSERT INTO t VALUES (?)", (1,))
    writer.put("INSERT INTO t VALUES (?)", (1,))
    results = await asyncio.gather(*(writer.committed() for _ in range(120)), return_exceptions=True)
    assert {type(result) for result in results} == {sqlite3.IntegrityError}


async def test_what_has_to_be_written_before_is(writer):
    """The hook runs in the writer's thread before each transaction."""
    order = []
    writer.first = lambda: order.append("first")
    await put(writer, 1, 2)
    assert order == ["first"]
