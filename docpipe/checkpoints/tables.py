"""The tables of the checkpoint database, their version, and the upgrades to it.

How to change the tables:

1. Write a database of the version as it is now into `tests/unit/data/checkpoints-v<VERSION>.sql`, as a dump
   (`sqlite3 checkpoints.db .dump`, with its application_id and user_version) that has finished and unfinished
   runs. The tests open every dump in that folder.
2. Change the tables, increment `VERSION`, and add the statements of the upgrade to `MIGRATIONS`.
   A new column goes to the end of its table, with a default that is right for existing rows.
"""

from typing import Final

from docpipe.checkpoints.boottime import CLOCKS
from docpipe.checkpoints.counters import COUNTERS
from docpipe.checkpoints.redaction import REDACT_FINISHED

VERSION: Final = 7
_FIRST: Final = """
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
    doing       TEXT NOT NULL DEFAULT '{}', -- its position and wait; at most a second old
    retries     INTEGER NOT NULL DEFAULT 0, -- how often it was retried after its end
    retried_from TEXT                       -- the first activity of the last retry
) WITHOUT ROWID;
CREATE INDEX runs_by_patient ON runs (patient_id, run_id);
CREATE UNIQUE INDEX one_unfinished_run_a_patient ON runs (patient_id) WHERE state IN ('queued', 'running');
CREATE TABLE steps (
    run_id      TEXT NOT NULL,
    activity    TEXT NOT NULL,
    item        TEXT NOT NULL, -- which document or search; empty if there is only one
    attempts    INTEGER NOT NULL,
    started_at  REAL NOT NULL,
    finished_at REAL,
    state       TEXT, -- for later attempts: the intent of a POST, when to poll next
    result      TEXT, -- set once: the checkpoint
    PRIMARY KEY (run_id, activity, item)
) WITHOUT ROWID;
CREATE TABLE grants ( -- requests sent under a quota with a long window
    id       INTEGER PRIMARY KEY,
    quota    TEXT NOT NULL,
    at       REAL NOT NULL,
    answered REAL
);
CREATE TABLE process (id INTEGER PRIMARY KEY CHECK (id = 1), alive REAL NOT NULL);
CREATE INDEX runs_by_state ON runs (state, run_id);
CREATE INDEX runs_by_end ON runs (finished_at, state) WHERE finished_at IS NOT NULL;
CREATE TABLE pauses ( -- what a person has paused
    name  TEXT PRIMARY KEY, -- a service; empty for everything
    since REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE answers ( -- answers to requests with an idempotency key
    key    TEXT PRIMARY KEY,
    at     REAL NOT NULL,
    digest TEXT NOT NULL, -- of the request
    answer TEXT NOT NULL
) WITHOUT ROWID;
"""
_PLANS: Final = """
CREATE TABLE schedules ( -- what a service retrieves again by plan
    name    TEXT PRIMARY KEY,
    until   REAL NOT NULL, -- all that was due by then has begun
    last_at REAL, -- when runs were last begun
    begun   INTEGER NOT NULL DEFAULT 0, -- runs of the round that started at `round`
    round   REAL,
    paused  REAL -- since when a person has paused it
) WITHOUT ROWID;
CREATE TABLE notifications ( -- ends of runs that the receiver has not confirmed
    id          TEXT PRIMARY KEY,
    run_id      TEXT NOT NULL,
    patient_id  TEXT NOT NULL,
    state       TEXT NOT NULL,
    counts      TEXT NOT NULL,
    retries     INTEGER NOT NULL,
    created_at  REAL NOT NULL,
    started_at  REAL,
    finished_at REAL NOT NULL
) WITHOUT ROWID;
"""
"""The tables of version 5."""
TABLES: Final = _FIRST + _PLANS + CLOCKS + COUNTERS
"""The statements that make a new database."""
MIGRATIONS: Final = {
    1: """
        ALTER TABLE runs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE runs ADD COLUMN retried_from TEXT;
    """,
    2: """
        CREATE INDEX runs_by_state ON runs (state, run_id);
        CREATE INDEX runs_by_end ON runs (finished_at, state) WHERE finished_at IS NOT NULL;
        CREATE TABLE pauses (name TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID;
        CREATE TABLE answers (
            key TEXT PRIMARY KEY, at REAL NOT NULL, digest TEXT NOT NULL, answer TEXT NOT NULL
        ) WITHOUT ROWID;
    """,
    3: REDACT_FINISHED,
    4: _PLANS,
    5: CLOCKS,
    6: COUNTERS,
}
"""The statements that upgrade each version to the next."""
