"""The one thread that writes. It commits all pending writes at once (group commit).

A transaction takes as long as its fsync, whatever its size, so a thousand coroutines share one. All writes of
an activity's step go into one row, and all rows of a transaction into one statement: for each statement the
thread has to wait for the interpreter lock, which the event loop holds.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, TypeVar

from docpipe.checkpoints.schema import NOTE_DOING, put_steps
from docpipe.gates.local_trouble import FULL, OTHER, Trouble, log_trouble, trouble_of
from docpipe.model import Clock
from docpipe.util.json import to_json

Values = Sequence[Any] | Mapping[str, Any]
Statement = tuple[str, Values]
"""SQL with its values."""
_T = TypeVar("_T")
_PLACE: Final = "state folder"
_RETRY_S: Final = 5.0
_RESOLVED_AT_ONCE: Final = 50
"""Waiters resumed in one turn of the loop, so that other coroutines get their turn in between."""
_ROWS: Final = 1024
"""Rows in a statement, at most."""


class StepRow:
    """The changes to a row of `steps` in one transaction; None leaves a column unchanged."""

    __slots__ = ("attempts", "finished_at", "key", "result", "started_at", "state")

    def __init__(self, key: tuple[str, str, str], started_at: float) -> None:
        self.key = key
        self.attempts = 0
        """Added to the attempts so far."""
        self.started_at = started_at
        """Used if there is no row yet."""
        self.finished_at: float | None = None
        self.state: str | None = None
        self.result: str | None = None


class _Batch:
    """One transaction: rows of `steps`, positions of runs, then other statements in order."""

    __slots__ = ("doing", "size", "statements", "steps", "waiters")

    def __init__(self) -> None:
        self.steps: dict[tuple[str, str, str], StepRow] = {}
        self.doing: dict[str, str] = {}
        """Positions by run id, as JSON."""
        self.statements: list[tuple[str, Values]] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.size = 0
        """The number of writes."""


class Writer:
    """Writes to an open database. Use as an async context manager."""

    def __init__(self, db: sqlite3.Connection, clock: Clock) -> None:
        self.trouble: Trouble | None = None
        """Why nothing can be written now, None while writing works."""
        self.trouble_since: float | None = None
        self.observers: list[Callable[[float, int], None]] = []
        """Called after each transaction with its duration in seconds and its number of writes."""
        self.before_commit: Callable[[], None] | None = None
        """Called in the thread before each transaction."""
        self.thread = ThreadPoolExecutor(1, "checkpoint-writer")
        self._db = db
        self._clock = clock
        self._batch = _Batch()
        self._wake = asyncio.Event()
        self._closing = False
        self._given_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def full_since(self) -> float | None:
        """When the disk became full, None while it is not."""
        return self.trouble_since if self.trouble is FULL else None

    def open(self) -> None:
        """Start writing."""
        self._task = asyncio.create_task(self._write_forever(), name="checkpoint-writer")

    async def close(self) -> None:
        """Commit pending writes and stop."""
        self._closing = True
        self.give_up()
        self._wake.set()
        if self._task is not None:
            await self._task
        self.thread.shutdown()

    def give_up(self) -> None:
        """Stop waiting for troubles to pass: coroutines that wait for a commit are cancelled."""
        self._given_up.set()

    async def wait_out(self, trouble: Trouble) -> bool:
        """Wait before another attempt; returns False after `give_up`."""
        log_trouble(trouble, _PLACE, retry_s=_RETRY_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._given_up.wait(), _RETRY_S)
        return not self._given_up.is_set()

    def put(self, sql: str, values: Values) -> None:
        """Write soon; a crash may lose the write."""
        self._batch.statements.append((sql, values))
        self._batch.size += 1
        self._wake.set()

    def step(self, run_id: str, activity: str, item: str, now: float) -> StepRow:
        """Return the row of a step in the next transaction; change it before the next await."""
        batch, key = self._batch, (run_id, activity, item)
        row = batch.steps.get(key)
        if row is None:
            row = batch.steps[key] = StepRow(key, now)
        batch.size += 1
        self._wake.set()
        return row

    def doing(self, run_id: str, doing: str) -> None:
        """Write the position of a run (JSON) soon. There may be a thousand of these a second."""
        self._batch.doing[run_id] = doing
        self._batch.size += 1
        self._wake.set()

    def committed(self) -> asyncio.Future[None]:
        """Return a future that is done when all writes until now are durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._batch.waiters.append(done)
        self._wake.set()
        return done

    async def exclusive(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` on the connection between two transactions."""
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
        """Write a batch; retry while this machine has a trouble that passes."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await loop.run_in_executor(self.thread, self._transaction, batch)
            except (OSError, RuntimeError, sqlite3.Error) as error:
                trouble = trouble_of(error) or (OTHER if isinstance(error, OSError) else None)
                if trouble is None:
                    _resolve(batch.waiters, error)
                    return
                self._note(trouble)
                if self._given_up.is_set():
                    _cancel(batch.waiters)
                    return
                await self.wait_out(trouble)
            else:
                self._note(None)
                _resolve(batch.waiters, None)
                for observer in self.observers:
                    observer(loop.time() - began, batch.size)
                return

    def _note(self, trouble: Trouble | None) -> None:
        if trouble is not self.trouble:
            self.trouble = trouble
            self.trouble_since = None if trouble is None else self._clock()

    def _transaction(self, batch: _Batch) -> None:
        """Write a batch in one transaction; runs in the writer's thread."""
        if self.before_commit is not None:
            self.before_commit()
        db, statements = self._db, _statements(batch)
        if db.in_transaction:  # left over from an attempt whose ROLLBACK failed
            db.execute("ROLLBACK")
        if len(statements) == 1:  # a single statement is its own transaction
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
    """Rows come first: a statement that deletes steps is committed before those steps are written again."""
    rows = list(batch.steps.values())
    return [
        *(_put_steps(rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)),
        *([(NOTE_DOING, (to_json(batch.doing),))] if batch.doing else []),
        *batch.statements,
    ]


def _put_steps(rows: Sequence[StepRow]) -> tuple[str, Values]:
    """Make one statement with a power of two of rows, padded with NULL, so that SQLite compiles few sizes."""
    values: list[Any] = []
    for row in rows:
        values += row.key
        values += (row.attempts, row.started_at, row.finished_at, row.state, row.result)
    size = 1 << (len(rows) - 1).bit_length()
    values += [None] * (len(values) // len(rows) * (size - len(rows)))
    return _put_steps_sql(size), values


_put_steps_sql = cache(put_steps)


def _cancel(waiters: list[asyncio.Future[None]]) -> None:
    for done in waiters:
        done.cancel()


def _resolve(waiters: list[asyncio.Future[None]], error: Exception | None) -> None:
    for done in waiters[:_RESOLVED_AT_ONCE]:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)
    if rest := waiters[_RESOLVED_AT_ONCE:]:
        asyncio.get_running_loop().call_soon(_resolve, rest, error)
