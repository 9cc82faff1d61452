"""docpipe's own SQLite file, looked up without SQLAlchemy, whose import takes a quarter of a run's start.

It answers look-ups alone, and none that is out of the ordinary: `PatientDatabase` does all others.
"""

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote

from docpipe.config.config import Patients
from docpipe.patients.people import COLUMNS

_URL: Final = re.compile(r"sqlite(?:\+pysqlite)?:///([^?%]+)")
_NO_FILES: Final = (":memory:", "file:")
_LOOKUP: Final = f"SELECT {', '.join(f'patients.{name}' for name in COLUMNS)} FROM patients WHERE id = ?"  # noqa: S608 -- constants


class OwnFile:
    """Looks patients up in a file whose table is `patients`, with docpipe's columns.

    Args:
        path: of the file; it need not exist.
    """

    def __init__(self, path: str) -> None:
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

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown()


def own_file(url: str, config: Patients) -> OwnFile | None:
    """The file that a URL names; None for another database, a table of its own or other columns."""
    match = _URL.fullmatch(url)
    if match is None or match[1].startswith(_NO_FILES):
        return None
    return None if config.table or config.columns or config.query or config.list_query else OwnFile(match[1])
