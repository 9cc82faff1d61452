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
from typing import Any, Self, TypeVar

import structlog

from docpipe.checkpoints.agenda import Agenda
from docpipe.checkpoints.answers import Answers
from docpipe.checkpoints.boottime import grant_clock
from docpipe.checkpoints.ledger import GrantLedger
from docpipe.checkpoints.listing import Listing
from docpipe.checkpoints.outbox import Outbox
from docpipe.checkpoints.packedsteps import PackedSteps
from docpipe.checkpoints.progress import with_progress
from docpipe.checkpoints.redaction import REDACT
from docpipe.checkpoints.schema import (
    CREATE,
    FINISH,
    FORGET,
    FORGET_TASK,
    OF_PATIENTS,
    RAISE,
    REQUEUE,
    RUNS,
    STEPS,
    UNFINISHED,
    StoredRun,
    StoredStep,
    connect,
    run_of,
    step_of,
)
from docpipe.checkpoints.writer import Statement, Values, Writer
from docpipe.errors import StateError
from docpipe.gates.local_trouble import Trouble, trouble_of
from docpipe.model import Activity, Clock, RunState
from docpipe.util.json import to_json

log = structlog.get_logger(__name__)

_T = TypeVar("_T")


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
        now = grant_clock(self._db, clock)
        self.ledger = GrantLedger(self.read, self._put, self._commit, clock, now=now, last=int(row[0]))
        self.listing = Listing(self.read)
        self.answers = Answers(self.read, self._commit, clock)
        self.agenda = Agenda(self.read, self._commit)
        self.outbox = Outbox(self.read, self._commit)

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

    def before_commit(self, work: Callable[[], None]) -> None:
        """Call `work` in the writer's thread before each transaction."""
        self.writer.before_commit = work

    @property
    def full_since(self) -> float | None:
        """When the disk became full, None while it is not."""
        return self.writer.full_since

    @property
    def trouble(self) -> Trouble | None:
        """Why nothing can be written now, None while writing works."""
        return self.writer.trouble

    @property
    def trouble_since(self) -> float | None:
        """When writing stopped working, None while it works."""
        return self.writer.trouble_since

    def give_up(self) -> None:
        """Stop waiting for troubles to pass: coroutines that wait for a commit are cancelled."""
        self.writer.give_up()

    def _put(self, sql: str, *values: Any) -> None:
        """Write soon; a crash may lose the write."""
        self.writer.put(sql, values)

    async def _commit(self, sql: str, *values: Any) -> None:
        """Write; durable when this returns."""
        self.writer.put(sql, values)
        await self.writer.committed()

    async def commit_all(self, *statements: Statement) -> None:
        """Run several statements in one transaction; durable when this returns."""
        for sql, values in statements:  # no await in between, so they share a batch
            self.writer.put(sql, values)
        await self.writer.committed()

    async def create_runs(
        self, run_ids: Mapping[str, str], priority: int, note: Statement | None = None
    ) -> list[StoredRun]:
        """Add queued runs, all in one transaction; durable when this returns.

        Args:
            run_ids: a new run id for each patient id.
            priority: of all these runs; an unfinished run of lower priority is raised to it.
            note: what is written in the same transaction.

        Returns:
            The unfinished run of each patient, in the same order: the new one, or the one that existed.
        """
        by_patient: dict[str, StoredRun] = {}

        def read_unfinished(patient_ids: str) -> list[StoredRun]:  # in the thread: there may be 100,000
            for row in self._reader.execute(OF_PATIENTS, (patient_ids,)):
                by_patient[row[1]] = run_of(row)
            return [by_patient[patient_id] for patient_id in run_ids if patient_id in by_patient]

        missing, runs = dict(run_ids), list[StoredRun]()
        notes = [] if note is None else [note]
        while missing:
            created = (priority, RunState.QUEUED, self._clock(), to_json(missing))
            raised = (priority, priority, to_json(missing))
            await self.commit_all((CREATE, created), (RAISE, raised), *notes)
            notes = []
            runs = await self._in_reader(read_unfinished, to_json(list(missing)))
            if len(runs) == len(run_ids):  # otherwise an existing run has ended between the two statements
                break
            missing = {
                patient_id: run_ids[patient_id] for patient_id in missing if patient_id not in by_patient
            }
        return runs

    def start_run(self, run_id: str) -> None:
        """Note that the run has started."""
        self._put(
            "UPDATE runs SET state = 'running', started_at = coalesce(started_at, ?) "
            "WHERE run_id = ? AND state = 'queued'",
            self._clock(),
            run_id,
        )

    async def finish_run(
        self, run_id: str, state: RunState, counts: dict[str, int], task_id: str | None, error: str | None
    ) -> None:
        """Set how the run ended, and remove demographics and signed links from its checkpoints."""
        ended = (state, json.dumps(counts), task_id, error, self._clock(), run_id)
        redactions = [(redact, (run_id,)) for redact in REDACT]
        await self.commit_all((FINISH, ended), *redactions, *self.outbox.at_end(run_id))

    async def cancel_run(self, run_id: str) -> None:
        """Mark a run as being cancelled unless it has ended; durable when this returns."""
        await self._commit(
            "UPDATE runs SET state = 'cancelling', doing = '{}' "
            "WHERE run_id = ? AND state IN ('queued', 'running')",
            run_id,
        )

    async def retry_run(self, run: StoredRun, activity: Activity) -> None:
        """Delete a finished run's checkpoints from an activity on and queue it again, in one transaction.

        Does nothing if the run was retried meanwhile or its patient has an unfinished run. The intent of the
        task's POST is kept: a later attempt looks the task up before it creates one.
        """
        order = list(Activity)
        forgotten = json.dumps(order[order.index(activity) :])
        of_it = {"run": run.run_id, "retries": run.retries, "first": activity, "forgotten": forgotten}
        of_it["task"] = Activity.CREATE_TASK
        await self.commit_all((REQUEUE, of_it), (FORGET_TASK, of_it), (FORGET, of_it))

    def note_doing(self, run_id: str, doing: object) -> None:
        """Note the position of a run, for other processes."""
        self.writer.doing(run_id, to_json({} if doing is None else doing))

    def begin_step(self, run_id: str, activity: str, item: str) -> None:
        """Note an attempt at an activity."""
        self.writer.step(run_id, activity, item, self._clock()).attempts += 1

    def save_step(self, run_id: str, activity: str, item: str, state: object) -> asyncio.Future[None]:
        """Save the state of a step for later attempts; durable when the future is done."""
        self.note_step(run_id, activity, item, state)
        return self.writer.committed()

    def note_step(self, run_id: str, activity: str, item: str, state: object) -> None:
        """Save the state of a step soon; a crash may lose the last second of it."""
        self.writer.step(run_id, activity, item, self._clock()).state = to_json(state)

    def finish_step(self, run_id: str, activity: str, item: str, result: object) -> asyncio.Future[None]:
        """Set the checkpoint of an activity; durable when the future is done.

        It is written even if the caller is cancelled while it waits.
        """
        now = self._clock()
        row = self.writer.step(run_id, activity, item, now)
        row.finished_at, row.result = now, to_json(result)
        return self.writer.committed()

    # Pauses

    async def pause(self, name: str) -> None:
        """Pause a service, or everything with an empty name; durable when this returns."""
        await self._commit("INSERT OR IGNORE INTO pauses (name, since) VALUES (?, ?)", name, self._clock())

    async def unpause(self, name: str) -> None:
        """End a pause; durable when this returns."""
        await self._commit("DELETE FROM pauses WHERE name = ?", name)

    async def pauses(self) -> dict[str, float]:
        """Return the paused services with the time each pause started; "" stands for everything."""
        return dict(await self.read("SELECT name, since FROM pauses"))

    # Reading

    async def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query in the reader's thread, with positional values or one mapping."""
        given: Values = values[0] if values and isinstance(values[0], dict) else values
        return await self._in_reader(lambda: self._reader.execute(sql, given).fetchall())

    async def steps(self, run_id: str) -> list[StoredStep]:
        """Return every activity of the run that was started, in the order of their start."""
        return [step_of(row) for row in await self.read(STEPS, run_id)]

    async def packed_steps(self, run_id: str) -> PackedSteps:
        """The same for a process that resumes the run."""
        return PackedSteps.of_rows(await self.read(STEPS, run_id))

    async def run_and_steps(self, run_id: str) -> tuple[StoredRun, list[StoredStep]] | None:
        """Return a run and its activities in one trip to the reader's thread, None if there is none."""

        def work() -> tuple[StoredRun, list[StoredStep]] | None:
            row = self._reader.execute(f"{RUNS} WHERE run_id = ?", (run_id,)).fetchone()
            if row is None:
                return None
            return run_of(row), [step_of(step) for step in self._reader.execute(STEPS, (run_id,))]

        return await self._in_reader(work)

    async def unfinished(self) -> list[StoredRun]:
        """Return the runs that are queued, running or being cancelled, oldest first."""
        return await self._read_runs(f"{RUNS} WHERE {UNFINISHED} ORDER BY run_id")

    async def unfinished_ids(self) -> set[str]:
        """Return the ids of the runs that are queued, running or being cancelled."""
        return {run_id for (run_id,) in await self.read(f"SELECT run_id FROM runs WHERE {UNFINISHED}")}  # noqa: S608 -- a constant

    async def newest_run_id(self) -> str:
        """Return the largest id of a run, "" if there is none."""
        ((newest,),) = await self.read("SELECT coalesce(max(run_id), '') FROM runs")
        return str(newest)

    async def _read_runs(self, sql: str, *values: Any) -> list[StoredRun]:
        """Read runs; there may be 100,000, so they are made in the thread and do not block the loop."""

        def work() -> list[StoredRun]:
            return [run_of(row) for row in self._reader.execute(sql, values)]

        return await self._in_reader(work)

    async def _in_reader(self, work: Callable[..., _T], *args: Any) -> _T:
        """Run `work` in the reader's thread; repeat it while a trouble of this machine prevents reading."""
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._read_thread, work, *args)
            except (OSError, RuntimeError, sqlite3.Error) as error:
                trouble = trouble_of(error)
                if trouble is None or not await self.writer.wait_out(trouble):
                    raise

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Return these runs, in this order; unknown ids are left out."""
        these = RUNS + " WHERE run_id IN (SELECT value FROM json_each(?))"  # noqa: S608 -- constants only
        by_id = {run.run_id: run for run in await self._read_runs(these, to_json(list(run_ids)))}
        return [by_id[run_id] for run_id in run_ids if run_id in by_id]

    async def runs_with_progress(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Like `runs`; unfinished runs come with their task and documents so far."""
        return await self._in_reader(with_progress, self._reader, await self.runs(run_ids))


def open_database(folder: Path, clock: Clock) -> Checkpoints:
    """Open the checkpoint database of a state folder; create it if there is none.

    Raises:
        StateError: if the file is not a checkpoint database, is damaged, or is from a newer docpipe;
            it is left unchanged.
    """
    path = folder / "checkpoints.db"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return Checkpoints(path, clock)
    except OSError as error:
        trouble = trouble_of(error)
        cure = f": {trouble.ending('state folder')}" if trouble else ""
        raise StateError(f"{path} cannot be opened ({error.strerror}){cure}.") from error
    except sqlite3.OperationalError as error:
        if (trouble := trouble_of(error)) is None:
            raise _damaged(path, error) from error
        raise StateError(
            f"{path} cannot be opened now ({error}): {trouble.ending('state folder')}."
        ) from error
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: sqlite3.Error) -> StateError:
    return StateError(
        f"{path} is damaged or not a checkpoint database ({error}). "
        "Nothing was changed: move it away to start afresh, or restore a backup."
    )
