"""What can be told of a checkpoint database from outside, while its owner may be at work on it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from docpipe.checkpoints.schema import UNFINISHED, VERSION, reading, version_of
from docpipe.errors import StateError

_MOST = 20


def integrity(folder: Path) -> Iterator[str]:
    """What SQLite finds wrong in the file, a sentence each; reads all of it. Nothing where there is no file.

    Raises:
        StateError: if it is another program's database, or of a newer docpipe.
    """
    path = folder / "checkpoints.db"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                version_of(db, path)
            for (told,) in db.execute(f"PRAGMA integrity_check({_MOST})"):
                if told != "ok":
                    yield told
    except sqlite3.Error as error:
        yield str(error)


def outdated(folder: Path) -> int | None:
    """The version of the tables where it is not the present one, else None.

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
    """Run id and patient id of each run that has a manifest, one after the other.

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
