"""The tables of the checkpoint database, their version, and the rows read from them."""

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docpipe.errors import StateError
from docpipe.model import Json, RunState

APPLICATION_ID: Final = 0x444F4350  # "DOCP"
VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE runs (
    run_id      TEXT PRIMARY KEY,
    patient_id  TEXT NOT NULL,
    priority    INTEGER NOT NULL,
    state       TEXT NOT NULL,
    created_at  REAL NOT NULL,
    started_at  REAL,
    finished_at REAL,
    task_id     TEXT,
    error       TEXT,
    counts      TEXT NOT NULL DEFAULT '{}', -- documents by outcome
    doing       TEXT NOT NULL DEFAULT '{}'  -- what it is at, and waits for; a second old at most
) WITHOUT ROWID;
CREATE INDEX runs_by_patient ON runs (patient_id, run_id);
CREATE UNIQUE INDEX one_unfinished_run_a_patient ON runs (patient_id) WHERE state IN ('queued', 'running');
CREATE TABLE steps (
    run_id      TEXT NOT NULL,
    activity    TEXT NOT NULL,
    item        TEXT NOT NULL, -- which document or try; empty where there is one
    attempts    INTEGER NOT NULL,
    started_at  REAL NOT NULL,
    finished_at REAL,
    state       TEXT, -- what a later try has to know: the intent of a POST, when to ask next
    result      TEXT, -- set once: the checkpoint
    PRIMARY KEY (run_id, activity, item)
) WITHOUT ROWID;
CREATE TABLE grants ( -- requests spent under a quota with a long window
    id       INTEGER PRIMARY KEY,
    quota    TEXT NOT NULL,
    at       REAL NOT NULL,
    answered REAL
);
CREATE TABLE process (id INTEGER PRIMARY KEY CHECK (id = 1), alive REAL NOT NULL);
"""


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
    doing: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A row of `steps`: an activity that was begun, and its result when it has one."""

    activity: str
    item: str
    attempts: int
    started_at: float
    finished_at: float | None
    state: Json | None
    result: Json | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that a quota let through; `answered` is None where no answer was noted."""

    at: float
    answered: float | None


RUNS: Final = (
    "SELECT run_id, patient_id, priority, state, created_at, started_at, finished_at, task_id, error, "
    "counts, doing FROM runs"
)
STEPS: Final = (
    "SELECT activity, item, attempts, started_at, finished_at, state, result FROM steps "
    "WHERE run_id = ? ORDER BY started_at, activity, item"
)


def read_runs(folder: Path, which: str | None = None, latest: int = 1000) -> list[StoredRun]:
    """Read runs without disturbing the process that owns the folder.

    Args:
        folder: the state folder.
        which: a patient id or run id; None for all unfinished and the latest finished runs.
        latest: how many at most.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    path = folder / "checkpoints.db"
    if not path.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            _check_version(db, path)
            where = "" if which is None else "WHERE patient_id = :which OR run_id = :which"
            sql = f"{RUNS} {where} ORDER BY state IN ('queued', 'running') DESC, run_id DESC LIMIT :latest"
            rows = db.execute(sql, {"which": which, "latest": latest}).fetchall()
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be read: {error}.") from error
    return [run_of(row) for row in reversed(rows)]


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for writing; make the tables when it is new.

    Raises:
        StateError: if it is another program's, or of a newer docpipe.
        sqlite3.Error: if it is damaged.
    """
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        new = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not new:
            _check_version(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if new:
            db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {VERSION}; COMMIT;"
            )
    except BaseException:
        db.close()
        raise
    return db


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StateError(
            f"{path} is not a checkpoint database of docpipe. Nothing was changed: move it away."
        )
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StateError(
            f"{path} was written by a newer docpipe (schema {version}, this one knows {VERSION}). "
            "Nothing was changed: install that version or a newer one."
        )


def run_of(row: tuple[Any, ...]) -> StoredRun:
    """A row of `RUNS`."""
    run_id, patient_id, priority, state, created, started, finished, task_id, error, counts, doing = row
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
        doing=json.loads(doing),
    )


def step_of(row: tuple[Any, ...]) -> StoredStep:
    """A row of `STEPS`."""
    *head, state, result = row
    return StoredStep(*head, *(None if text is None else json.loads(text) for text in (state, result)))
