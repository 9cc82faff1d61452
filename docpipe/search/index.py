"""The index itself: one SQLite database with an FTS5 table, for one thread at a time.

It holds the text of documents a second time and is as private as they are: mode 0600, deleted content is
overwritten. It can be made anew from the storage at any time, so a commit does not wait for the disk;
`settle` does, once for each run.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from docpipe.errors import StateError
from docpipe.search.excerpts import lines_around
from docpipe.search.query import Term, expression, fold, owner_token
from docpipe.search.shapes import Hit, Hits, Text

APPLICATION_ID: Final = 0x444F4353  # "DOCS"
VERSION: Final = 2
_READABLE: Final = (1, VERSION)
"""An index of version 1 finds the same; prefixes of few letters take longer in it, until it is rebuilt."""
COUNTED: Final = 1000
"""Matches are counted and ranked up to here."""
_SCHEMA: Final = """
CREATE TABLE documents (
    id          INTEGER PRIMARY KEY,
    patient_id  TEXT NOT NULL,
    document_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    title       TEXT,
    author      TEXT,
    date        TEXT,
    media_type  TEXT,
    UNIQUE (patient_id, document_id)
);
CREATE VIRTUAL TABLE texts USING fts5 (
    owner, title, text, tokenize = "unicode61 remove_diacritics 2", prefix = "2 3 4"
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_WAIT_S: Final = 10.0
"""How long a writer waits for another process to finish its transaction."""
_REBUILD: Final = "`docpipe search --rebuild` makes it anew from the stored documents."


class SearchIndexError(StateError):
    """The index cannot be used."""


class Index:
    """The index of one storage, open from the first call that needs it until `close`.

    Methods raise SearchIndexError where the database cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the database; a later call opens it again."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def create(self, *, complete: bool) -> None:
        """Make the database unless it is there; `complete`: whether the storage is empty so far."""
        if self.path.exists():
            return
        with self._opened() as db:
            db.execute("INSERT OR IGNORE INTO facts VALUES ('complete', ?)", (int(complete),))

    def put(self, patient_id: str, texts: Iterable[Text]) -> None:
        """Add documents of a patient in one transaction, in place of earlier versions."""
        self.put_all((patient_id, text) for text in texts)

    def put_all(self, texts: Iterable[tuple[str, Text]], *, durably: bool = False) -> None:
        """Add documents with the ids of their patients in one transaction, in place of earlier versions.

        Args:
            texts: are read one by one.
            durably: whether this and everything that was committed before is on the disk afterwards.
        """
        with self._synced(durably), self._transaction() as db:
            for patient_id, text in texts:
                _put(db, patient_id, text)
            if durably:
                db.execute(
                    "INSERT INTO facts VALUES ('settled', 1) "
                    "ON CONFLICT (name) DO UPDATE SET value = value + 1"
                )

    @contextlib.contextmanager
    def _synced(self, durably: bool) -> Iterator[None]:
        """Within this, a commit waits for the disk, if it is to be durable."""
        if not durably:
            yield
            return
        with self._opened() as db:
            db.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            if self._db is not None:
                self._db.execute("PRAGMA synchronous = NORMAL")

    def documents(self, patient_id: str) -> set[str]:
        """The ids of a patient's documents in the index."""
        with self._opened() as db:
            rows = db.execute(
                "SELECT document_id FROM documents WHERE patient_id = ?", (_storable(patient_id),)
            )
            return {document_id for (document_id,) in rows}

    def patients(self) -> set[str]:
        """The ids of all patients with documents in the index."""
        with self._opened() as db:
            return {patient_id for (patient_id,) in db.execute("SELECT DISTINCT patient_id FROM documents")}

    def keep_only(self, patient_id: str, document_ids: Iterable[str]) -> None:
        """Remove a patient's other documents."""
        others = self.documents(patient_id) - set(document_ids)
        with self._transaction() as db:
            for document_id in others:
                _remove(db, patient_id, document_id)

    def forget(self, patient_id: str) -> int:
        """Remove everything of a patient, so that the files hold nothing of it any more.

        Returns:
            The number of documents removed.
        """
        gone = self.documents(patient_id)
        self.keep_only(patient_id, ())
        with self._opened() as db:
            db.execute("INSERT INTO texts (texts) VALUES ('optimize')")  # else terms stay until a later merge
            db.execute("PRAGMA wal_checkpoint (TRUNCATE)").fetchall()
        return len(gone)

    def mark_complete(self) -> None:
        """Note that every stored document is in the index."""
        with self._opened() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES ('complete', 1)")

    def search(self, terms: list[Term], patient_id: str | None, *, limit: int, offset: int) -> Hits:
        """The documents that have all terms.

        Args:
            terms: of the query.
            patient_id: whose documents; None for everyone's.
            limit: at most this many hits.
            offset: this many are left out before them.
        """
        match = expression(terms, patient_id)
        with self._transaction("DEFERRED") as db:
            latest = [
                row
                for (row,) in db.execute(
                    "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rowid DESC LIMIT ?",
                    (match, COUNTED + 1),
                )
            ]
            more = len(latest) > COUNTED
            rows = (latest[:COUNTED] if more else _ranked(db, latest, terms))[offset : offset + limit]
            complete = db.execute("SELECT value FROM facts WHERE name = 'complete'").fetchone()
            hits = [_hit(db, row, terms) for row in rows]
        total = min(len(latest), COUNTED)
        return Hits(total=total, more=more, complete=bool(complete and complete[0]), hits=hits)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._db is None:
                self._db = _connect(self.path)
            yield self._db
        except sqlite3.DatabaseError as error:
            self.close()
            raise SearchIndexError(
                f"The search index {self.path} cannot be used ({error}): {_REBUILD}"
            ) from error
        except OSError as error:
            raise SearchIndexError(
                f"The search index {self.path} cannot be used ({error.strerror}): correct the permissions "
                "of its folder, or set search.index = false."
            ) from error

    @contextlib.contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._opened() as db:
            db.execute(f"BEGIN {kind}")
            try:
                yield db
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def remove_files(path: Path) -> None:
    """Remove the database with what SQLite keeps beside it."""
    for end in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{end}").unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    db = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables where they are missing.

    Raises:
        sqlite3.DatabaseError: if the file is of another program or version.
    """
    if _is_current(db):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        if _is_current(db):  # another process was faster
            return
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("it is of another version or program")
        for statement in filter(str.strip, _SCHEMA.split(";\n")):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        db.execute("COMMIT")


def _is_current(db: sqlite3.Connection) -> bool:
    identity = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return identity[0] == APPLICATION_ID and identity[1] in _READABLE


def _put(db: sqlite3.Connection, patient_id: str, text: Text) -> None:
    """Add a document in place of its earlier version."""
    _remove(db, patient_id, text.document_id)
    values = (text.name, text.title, text.author, text.date, text.media_type)
    row = db.execute(
        "INSERT INTO documents VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
        (_storable(patient_id), text.document_id, *map(_storable, values)),
    )
    title = "\n".join(filter(None, (text.title, text.name, text.author)))
    db.execute(
        "INSERT INTO texts (rowid, owner, title, text) VALUES (?, ?, ?, ?)",
        (row.lastrowid, owner_token(patient_id), _storable(title), _storable(text.text)),
    )


def _remove(db: sqlite3.Connection, patient_id: str, document_id: str) -> None:
    key = (_storable(patient_id), document_id)
    row = db.execute("SELECT id FROM documents WHERE patient_id = ? AND document_id = ?", key).fetchone()
    if row is not None:
        db.execute("DELETE FROM texts WHERE rowid = ?", row)
        db.execute("DELETE FROM documents WHERE id = ?", row)


def _ranked(db: sqlite3.Connection, rows: list[int], terms: list[Term]) -> list[int]:
    """Documents whose title, name or author has all terms first, then the newest by their date.

    FTS5's own ranking counts in how many documents of the index each word occurs: for frequent words that
    takes longer than all the rest of a search.
    """
    known = db.execute(
        "SELECT id, title, name, author, date FROM documents "
        "WHERE id IN (SELECT value FROM json_each(?)) ORDER BY date DESC, id DESC",
        (json.dumps(rows),),
    ).fetchall()
    patterns = [term.pattern for term in terms]

    def is_other(row: tuple[Any, ...]) -> bool:
        words = fold("\n".join(filter(None, row[1:4])))
        return not all(pattern.search(words) for pattern in patterns)

    return [row[0] for row in sorted(known, key=is_other)]


def _hit(db: sqlite3.Connection, row: int, terms: list[Term]) -> Hit:
    known: tuple[Any, ...] = db.execute(
        "SELECT patient_id, document_id, name, title, author, date, media_type FROM documents WHERE id = ?",
        (row,),
    ).fetchone()
    (text,) = db.execute("SELECT text FROM texts WHERE rowid = ?", (row,)).fetchone()
    names = ("patient_id", "document_id", "name", "title", "author", "date", "media_type")
    return Hit(**dict(zip(names, known, strict=True)), lines=lines_around(text, terms))


def _storable(value: str | None) -> str | None:
    """A text that SQLite can hold: half a surrogate pair has no UTF-8."""
    return value if value is None or value.isascii() else value.encode(errors="replace").decode()
