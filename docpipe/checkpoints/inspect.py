"""Reads facts from a checkpoint database while another process may own it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from docpipe.checkpoints.schema import UNFINISHED, reading, version_of
from docpipe.checkpoints.tables import VERSION
from docpipe.errors import StateError

_MOST = 20


def integrity(folder: Path) -> Iterator[str]:
    """Read the whole file; yield a sentence for each fault that SQLite finds. Without a file there is none.

    Raises:
        StateError: if it is another program's database, or of a newer docpipe.
    """
    path = folder / "checkpoints.db"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                version_of(db, path)
            for (problem,) in db.execute(f"PRAGMA integrity_check({_MOST})"):
                if problem != "ok":
                    yield problem
    except sqlite3.Error as error:
        yield str(error)


def outdated(folder: Path) -> int | None:
    """Return the version of the tables if it is not the current one, else None.

    Raises:
        StateError: if it is another program's database, of a newer docpipe, or cannot be read.
    """
    path = folder / "checkpoints.db"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            version = version_of(db, path)
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be read: {error}.") from error
    return None if version == VERSION else version


def last_alive(folder: Path) -> float | None:
    """Return when a process last noted that it was alive (seconds since the epoch), None if none did.

    Raises:
        StateError: if the database cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return None
    with reading(folder) as db:
        row = db.execute("SELECT alive FROM process").fetchone()
    return None if row is None else float(row[0])


def is_held(folder: Path, attempts: int = 10) -> bool:
    """Whether another process holds the write lock; docpipe itself holds it for moments only."""
    path = folder / "checkpoints.db"
    for _ in range(attempts):
        try:
            with contextlib.closing(
                sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0.05)
            ) as db:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return False
        else:
            return False
    return True


def unfinished_runs(folder: Path) -> dict[str, str]:
    """Run id to patient id of each unfinished run.

    Raises:
        StateError: if the database cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return {}
    with reading(folder) as db:
        return dict(db.execute(f"SELECT run_id, patient_id FROM runs WHERE {UNFINISHED}"))  # noqa: S608 -- a constant


def completed_runs(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield run id and patient id of each run that has a manifest, oldest first.

    Raises:
        StateError: if the database cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return
    with reading(folder) as db:
        last = ""
        sql = (
            "SELECT run_id, patient_id FROM runs WHERE run_id > ? AND "
            "state IN ('completed', 'completed_with_errors') ORDER BY run_id LIMIT 1000"
        )
        while rows := db.execute(sql, (last,)).fetchall():  # no transaction stays open between the pages
            yield from rows
            last = rows[-1][0]
