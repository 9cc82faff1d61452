"""What outlives the process: JSON records by kind and id, in SQLite. All SQL of the fakes is here."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS records (kind TEXT, id TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id))"
)


class Journal:
    """A dictionary on disk. A record that was put is there after SIGKILL (though not after a power cut).

    Without a path everything is forgotten at once. OSError where the file cannot be used, or is in use by
    another process.
    """

    def __init__(self, path: Path | None) -> None:
        self._db: sqlite3.Connection | None = None
        if path is None:
            return
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            # Exclusive: two processes on one file would each miss what the other did. Off: the system's
            # cache survives a killed process, and a fake need not survive more.
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
            db.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            db.close()
            raise OSError(f"{path} cannot hold the state of the fakes: {error}") from error
        self._db = db

    def __bool__(self) -> bool:
        return self._db is not None

    def load(self, kind: str) -> dict[str, Any]:
        """All records of a kind by id, in the order in which they were first put."""
        if self._db is None:
            return {}
        rows = self._db.execute("SELECT id, body FROM records WHERE kind = ? ORDER BY rowid", (kind,))
        return {id_: json.loads(body) for id_, body in rows}

    def put(self, kind: str, id_: str, record: Any) -> None:
        """Keep a record, in place of an earlier one with this id."""
        if self._db is not None:
            self._db.execute(
                "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
                (kind, id_, json.dumps(record)),
            )

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Keep what is put within the block all at once: an effect and its key must not be torn apart."""
        if self._db is None:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def forget(self, kind: str, id_: str | None = None) -> None:
        """Drop a record, or all of a kind."""
        if self._db is not None:
            self._db.execute("DELETE FROM records WHERE kind = ? AND id = coalesce(?, id)", (kind, id_))

    def close(self) -> None:
        """Close the file; safe to call again."""
        if self._db is not None:
            with contextlib.closing(self._db):
                self._db = None
