"""docpipe's own SQLite file without SQLAlchemy, whose import takes a quarter of a run's start.

Of look-ups it answers none that is out of the ordinary: `PatientDatabase` does all others.
"""

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from docpipe.config.config import Patients
from docpipe.errors import StateError
from docpipe.model import Patient
from docpipe.patients.people import COLUMNS, OPTIONAL

_URL: Final = re.compile(r"sqlite(?:\+pysqlite)?:///([^?%]+)")
_NO_FILES: Final = (":memory:", "file:")
_LOOKUP: Final = f"SELECT {', '.join(f'patients.{name}' for name in COLUMNS)} FROM patients WHERE id = ?"  # noqa: S608 -- constants
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS patients ("
    + ", ".join(f"{name} VARCHAR{'' if name in OPTIONAL else ' NOT NULL'}" for name in COLUMNS)
    + ", PRIMARY KEY (id))"
)
_PUT: Final = (
    f"INSERT INTO patients ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 -- constants
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)


def put_patients(file: Path, patients: Sequence[Patient]) -> None:
    """Add patients to a file, in a thread; it is created if it is missing. A patient that exists is replaced.

    Raises:
        StateError: if it cannot be written.
    """
    with _writing(file) as db:
        db.executemany(_PUT, map(astuple, patients))


def remove_patient(file: Path, patient_id: str) -> bool:
    """Remove a patient from a file and overwrite the row; otherwise as `put_patients`.

    Returns:
        Whether there was such a patient.
    """
    with _writing(file) as db:
        return db.execute("DELETE FROM patients WHERE id = ?", (patient_id,)).rowcount > 0


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[sqlite3.Connection]:
    """One transaction in a file that has the table."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA secure_delete = ON")
            with db:
                db.execute(_TABLE)
                yield db
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"The patients database {file} cannot be written.") from error


class OwnFile:
    """Looks patients up in a file whose table is `patients`, with docpipe's columns, and changes them.

    Args:
        path: of the file; it need not exist.
    """

    def __init__(self, path: str) -> None:
        self._file = Path(path)
        self._uri = f"file:{quote(path)}?mode=ro"
        self._thread = ThreadPoolExecutor(1, "patients")

    async def rows(self, patient_id: str) -> Sequence[Mapping[str, Any]] | None:
        """The rows of a patient by docpipe's column names; None if the file cannot answer, or has none."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._rows, patient_id)

    def _rows(self, patient_id: str) -> Sequence[Mapping[str, Any]] | None:
        try:
            # Each call opens a connection: one kept open would still read a file that has been replaced.
            with contextlib.closing(sqlite3.connect(self._uri, uri=True, timeout=0)) as db:
                db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
                rows = db.execute(_LOOKUP, (patient_id,)).fetchall()
            return [dict(zip(COLUMNS, row, strict=True)) for row in rows] or None
        except (sqlite3.Error, ValueError, OverflowError):
            return None

    async def put(self, patients: Sequence[Patient]) -> None:
        """As `put_patients`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, put_patients, self._file, patients)

    async def remove(self, patient_id: str) -> bool:
        """As `remove_patient`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, remove_patient, self._file, patient_id)

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown()


def own_file(url: str, config: Patients) -> OwnFile | None:
    """The file that a URL names; None for another database, a table of its own or other columns."""
    match = _URL.fullmatch(url)
    if match is None or match[1].startswith(_NO_FILES):
        return None
    return None if config.table or config.columns or config.query or config.list_query else OwnFile(match[1])
