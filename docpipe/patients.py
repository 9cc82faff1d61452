"""The patients database, through SQLAlchemy, and the CSV import that fills it."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import sqlalchemy as sa
import structlog
from aiocsv import AsyncReader
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from docpipe.errors import ConfigError, PatientError, StateError, UnfitError, UsageError
from docpipe.model import Clock, Patient, Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

COLUMNS: Final = tuple(field.name for field in fields(Patient))
SEXES: Final = ("female", "male", "other", "unknown")
_RETRY_S: Final = 10.0
_T = TypeVar("_T")

_TABLE: Final = sa.Table(
    "patients",
    sa.MetaData(),
    sa.Column("id", sa.String, primary_key=True),
    *(sa.Column(name, sa.String, nullable=name in ("sex", "postal_code")) for name in COLUMNS[1:]),
)


class PatientDatabase:
    """The table `patients`. All work is done in a thread of its own; close when done."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Set up the database; nothing is connected yet.

        Raises:
            ConfigError: if the URL cannot be used.
        """
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "patients")
        try:
            self._engine = sa.create_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ConfigError(
                f"patients.url cannot be used ({type(error).__name__}): "
                "it has to be an SQLAlchemy URL such as sqlite:///patients.db, with its driver installed."
            ) from error
        database = self._engine.url.database
        local = self._engine.dialect.name == "sqlite" and database not in (None, "", ":memory:")
        self._file = Path(str(database)) if local else None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._do(self._engine.dispose)
        self._thread.shutdown()

    async def _do(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def get(self, patient_id: str, ticket: Ticket) -> Patient:
        """Look a patient up; waits while the database cannot be reached.

        Raises:
            PatientError: if there is no such patient, or the row cannot be used.
        """
        since = self._clock()
        while True:
            try:
                rows = await self._do(lambda: self._select(patient_id))
            except OperationalError as error:
                if self._file is not None:
                    raise PatientError(f"The patients database {self._file} cannot be read.") from error
                log.warning("patients_database_down", retry_s=_RETRY_S)
                ticket.wait = Wait(WaitKind.OUTAGE, "patients", since, self._clock() + _RETRY_S)
                await asyncio.sleep(_RETRY_S)
            else:
                ticket.wait = None
                return _one(patient_id, rows)

    def _select(self, patient_id: str | None) -> list[dict[str, Any]]:
        if self._file is not None and not self._file.exists():
            raise PatientError(
                f"There is no patients database {self._file}: `docpipe patients import FILE.csv` makes one."
            )
        query = sa.select(_TABLE).order_by(_TABLE.c.id)
        if patient_id is not None:
            query = query.where(_TABLE.c.id == patient_id)
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query).mappings()]
        except OperationalError:
            raise
        except SQLAlchemyError as error:  # its text would quote the query and its values
            raise PatientError(f"The patients database could not answer ({type(error).__name__}).") from error

    async def all(self) -> list[dict[str, Any]]:
        """Every row, by id.

        Raises:
            PatientError: if there is no database.
        """
        return await self._do(lambda: self._select(None))

    async def probe(self) -> int:
        """How many patients it has.

        Raises:
            UnfitError: if it cannot be read, or lacks the table or a column.
        """
        return await self._do(self._count)

    def _count(self) -> int:
        if self._file is not None and not self._file.exists():
            raise UnfitError(f"there is no file {self._file}", "`docpipe patients import FILE.csv` makes one")
        try:
            with self._engine.connect() as connection:
                connection.execute(sa.select(_TABLE).limit(1)).all()
                return connection.execute(sa.select(sa.func.count()).select_from(_TABLE)).scalar_one()
        except SQLAlchemyError as error:  # its text would quote the query, and perhaps the password
            cure = (
                "check patients.url, that the database is up and lets docpipe in, and that it has a table "
                f"`patients` with the columns {', '.join(COLUMNS)}"
            )
            raise UnfitError(f"it cannot be read ({_kind_of(error)})", cure) from error

    async def put(self, patients: Sequence[Patient]) -> None:
        """Add patients; where an id is there already, its row becomes the new one.

        Raises:
            StateError: if the database cannot be written.
        """
        await self._do(lambda: self._upsert(patients))

    def _upsert(self, patients: Sequence[Patient]) -> None:
        if self._file is None:
            raise UsageError(
                "Patients can be imported into an SQLite file only; patients.url is another database."
            )
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            statement = insert(_TABLE)
            statement = statement.on_conflict_do_update(
                index_elements=["id"], set_={name: statement.excluded[name] for name in COLUMNS[1:]}
            )
            with self._engine.begin() as connection:
                _TABLE.metadata.create_all(connection)
                if patients:
                    connection.execute(statement, [asdict(patient) for patient in patients])
        except (OSError, SQLAlchemyError) as error:
            raise StateError(f"The patients database {self._file} cannot be written.") from error


def _kind_of(error: SQLAlchemyError) -> str:
    """The type of an error; of the driver's own where there is one, which tells more."""
    return type(getattr(error, "orig", None) or error).__name__


def _one(patient_id: str, rows: list[dict[str, Any]]) -> Patient:
    if not rows:
        raise PatientError(
            f"There is no patient {patient_id} in the patients database: "
            "`docpipe patients list` shows who is there, `docpipe patients import FILE.csv` adds more."
        )
    if len(rows) > 1:
        raise PatientError(
            f"The patients database has {len(rows)} rows for patient {patient_id}; one is needed."
        )
    row = {name: "" if rows[0].get(name) is None else str(rows[0][name]) for name in COLUMNS}
    try:
        return checked(row)
    except ValueError as error:
        raise PatientError(f"The row of patient {patient_id} cannot be used: {error}.") from error


def checked(row: dict[str, str]) -> Patient:
    """A patient from texts.

    Raises:
        ValueError: naming the column and what would be right, not the value.
    """
    values = {name: unicodedata.normalize("NFC", row.get(name, "").strip()) for name in COLUMNS}
    for name, value in values.items():
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
            raise ValueError(f"{name} holds control characters or is not UTF-8")
        if len(value) > 200:  # noqa: PLR2004 -- generous for any name
            raise ValueError(f"{name} is longer than 200 characters")
        if not value and name not in ("sex", "postal_code"):
            raise ValueError(f"{name} is empty")
    values["sex"] = {"f": "female", "m": "male", "": "unknown"}.get(
        values["sex"].lower(), values["sex"].lower()
    )
    if values["sex"] not in SEXES:
        raise ValueError(f"sex has to be one of {', '.join(SEXES)}")
    try:
        values["birth_date"] = date.fromisoformat(values["birth_date"][:10]).isoformat()
    except ValueError:
        raise ValueError("birth_date has to be a date such as 1957-03-31") from None
    return Patient(**values)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of a CSV file that cannot be used; `line` counts from 1."""

    line: int
    reason: str


class _Lines:
    """A text file as aiocsv reads one. Files of patients are small; the disk is not waited for."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    async def read(self, size: int) -> str:
        return self._file.read(size)


async def read_csv(path: Path) -> tuple[list[Patient], list[Refused]]:
    """Read patients from a CSV file with a header.

    Raises:
        UsageError: if the file cannot be read or lacks a column.
    """
    patients: dict[str, Patient] = {}
    lines: dict[str, int] = {}
    refused: list[Refused] = []
    async for line, row in csv_rows(path, ("id", "given", "family", "birth_date")):
        if row is None:
            refused.append(Refused(line, "the number of fields is not that of the header"))
            continue
        try:
            patient = checked(row)
        except ValueError as error:
            refused.append(Refused(line, str(error)))
            continue
        if patient.id in patients:
            refused.append(Refused(line, f"the same id stands on line {lines[patient.id]}"))
        else:
            patients[patient.id], lines[patient.id] = patient, line
    return list(patients.values()), refused


async def csv_rows(path: Path, needed: Sequence[str]) -> AsyncIterator[tuple[int, dict[str, str] | None]]:
    """Rows by column, each with the number of its last line; None for one of another length.

    Raises:
        UsageError: if the file cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            delimiter = ";" if ";" in file.readline() else ","
            file.seek(0)
            reader = AsyncReader(_Lines(file), delimiter=delimiter)
            header: list[str] = []
            async for row in reader:
                if not header:
                    header = [name.strip().lower() for name in row]
                    if missing := [name for name in needed if name not in header]:
                        raise UsageError(
                            f"{path} has no column {', '.join(missing)}: its first line names them."
                        )
                elif any(field.strip() for field in row):
                    same = len(row) == len(header)
                    yield reader.line_num, dict(zip(header, row, strict=True)) if same else None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    if not header:
        raise UsageError(f"{path} is empty: its first line has to name the columns {', '.join(needed)}.")
