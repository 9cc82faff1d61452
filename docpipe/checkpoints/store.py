"""The checkpoint database: what survives the process. All SQL of docpipe stands in this package.

SQLite in WAL mode with synchronous=FULL. One thread writes; it commits everything that waits at once
(group commit), so a thousand coroutines share one fsync. Another connection reads, so that a reader never
waits for an fsync. Statements take effect in the order in which they were handed in.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import structlog

from docpipe.checkpoints.answers import Answers
from docpipe.checkpoints.listing import Listing
from docpipe.checkpoints.schema import (
    CREATE,
    FORGET,
    FORGET_TASK,
    OF_PATIENTS,
    REQUEUE,
    RUNS,
    STEPS,
    UNFINISHED,
    Grant,
    StoredRun,
    StoredStep,
    connect,
    run_of,
    step_of,
)
from docpipe.errors import StateError
from docpipe.model import Activity, Clock, Json, RunState

log = structlog.get_logger(__name__)

_NO_ROOM: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
_RETRY_FULL_S: Final = 5.0
_ALIVE: Final = (
    "INSERT INTO process (id, alive) VALUES (1, ?) ON CONFLICT DO UPDATE SET alive = excluded.alive"
)
_KEEP_GRANTS_S: Final = 2 * 3600.0  # the longest window is an hour

_T = TypeVar("_T")
_Values = Sequence[Any] | Mapping[str, Any]
_Write = tuple[str, _Values, "asyncio.Future[None] | None"]


class Checkpoints:
    """The open database of a running process. Made with `open_database`; use as an async context manager."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._db = connect(path)
        self._reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._write_thread = ThreadPoolExecutor(1, "checkpoint-writer")
        self._read_thread = ThreadPoolExecutor(1, "checkpoint-reader")
        self._queue: list[_Write] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._given_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        row = self._reader.execute("SELECT coalesce(max(id), 0) FROM grants").fetchone()
        self._last_grant = int(row[0])
        self.full_since: float | None = None
        """Since when the disk is full, None while it is not."""
        self.observers: list[Callable[[float, int], None]] = []
        """Told of each transaction: how many seconds it took, and how many statements it held."""
        self.listing = Listing(self.read)
        self.answers = Answers(self.read, self._commit, clock)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write_forever(), name="checkpoint-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, then close."""
        self._closing = True
        self.give_up()
        self._wake.set()
        if self._task is not None:
            await self._task
        self._write_thread.shutdown()
        self._read_thread.shutdown()
        self._reader.close()
        self._db.close()

    # Writing

    def give_up(self) -> None:
        """Wait for room on a full disk no more: who waits for a commit is cancelled, and resumes later."""
        self._given_up.set()

    def _put(self, sql: str, *values: Any) -> None:
        """Write soon; a crash may lose it."""
        self._queue.append((sql, values, None))
        self._wake.set()

    async def _commit(self, sql: str, *values: Any) -> None:
        """Write, and return when it is on the disk."""
        await self.commit_all((sql, values))

    async def commit_all(self, *statements: tuple[str, _Values]) -> None:
        """Write several in one transaction, and return when they are on the disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue += [(sql, values, None) for sql, values in statements[:-1]]  # a batch takes all there is
        self._queue.append((*statements[-1], done))
        self._wake.set()
        await done

    async def in_writer(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do something with the database between two transactions."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._write_thread, work, self._db)

    async def _write_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            batch, self._queue = self._queue, []
            await self._write_batch(loop, batch)

    async def _write_batch(self, loop: asyncio.AbstractEventLoop, batch: list[_Write]) -> None:
        while True:
            began = loop.time()
            try:
                await loop.run_in_executor(self._write_thread, _write, self._db, batch)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                    _settle(batch, error)
                    return
                if self.full_since is None:
                    self.full_since = self._clock()
                    log.warning("checkpoints_disk_full", cure="make room; docpipe goes on by itself")
                if self._given_up.is_set():
                    _cancel(batch)
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._given_up.wait(), _RETRY_FULL_S)
            except sqlite3.Error as error:
                _settle(batch, error)
                return
            else:
                self.full_since = None
                _settle(batch, None)
                for observer in self.observers:
                    observer(loop.time() - began, len(batch))
                return

    async def create_runs(self, run_ids: Mapping[str, str], priority: int) -> list[StoredRun]:
        """Add queued runs, all in one transaction; durable when this returns.

        Args:
            run_ids: the run id that is new for each patient.
            priority: of all of them.

        Returns:
            The unfinished run of each patient, in their order: the new one, or the one there was.
        """
        found: dict[str, StoredRun] = {}
        while missing := {patient: run for patient, run in run_ids.items() if patient not in found}:
            # Once is enough, but for a run that ends between the two statements.
            await self._commit(CREATE, priority, RunState.QUEUED, self._clock(), json.dumps(missing))
            rows = await self.read(OF_PATIENTS, json.dumps(list(missing)))
            found |= {row[1]: run_of(row) for row in rows}
        return [found[patient_id] for patient_id in run_ids]

    def start_run(self, run_id: str) -> None:
        """Note that the run has begun."""
        self._put(
            "UPDATE runs SET state = 'running', started_at = coalesce(started_at, ?) "
            "WHERE run_id = ? AND state = 'queued'",
            self._clock(),
            run_id,
        )

    async def finish_run(
        self, run_id: str, state: RunState, counts: dict[str, int], task_id: str | None, error: str | None
    ) -> None:
        """Set how the run ended."""
        await self._commit(
            "UPDATE runs SET state = ?, counts = ?, task_id = ?, error = ?, finished_at = ?, doing = '{}' "
            "WHERE run_id = ?",
            state,
            json.dumps(counts),
            task_id,
            error,
            self._clock(),
            run_id,
        )

    async def cancel_run(self, run_id: str) -> None:
        """Note that a run is to be cancelled, unless it has ended; durable when this returns."""
        await self._commit(
            "UPDATE runs SET state = 'cancelling', doing = '{}' "
            "WHERE run_id = ? AND state IN ('queued', 'running')",
            run_id,
        )

    async def retry_run(self, run: StoredRun, activity: Activity) -> None:
        """Forget the checkpoints of a finished run from an activity on, and queue it again, all at once.

        Does nothing where the run or its patient has gone on meanwhile. What is known of the task's POST
        stays: a later try looks for the task before it makes one.
        """
        order = list(Activity)
        forgotten = json.dumps(order[order.index(activity) :])
        of_it = {"run": run.run_id, "retries": run.retries, "first": activity, "forgotten": forgotten}
        of_it["task"] = Activity.CREATE_TASK
        await self.commit_all((REQUEUE, of_it), (FORGET_TASK, of_it), (FORGET, of_it))

    def note_doing(self, run_id: str, doing: Json) -> None:
        """Note what the run is at, for whoever looks from outside."""
        self._put("UPDATE runs SET doing = ? WHERE run_id = ?", json.dumps(doing), run_id)

    def begin_step(self, run_id: str, activity: str, item: str) -> None:
        """Note a try of an activity."""
        self._put(
            "INSERT INTO steps (run_id, activity, item, attempts, started_at) VALUES (?, ?, ?, 1, ?) "
            "ON CONFLICT DO UPDATE SET attempts = attempts + 1",
            run_id,
            activity,
            item,
            self._clock(),
        )

    async def save_step(self, run_id: str, activity: str, item: str, state: Json) -> None:
        """Keep what a later try has to know; durable when this returns."""
        await self._commit(*self._state_update(run_id, activity, item, state))

    def note_step(self, run_id: str, activity: str, item: str, state: Json) -> None:
        """Keep what a later try would like to know; a crash may lose the last second of it."""
        self._put(*self._state_update(run_id, activity, item, state))

    @staticmethod
    def _state_update(run_id: str, activity: str, item: str, state: Json) -> tuple[str, str, str, str, str]:
        sql = "UPDATE steps SET state = ? WHERE run_id = ? AND activity = ? AND item = ?"
        return sql, json.dumps(state), run_id, activity, item

    async def finish_step(self, run_id: str, activity: str, item: str, result: Json) -> None:
        """Set the checkpoint of an activity; durable when this returns."""
        await self._commit(
            "UPDATE steps SET result = ?, finished_at = ? WHERE run_id = ? AND activity = ? AND item = ?",
            json.dumps(result),
            self._clock(),
            run_id,
            activity,
            item,
        )

    # What quotas remember across restarts

    async def granted(self, quota: str, at: float) -> int:
        """Note a request about to be spent; durable when this returns."""
        self._last_grant += 1
        grant = self._last_grant
        if grant % 1000 == 0:
            self._put("DELETE FROM grants WHERE at < ?", at - _KEEP_GRANTS_S)
        await self._commit("INSERT INTO grants (id, quota, at) VALUES (?, ?, ?)", grant, quota, at)
        return grant

    def answered(self, quota: str, grant: int, at: float) -> None:
        """Note when a request was answered or given up."""
        self._put("UPDATE grants SET answered = ? WHERE id = ? AND quota = ?", at, grant, quota)

    async def grants(self, quota: str, since: float) -> list[Grant]:
        """The requests spent since then, oldest first."""
        rows = await self.read(
            "SELECT at, answered FROM grants WHERE quota = ? AND coalesce(answered, at) >= ? ORDER BY id",
            quota,
            since,
        )
        return [Grant(*row) for row in rows]

    def note_alive(self) -> None:
        """Note that this process lives, and may have spent something of every quota."""
        self._put(_ALIVE, self._clock())

    async def begin_life(self) -> None:
        """The same, before this process spends anything; durable when this returns."""
        await self._commit(_ALIVE, self._clock())

    async def last_alive(self) -> float | None:
        """When an earlier process was last alive, None if there was none."""
        rows = await self.read("SELECT alive FROM process")
        return rows[0][0] if rows else None

    # What people have told docpipe to leave alone

    async def pause(self, name: str) -> None:
        """Note that a service, or with no name everything, is paused; durable when this returns."""
        await self._commit("INSERT OR IGNORE INTO pauses (name, since) VALUES (?, ?)", name, self._clock())

    async def go_on(self, name: str) -> None:
        """Take that back; durable when this returns."""
        await self._commit("DELETE FROM pauses WHERE name = ?", name)

    async def pauses(self) -> dict[str, float]:
        """What is paused, and since when."""
        return dict(await self.read("SELECT name, since FROM pauses"))

    # Reading

    async def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query in the reader's thread; its values are in order, or one mapping by name."""
        given: _Values = values[0] if values and isinstance(values[0], dict) else values
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._read_thread, lambda: self._reader.execute(sql, given).fetchall()
        )

    async def steps(self, run_id: str) -> list[StoredStep]:
        """Every activity of the run that was begun, in the order of their beginning."""
        return [step_of(row) for row in await self.read(STEPS, run_id)]

    async def unfinished(self) -> list[StoredRun]:
        """Runs that are queued, running or being cancelled, oldest first."""
        return [run_of(row) for row in await self.read(f"{RUNS} WHERE {UNFINISHED} ORDER BY run_id")]

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """These runs, in this order; unknown ids are left out."""
        rows = await self.read(
            RUNS + " WHERE run_id IN (SELECT value FROM json_each(?))",  # noqa: S608 -- constants only
            json.dumps(list(run_ids)),
        )
        found = {row[0]: run_of(row) for row in rows}
        return [found[run_id] for run_id in run_ids if run_id in found]


def open_database(folder: Path, clock: Clock) -> Checkpoints:
    """Open the checkpoint database of a state folder; make it when there is none.

    Raises:
        StateError: if the file is no checkpoint database, damaged, or of a newer docpipe;
            it is left as it was.
    """
    path = folder / "checkpoints.db"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return Checkpoints(path, clock)
    except OSError as error:
        raise StateError(f"{path} cannot be opened: {error.strerror}.") from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _NO_ROOM:
            raise _damaged(path, error) from error
        raise StateError(
            f"{path} cannot be opened ({error}): make room on its disk, or mend its permissions."
        ) from error
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: sqlite3.Error) -> StateError:
    return StateError(
        f"{path} is damaged or not a checkpoint database ({error}). "
        "Nothing was changed: move it away to begin anew, or put a backup in its place."
    )


def _write(db: sqlite3.Connection, batch: list[_Write]) -> None:
    """Run the batch as one transaction (in the writer's thread)."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for sql, values, _ in batch:
            db.execute(sql, values)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _cancel(batch: list[_Write]) -> None:
    for _, _, done in batch:
        if done is not None:
            done.cancel()


def _settle(batch: list[_Write], error: Exception | None) -> None:
    for _, _, done in batch:
        if done is not None and not done.done():
            done.set_result(None) if error is None else done.set_exception(error)
