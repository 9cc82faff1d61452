"""A database of many runs, for measurements of reading them."""

import asyncio
import contextlib
import json
import sqlite3
import time
from pathlib import Path

from docpipe.checkpoints import open_database
from docpipe.model import RunIds

_STATES = ("completed",) * 17 + ("completed_with_errors", "failed", "queued")


def empty(folder: Path) -> Path:
    """A state folder in which there is nothing yet; returns its database."""
    state = folder / "state"
    state.mkdir(mode=0o700)

    async def make() -> None:
        async with open_database(state, time.time):
            pass

    asyncio.run(make())
    return state / "checkpoints.db"


def fill(folder: Path, runs: int) -> None:
    """A database of runs that have ended, but for one in twenty, which is queued."""
    database = empty(folder)
    ids, now = RunIds(), time.time()
    counts = json.dumps({"converted": 20, "stored": 1})
    rows = [
        (ids.new(), f"T{number:06d}", number % 3, _STATES[number % 20], now - number, now - number, counts)
        for number in range(runs)
    ]
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.executemany(
            "INSERT INTO runs (run_id, patient_id, priority, state, created_at, finished_at, counts) "
            "VALUES (?, ?, ?, ?, ?, CASE WHEN ?6 THEN ?6 END, ?7)",
            rows,
        )
        db.execute("UPDATE runs SET finished_at = NULL WHERE state = 'queued'")
