"""Any database that SQLAlchemy supports: look-ups, lists and imports."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from docpipe.config.config import Patients
from docpipe.errors import DatabaseDownError, DocpipeError, PatientError, UsageError
from docpipe.model import Patient
from docpipe.patients.filters import Filter
from docpipe.patients.links import FileLink, Work, link_to
from docpipe.patients.people import COLUMNS, impossible, nobody, one, text_of, unusable
from docpipe.patients.queries import Row, question_of
from docpipe.patients.sqlite_file import put_patients, remove_patient
from docpipe.patients.troubles import fault_of, is_about_a_value, is_structural, outage_of

_T = TypeVar("_T")


class SqlDatabase:
    """What `opened.PatientDatabase` does, with methods of the same names, arguments and errors."""

    def __init__(self, url: str, config: Patients) -> None:
        self._own_table = not (config.table or config.columns or config.query)
        self._question = question_of(config.table, dict(config.columns), config.query, config.list_query)
        self._link = link_to(
            url, pool=config.pool, timeout=config.timeout, connect_timeout=config.connect_timeout
        )

    @property
    def name(self) -> str:
        """Its name for messages, without user and password."""
        return self._link.name

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.close()

    async def find(self, patient_id: str) -> Patient:
        """As of PatientDatabase."""
        if impossible(patient_id):
            raise nobody(patient_id)
        return one(
            patient_id, await self._query(lambda connection: self._question.find(connection, patient_id))
        )

    async def each(self, work: Callable[[dict[str, str]], None], filters: Sequence[Filter] = ()) -> None:
        """As of PatientDatabase."""
        failed: list[BaseException] = []

        def hand_over(connection: sa.Connection) -> None:
            for row in self._question.all_rows(connection, filters):
                try:
                    work(_texts(row))
                except Exception as error:  # noqa: BLE001 -- not the database's: raised outside
                    failed.append(error)
                    return

        await self._query(hand_over, unhurried=True)
        if failed:
            raise failed[0]

    async def named(self, words: Sequence[str], most: int) -> list[dict[str, str]]:
        """As of PatientDatabase."""
        rows = await self._query(lambda connection: self._question.named(connection, words, most))
        return [_texts(row) for row in rows]

    async def check(self) -> int | None:
        """As of PatientDatabase."""

        def look(connection: sa.Connection) -> int | None:
            self._question.find(connection, "0")
            return self._question.number(connection)

        return await self._query(look)

    async def _query(self, work: Work[_T], *, unhurried: bool = False) -> _T:
        try:
            try:
                return await self._link.do(work, unhurried=unhurried)
            except DBAPIError as error:
                if not error.connection_invalidated or unhurried:
                    raise
                return await self._link.do(work)  # a pooled connection was stale; all are new now
        except DocpipeError:
            raise
        except Exception as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        """Translate an error of the database or its driver."""
        if (reason := outage_of(error)) is not None:
            return DatabaseDownError(
                f"The patients database {self.name} cannot be used now: {reason}.", reason
            )
        if is_structural(error):
            return unusable(f"The patients database {self.name} cannot answer ({fault_of(error)}).")
        if is_about_a_value(error):
            return PatientError(
                f"The patients database {self.name} cannot compare the id with its column, or convert "
                f"another value ({fault_of(error)}): check the id, then patients.query."
            )
        if isinstance(error, SQLAlchemyError) or getattr(error, "sqlstate", None) is not None:
            return PatientError(f"The patients database {self.name} cannot answer ({fault_of(error)}).")
        if isinstance(error, ValueError | OverflowError):
            return PatientError(
                f"The patients database holds what its driver cannot read ({type(error).__name__})."
            )
        return error

    async def put(self, patients: Sequence[Patient]) -> None:
        """As of PatientDatabase."""
        if not isinstance(self._link, FileLink) or not self._own_table:
            raise UsageError(
                "Patients can be imported into docpipe's own SQLite file only; "
                "[patients] names another database."
            )
        await self._link.write(functools.partial(put_patients, self._link.file, patients))

    async def remove(self, patient_id: str) -> bool:
        """As of PatientDatabase."""
        if not isinstance(self._link, FileLink) or not self._own_table:
            raise UsageError("Patients can be removed from docpipe's own SQLite file only.")
        return await self._link.write(functools.partial(remove_patient, self._link.file, patient_id))


def _texts(row: Row) -> dict[str, str]:
    """Make the texts of a row for display: an unreadable value becomes "?", an unreadable id empty."""

    def text(name: str) -> str:
        try:
            value = text_of(name, row.get(name))
        except ValueError:
            value = "?" if name != "id" else ""
        if name == "id" and impossible(value):
            return ""
        if name == "birth_date" and value[10:11] in ("T", " "):  # a run uses the date of a timestamp, too
            value = value[:10]
        return value.encode("utf-8", "replace").decode("utf-8")

    return {name: text(name) for name in COLUMNS}
