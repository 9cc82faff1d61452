"""The checkpoint database: how it is opened, and the rows read from it; its tables are in `tables`.

A database is upgraded in one transaction when a process that owns the state folder opens it: a crash leaves
it unchanged. There is no downgrade; an older docpipe refuses it. Commands that only read (`docpipe status`)
upgrade a copy in memory or in a temporary file, so that reading changes nothing.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from docpipe.checkpoints.counters import complete_counters
from docpipe.checkpoints.position import Position, position_of
from docpipe.checkpoints.tables import MIGRATIONS, TABLES, VERSION
from docpipe.errors import StateError
from docpipe.model import Activity, RunState

log = structlog.get_logger(__name__)

APPLICATION_ID: Final = 0x444F4350  # "DOCP"
ACTIVE: Final = "state IN ('queued', 'running')"
_WAL_BYTES: Final = 64 * 2**20
_WAL_PAGES: Final = 4096
"""Pages of the log before a copy into the database; a thousand runs fill 1000 in two transactions."""
_CACHE_KIB: Final = 32 * 2**10
"""A thousand active runs write to as many pages; with SQLite's default of 2 MiB each is read every time."""
_INCREMENTAL: Final = 2
UNFINISHED: Final = "state IN ('queued', 'running', 'cancelling')"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A row of `runs`. Times are seconds since the epoch."""

    run_id: str
    patient_id: str
    priority: int
    state: RunState
    created_at: float
    started_at: float | None
    finished_at: float | None
    task_id: str | None
    error: str | None
    counts: dict[str, int]
    doing: Position | None
    """What it does, None between steps and once it has ended."""
    retries: int = 0
    """How often it was retried after its end."""
    retried_from: Activity | None = None
    """The first activity of the last retry."""


class StoredStep(NamedTuple):  # one per activity, and a tuple is made in a third of the time
    """A row of `steps`: an activity that was started, with its result if it has one."""

    activity: str
    item: str
    attempts: int
    started_at: float
    finished_at: float | None
    state: dict[str, Any] | None
    """What its attempts saved, as JSON; see `results.states`."""
    result: Any
    """A result or an error as JSON, None if there is none yet."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that a quota admitted; `answered` is None if no answer was noted."""

    at: float
    answered: float | None


RUNS: Final = (
    "SELECT run_id, patient_id, priority, state, created_at, started_at, finished_at, task_id, error, "
    "counts, doing, retries, retried_from FROM runs"
)
STEPS: Final = (
    "SELECT activity, item, attempts, started_at, finished_at, state, result FROM steps "
    "WHERE run_id = ? ORDER BY started_at, activity, item"
)


def put_steps(rows: int) -> str:
    """Make a statement that writes rows of `steps`: attempts are added, NULL leaves a column unchanged.

    Rows of NULL only are left out.
    """
    return f"""
        INSERT INTO steps (run_id, activity, item, attempts, started_at, finished_at, state, result)
        SELECT * FROM (VALUES {",".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * rows)}) WHERE column1 IS NOT NULL
        ON CONFLICT DO UPDATE SET
            attempts = attempts + excluded.attempts,
            finished_at = coalesce(excluded.finished_at, finished_at),
            state = coalesce(excluded.state, state),
            result = coalesce(excluded.result, result)
    """  # noqa: S608 -- constants only


NOTE_DOING: Final = """
    UPDATE runs SET doing = noted.value FROM json_each(?) AS noted WHERE run_id = noted.key
"""
CREATE: Final = """
    INSERT OR IGNORE INTO runs (priority, state, created_at, run_id, patient_id)
    SELECT ?, ?, ?, value, key FROM json_each(?)
"""
RAISE: Final = f"""
    UPDATE runs SET priority = ? WHERE {ACTIVE} AND priority < ?
        AND patient_id IN (SELECT key FROM json_each(?))
"""  # noqa: S608 -- constants only
"""Unfinished runs of these patients get at least this priority."""
OF_PATIENTS: Final = f"{RUNS} WHERE patient_id IN (SELECT value FROM json_each(?)) AND {ACTIVE}"  # noqa: S608 -- constants only
FINISH: Final = """
    UPDATE runs SET state = ?, counts = ?, task_id = ?, error = ?, finished_at = ?, doing = '{}'
    WHERE run_id = ?
"""
REQUEUE: Final = """
    UPDATE runs SET state = 'queued', retries = retries + 1, retried_from = :first, finished_at = NULL,
        error = NULL, counts = '{}'
    WHERE run_id = :run AND retries = :retries AND state IN ('completed', 'completed_with_errors', 'failed')
        AND NOT EXISTS (
            SELECT 1 FROM runs AS o WHERE o.patient_id = runs.patient_id AND o.state IN ('queued', 'running')
        )
"""
_OF_IT: Final = """
    WHERE run_id = :run AND activity IN (SELECT value FROM json_each(:forgotten))
        AND (
            SELECT state = 'queued' AND retries = :retries + 1 AND retried_from = :first FROM runs
            WHERE run_id = :run
        )
"""
"""The steps to delete, if the run was queued again in the same transaction."""
FORGET_TASK: Final = f"UPDATE steps SET result = NULL, finished_at = NULL {_OF_IT} AND activity = :task"  # noqa: S608 -- constants only
FORGET: Final = f"DELETE FROM steps {_OF_IT} AND activity <> :task"  # noqa: S608 -- likewise


def read_runs(folder: Path, which: str | None = None, latest: int = 1000) -> list[StoredRun]:
    """Read runs without disturbing the process that owns the folder.

    Args:
        folder: the state folder.
        which: a patient id or run id; None for all unfinished and the latest finished runs.
        latest: how many at most.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return []
    with reading(folder) as db:
        where = "" if which is None else "WHERE patient_id = :which OR run_id = :which"
        sql = f"{RUNS} {where} ORDER BY {UNFINISHED} DESC, run_id DESC LIMIT :latest"
        rows = db.execute(sql, {"which": which, "latest": latest}).fetchall()
    return [run_of(row) for row in reversed(rows)]


def read_steps(folder: Path, run_id: str) -> list[StoredStep]:
    """Read the activities of a run in the order of their start, without disturbing the owner of the folder.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return []
    with reading(folder) as db:
        return [step_of(row) for row in db.execute(STEPS, (run_id,))]


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the database of a state folder without changing it; an older version is copied and upgraded.

    Raises:
        StateError: if it cannot be read.
    """
    path = folder / "checkpoints.db"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            if not _new(db) and version_of(db, path) == VERSION:
                yield db
                return
            with contextlib.closing(sqlite3.connect("", isolation_level=None)) as copy:  # unnamed, temporary
                db.backup(copy)
                make_tables(copy, path)
                yield copy
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be read: {error}.") from error


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for writing; create the tables if it is new, upgrade them if they are old.

    Raises:
        StateError: if it is another program's, or from a newer docpipe.
        sqlite3.Error: if it is damaged.
    """
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        if not _new(db):
            version_of(db, path)  # before anything is changed
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a new file; an old one is rewritten below
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")  # overwrite deleted content; not every default
        db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        db.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        make_tables(db, path)
        complete_counters(db)
        _make_shrinkable(db)
    except BaseException:
        db.close()
        raise
    return db


def _make_shrinkable(db: sqlite3.Connection) -> None:
    """Rewrite a file once that cannot return pages to the disk: those made before version 3."""
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
        return
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("VACUUM")
    except sqlite3.OperationalError as error:  # no space for a copy: the file is used as it is
        log.warning("checkpoints_not_compacted", reason=str(error))


def _new(db: sqlite3.Connection) -> bool:
    """Whether there are no tables yet: a process may have died before it created them."""
    return bool(db.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def make_tables(db: sqlite3.Connection, path: Path) -> None:
    """Create the tables, or upgrade those of an older version, in one transaction; durable on return."""
    was = 0 if _new(db) else version_of(db, path)
    if was == VERSION:
        return
    steps = "".join(MIGRATIONS[old] for old in range(was, VERSION)) if was else TABLES
    try:
        db.executescript(
            f"BEGIN IMMEDIATE; {steps} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {VERSION}; COMMIT;"
        )
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    if was:
        log.info("checkpoints_upgraded", was=was, now=VERSION)


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The version of the tables.

    Raises:
        StateError: if it is another program's database, or of a newer docpipe.
    """
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StateError(
            f"{path} is not a checkpoint database of docpipe. Nothing was changed: move it away."
        )
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StateError(
            f"{path} was written by a newer docpipe (schema {version}, this one knows {VERSION}). "
            "Nothing was changed: install that version or a newer one."
        )
    return version


def run_of(row: tuple[Any, ...]) -> StoredRun:
    """A row of `RUNS`."""
    run_id, patient_id, priority, state, created, started, finished, *rest = row
    task_id, error, counts, doing, retries, retried_from = rest
    return StoredRun(
        run_id=run_id,
        patient_id=patient_id,
        priority=priority,
        state=RunState(state),
        created_at=created,
        started_at=started,
        finished_at=finished,
        task_id=task_id,
        error=error,
        counts=json.loads(counts),
        doing=position_of(doing),
        retries=retries,
        retried_from=None if retried_from is None else Activity(retried_from),
    )


def step_of(row: tuple[Any, ...]) -> StoredStep:
    """A row of `STEPS`."""
    *head, state, result = row
    return StoredStep(*head, *(None if text is None else json.loads(text) for text in (state, result)))
