"""The patients database that the configuration names, without SQLAlchemy as long as that is not needed."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from docpipe.config.config import Patients
from docpipe.model import Patient
from docpipe.patients.filters import Filter
from docpipe.patients.people import impossible, nobody, one
from docpipe.patients.sqlite_file import own_file

if TYPE_CHECKING:  # SQLAlchemy costs 0.1 s
    from docpipe.patients.database import SqlDatabase


class PatientDatabase:
    """The patients database. It is read only, except for the import into an SQLite file; close it after use.

    Args:
        url: an SQLAlchemy URL.
        config: table, columns or queries, and the limits.

    Raises:
        ConfigError: if a key cannot be used. No connection is made yet.
    """

    def __init__(self, url: str, config: Patients | None = None) -> None:
        self._url, self._config = url, config or Patients()
        self._own = own_file(url, self._config)
        self._opened = None if self._own is not None else self._open()

    def _open(self) -> "SqlDatabase":
        from docpipe.patients.database import SqlDatabase  # noqa: PLC0415 -- as above

        return SqlDatabase(self._url, self._config)

    @property
    def _sql(self) -> "SqlDatabase":
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    @property
    def name(self) -> str:
        """Its name for messages, without user and password."""
        return self._sql.name

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own is not None:
            self._own.close()
        if self._opened is not None:
            await self._opened.aclose()

    async def find(self, patient_id: str) -> Patient:
        """Look a patient up; makes one attempt.

        Raises:
            PatientError: if there is no such patient, or the row cannot be used.
            DatabaseDownError: if no patient can be looked up now, of which DatabaseUnusableError is one kind.
        """
        if impossible(patient_id):
            raise nobody(patient_id)
        rows = None if self._own is None else await self._own.rows(patient_id)
        return await self._sql.find(patient_id) if rows is None else one(patient_id, rows)

    async def each(self, work: Callable[[dict[str, str]], None], filters: Sequence[Filter] = ()) -> None:
        """Call `work` with every row, in the order of ids, as texts by docpipe's column names.

        Raises:
            PatientError: if the query cannot be answered.
            UsageError: if a filter cannot be used.
            DatabaseDownError: if the database cannot be reached.
        """
        await self._sql.each(work, filters)

    async def named(self, words: Sequence[str], most: int) -> list[dict[str, str]]:
        """Search people by name: each word begins one of their names.

        Returns:
            At most so many rows, as texts by docpipe's column names, in the order of family names.

        Raises:
            PatientError: if the table cannot be used.
            UsageError: with `patients.query`, which finds patients by id alone.
            DatabaseDownError: if the database cannot be reached.
        """
        return await self._sql.named(words, most)

    async def check(self) -> int | None:
        """Check that patients can be looked up: the database answers, and has the table and its columns.

        Returns:
            The number of patients; None with `patients.query`, which cannot count them.

        Raises:
            PatientError: if it cannot answer for another reason.
            DatabaseUnusableError: if the file, table or a column is missing or may not be read.
            DatabaseDownError: if the database cannot be reached.
        """
        return await self._sql.check()

    async def put(self, patients: Sequence[Patient]) -> None:
        """Add patients; a patient that exists is replaced.

        Raises:
            UsageError: if the database is not docpipe's own.
            StateError: if it cannot be written.
        """
        await (self._own or self._sql).put(patients)

    async def remove(self, patient_id: str) -> bool:
        """Remove a patient from docpipe's own SQLite file and overwrite the row.

        Returns:
            Whether there was such a patient.

        Raises:
            UsageError: if the database is not docpipe's own.
            StateError: if it cannot be written.
        """
        return await (self._own or self._sql).remove(patient_id)
