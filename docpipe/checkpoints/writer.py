"""The one thread that writes: it commits everything that waits at once (group commit).

A transaction takes as long as its fsync, however much it holds; so a thousand coroutines share one. What an
activity writes of its step goes into one row, and the rows of a transaction into one statement: each one
that the thread runs costs it a wait for the interpreter, which the event loop holds meanwhile.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, TypeVar

import structlog

from docpipe.checkpoints.schema import NOTE_DOING, put_steps
from docpipe.model import Clock
from docpipe.util.json import to_json

log = structlog.get_logger(__name__)

Values = Sequence[Any] | Mapping[str, Any]
_T = TypeVar("_T")
_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
_RETRY_FULL_S: Final = 5.0
_SETTLED_AT_ONCE: Final = 50
"""So many go on in one turn of the loop: it looks after others between, and the thread is busy meanwhile."""
_ROWS: Final = 1024
"""Rows in a statement, at most."""


class StepRow:
    """What becomes of a row of `steps` in one transaction; what is None stays as it was."""

    __slots__ = ("attempts", "finished_at", "key", "result", "started_at", "state")

    def __init__(self, key: tuple[str, str, str], started_at: float) -> None:
        self.key = key
        self.attempts = 0
        """How many more."""
        self.started_at = started_at
        """Where there was no row before."""
        self.finished_at: float | None = None
        self.state: str | None = None
        self.result: str | None = None


class _Batch:
    """What one transaction holds: rows of `steps`, what runs are at, then other statements in their order."""

    __slots__ = ("doing", "size", "statements", "steps", "waiters")

    def __init__(self) -> None:
        self.steps: dict[tuple[str, str, str], StepRow] = {}
        self.doing: dict[str, str] = {}
        """By run, as JSON."""
        self.statements: list[tuple[str, Values]] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.size = 0
        """How many writes were handed in."""


class Writer:
    """Writes to an open database. Use as an async context manager."""

    def __init__(self, db: sqlite3.Connection, clock: Clock) -> None:
        self.full_since: float | None = None
        """Since when the disk is full, None while it is not."""
        self.observers: list[Callable[[float, int], None]] = []
        """Told of each transaction: how many seconds it took, and how many writes it held."""
        self.first: Callable[[], None] | None = None
        """Called in the thread before each transaction: writes what has to be on its way before that is."""
        self.thread = ThreadPoolExecutor(1, "checkpoint-writer")
        self._db = db
        self._clock = clock
        self._batch = _Batch()
        self._wake = asyncio.Event()
        self._closing = False
        self._given_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_forever(), name="checkpoint-writer")

    async def close(self) -> None:
        """Commit what waits, and end."""
        self._closing = True
        self.give_up()
        self._wake.set()
        if self._task is not None:
            await self._task
        self.thread.shutdown()

    def give_up(self) -> None:
        """Wait for room on a full disk no more: who waits for a commit is cancelled, and resumes later."""
        self._given_up.set()

    def put(self, sql: str, values: Values) -> None:
        """Write soon; a crash may lose it."""
        self._batch.statements.append((sql, values))
        self._batch.size += 1
        self._wake.set()

    def step(self, run_id: str, activity: str, item: str, now: float) -> StepRow:
        """The row of a step in the next transaction, to be changed at once; written soon."""
        batch, key = self._batch, (run_id, activity, item)
        row = batch.steps.get(key)
        if row is None:
            row = batch.steps[key] = StepRow(key, now)
        batch.size += 1
        self._wake.set()
        return row

    def doing(self, run_id: str, doing: str) -> None:
        """What a run is at, as JSON; written soon. A thousand runs are noted every second."""
        self._batch.doing[run_id] = doing
        self._batch.size += 1
        self._wake.set()

    def committed(self) -> asyncio.Future[None]:
        """Done when all that was handed in until now is on the disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._batch.waiters.append(done)
        self._wake.set()
        return done

    async def alone(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do something with the database between two transactions."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work, self._db)

    async def _write_forever(self) -> None:
        while True:
            while not (self._batch.size or self._batch.waiters):
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            batch, self._batch = self._batch, _Batch()
            await self._write(batch)

    async def _write(self, batch: _Batch) -> None:
        """Until it is on the disk, or cannot be."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await loop.run_in_executor(self.thread, self._transaction, batch)
            except (OSError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) not in _FULL:
                    _settle(batch.waiters, error)
                    return
                if self.full_since is None:
                    self.full_since = self._clock()
                    log.warning("checkpoints_disk_full", cure="make room; docpipe goes on by itself")
                if self._given_up.is_set():
                    _cancel(batch.waiters)
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._given_up.wait(), _RETRY_FULL_S)
            else:
                self.full_since = None
                _settle(batch.waiters, None)
                for observer in self.observers:
                    observer(loop.time() - began, batch.size)
                return

    def _transaction(self, batch: _Batch) -> None:
        """In the thread."""
        if self.first is not None:
            self.first()
        db, statements = self._db, _statements(batch)
        if len(statements) == 1:  # it is a transaction by itself
            db.execute(*statements[0])
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            for sql, values in statements:
                db.execute(sql, values)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _statements(batch: _Batch) -> list[tuple[str, Values]]:
    """Rows first: what forgets steps waits for its own commit before anybody writes them anew."""
    rows = list(batch.steps.values())
    return [
        *(_put_steps(rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)),
        *([(NOTE_DOING, (to_json(batch.doing),))] if batch.doing else []),
        *batch.statements,
    ]


def _put_steps(rows: Sequence[StepRow]) -> tuple[str, Values]:
    """One statement, of the next power of two of rows: each size is compiled once. The rest is left out."""
    values: list[Any] = []
    for row in rows:
        values += row.key
        values += (row.attempts, row.started_at, row.finished_at, row.state, row.result)
    size = 1 << (len(rows) - 1).bit_length()
    values += [None] * (len(values) // len(rows) * (size - len(rows)))
    return _put_so_many(size), values


_put_so_many = cache(put_steps)


def _cancel(waiters: list[asyncio.Future[None]]) -> None:
    for done in waiters:
        done.cancel()


def _settle(waiters: list[asyncio.Future[None]], error: Exception | None) -> None:
    for done in waiters[:_SETTLED_AT_ONCE]:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)
    if rest := waiters[_SETTLED_AT_ONCE:]:
        asyncio.get_running_loop().call_soon(_settle, rest, error)
