"""The checkpoint database: what survives the process. All SQL of docpipe stands in this package.

SQLite in WAL mode with synchronous=FULL. One thread writes (see writer.py). Another connection reads, so that
a reader never waits for an fsync.
"""

import asyncio
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
from docpipe.checkpoints.writer import Values, Writer
from docpipe.errors import StateError
from docpipe.model import Activity, Clock, Json, RunState
from docpipe.util.json import to_json

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
_NO_ROOM: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
_ALIVE: Final = (
    "INSERT INTO process (id, alive) VALUES (1, ?) ON CONFLICT DO UPDATE SET alive = excluded.alive"
)
_KEEP_GRANTS_S: Final = 2 * 3600.0  # the longest window is an hour


class Checkpoints:
    """The open database of a running process. Made with `open_database`; use as an async context manager."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._db = connect(path)
        self._reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._read_thread = ThreadPoolExecutor(1, "checkpoint-reader")
        self.writer = Writer(self._db, clock)
        row = self._reader.execute("SELECT coalesce(max(id), 0) FROM grants").fetchone()
        self._last_grant = int(row[0])
        self.listing = Listing(self.read)
        self.answers = Answers(self.read, self._commit, clock)

    async def __aenter__(self) -> Self:
        self.writer.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, then close."""
        await self.writer.close()
        self._read_thread.shutdown()
        self._reader.close()
        self._db.close()

    # Writing

    def write_first(self, work: Callable[[], None]) -> None:
        """Call this in the writer's thread before each transaction: it writes what has to be out before."""
        self.writer.first = work

    @property
    def full_since(self) -> float | None:
        """Since when the disk is full, None while it is not."""
        return self.writer.full_since

    def give_up(self) -> None:
        """Wait for room on a full disk no more: who waits for a commit is cancelled, and resumes later."""
        self.writer.give_up()

    def _put(self, sql: str, *values: Any) -> None:
        """Write soon; a crash may lose it."""
        self.writer.put(sql, values)

    async def _commit(self, sql: str, *values: Any) -> None:
        """Write, and return when it is on the disk."""
        self.writer.put(sql, values)
        await self.writer.committed()

    async def commit_all(self, *statements: tuple[str, Values]) -> None:
        """Write several in one transaction, and return when they are on the disk."""
        for sql, values in statements:  # a batch takes all there is
            self.writer.put(sql, values)
        await self.writer.committed()

    async def create_runs(self, run_ids: Mapping[str, str], priority: int) -> list[StoredRun]:
        """Add queued runs, all in one transaction; durable when this returns.

        Args:
            run_ids: the run id that is new for each patient.
            priority: of all of them.

        Returns:
            The unfinished run of each patient, in their order: the new one, or the one there was.
        """
        found: dict[str, StoredRun] = {}

        def find(patient_ids: str) -> list[StoredRun]:  # in the thread: they may be 100,000
            for row in self._reader.execute(OF_PATIENTS, (patient_ids,)):
                found[row[1]] = run_of(row)
            return [found[patient_id] for patient_id in run_ids if patient_id in found]

        missing, runs = dict(run_ids), list[StoredRun]()
        while missing:
            await self._commit(CREATE, priority, RunState.QUEUED, self._clock(), to_json(missing))
            runs = await self._aside(find, to_json(list(missing)))
            if len(runs) == len(run_ids):  # otherwise one that there was has ended between the two statements
                break
            missing = {patient_id: run_ids[patient_id] for patient_id in missing if patient_id not in found}
        return runs

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
        self.writer.doing(run_id, to_json(doing))

    def begin_step(self, run_id: str, activity: str, item: str) -> None:
        """Note a try of an activity."""
        self.writer.step(run_id, activity, item, self._clock()).attempts += 1

    def save_step(self, run_id: str, activity: str, item: str, state: Json) -> asyncio.Future[None]:
        """Keep what a later try has to know; durable when the future is done."""
        self.note_step(run_id, activity, item, state)
        return self.writer.committed()

    def note_step(self, run_id: str, activity: str, item: str, state: Json) -> None:
        """Keep what a later try would like to know; a crash may lose the last second of it."""
        self.writer.step(run_id, activity, item, self._clock()).state = to_json(state)

    def finish_step(self, run_id: str, activity: str, item: str, result: Json) -> asyncio.Future[None]:
        """Set the checkpoint of an activity; durable when the future is done.

        It is written also where whoever waits for it is cancelled.
        """
        now = self._clock()
        row = self.writer.step(run_id, activity, item, now)
        row.finished_at, row.result = now, to_json(result)
        return self.writer.committed()

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

    async def unpause(self, name: str) -> None:
        """Take that back; durable when this returns."""
        await self._commit("DELETE FROM pauses WHERE name = ?", name)

    async def pauses(self) -> dict[str, float]:
        """What is paused, and since when."""
        return dict(await self.read("SELECT name, since FROM pauses"))

    # Reading

    async def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query in the reader's thread; its values are in order, or one mapping by name."""
        given: Values = values[0] if values and isinstance(values[0], dict) else values
        return await self._aside(lambda: self._reader.execute(sql, given).fetchall())

    async def steps(self, run_id: str) -> list[StoredStep]:
        """Every activity of the run that was begun, in the order of their beginning."""
        return [step_of(row) for row in await self.read(STEPS, run_id)]

    async def run_and_steps(self, run_id: str) -> tuple[StoredRun, list[StoredStep]] | None:
        """A run with its activities, as `runs` and `steps` have them, by one way to the thread and back."""

        def work() -> tuple[StoredRun, list[StoredStep]] | None:
            row = self._reader.execute(f"{RUNS} WHERE run_id = ?", (run_id,)).fetchone()
            if row is None:
                return None
            return run_of(row), [step_of(step) for step in self._reader.execute(STEPS, (run_id,))]

        return await self._aside(work)

    async def unfinished(self) -> list[StoredRun]:
        """Runs that are queued, running or being cancelled, oldest first."""
        return await self._read_runs(f"{RUNS} WHERE {UNFINISHED} ORDER BY run_id")

    async def unfinished_ids(self) -> set[str]:
        """The ids of the same."""
        return {run_id for (run_id,) in await self.read(f"SELECT run_id FROM runs WHERE {UNFINISHED}")}  # noqa: S608 -- a constant

    async def _read_runs(self, sql: str, *values: Any) -> list[StoredRun]:
        """They may be 100,000: they are made in the thread, so that the loop looks after others meanwhile."""

        def work() -> list[StoredRun]:
            return [run_of(row) for row in self._reader.execute(sql, values)]

        return await self._aside(work)

    async def _aside(self, work: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._read_thread, work, *args)

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """These runs, in this order; unknown ids are left out."""
        these = RUNS + " WHERE run_id IN (SELECT value FROM json_each(?))"  # noqa: S608 -- constants only
        found = {run.run_id: run for run in await self._read_runs(these, to_json(list(run_ids)))}
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
