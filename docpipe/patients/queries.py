"""What is asked of the database: of a table, with columns as the configuration names them, or by its queries.

No SQL is built from what people write: values are bound, and names are quoted as the database gave them.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchTableError, SAWarning

from docpipe.errors import ConfigError, PatientError, UsageError
from docpipe.patients.filters import Filter, bound_type, value_of
from docpipe.patients.people import COLUMNS, OPTIONAL
from docpipe.patients.troubles import outage_of

Row = Mapping[str, Any]
_AT_A_TIME: Final = 500


class Question(Protocol):
    """How patients are found. Each method works on a connection that it is lent."""

    def find(self, connection: sa.Connection, patient_id: str) -> Sequence[Row]:
        """The rows of a patient, by docpipe's column names."""

    def everybody(self, connection: sa.Connection, filters: Sequence[Filter]) -> Iterator[Row]:
        """Every row, by id, as the database hands them over."""

    def number(self, connection: sa.Connection) -> int | None:
        """How many there are, None where that cannot be asked."""


class TableQuestion:
    """A table or a view.

    Args:
        table: its name, with its schema where it has one: `clinic.people`.
        columns: what docpipe's columns are called there; "" for an optional one that is not there.
    """

    def __init__(self, table: str, columns: Mapping[str, str]) -> None:
        schema, _, self._name = table.rpartition(".")
        self._table, self._schema = table, schema or None
        self._called = {name: columns.get(name, name) for name in COLUMNS}
        if missing := [name for name, called in self._called.items() if not called and name not in OPTIONAL]:
            raise ConfigError(
                f'patients.columns: {missing[0]} has to be there; only {" and ".join(OPTIONAL)} may be "".'
            )
        self._ready: _Ready | None = None

    def find(self, connection: sa.Connection, patient_id: str) -> Sequence[Row]:
        """The rows of a patient; the columns are looked at once, and again after an error."""
        ready = self._prepared(connection)
        try:
            value = ready.id_value(patient_id)
        except ValueError:
            return []
        with self._looking_again(connection):
            return [dict(row) for row in connection.execute(ready.lookup, {"id": value}).mappings()]

    def everybody(self, connection: sa.Connection, filters: Sequence[Filter]) -> Iterator[Row]:
        """Every row, by id."""
        ready = self._prepared(connection)
        query = ready.select.where(*(ready.condition(given) for given in filters)).order_by(ready.id)
        with self._looking_again(connection):
            yield from _streamed(connection, query)

    def number(self, connection: sa.Connection) -> int:
        """How many rows the table has."""
        return connection.execute(self._prepared(connection).count).scalar_one()

    def _prepared(self, connection: sa.Connection) -> "_Ready":
        if self._ready is None:
            self._ready = self._look(connection)
        return self._ready

    def _look(self, connection: sa.Connection) -> "_Ready":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # of types that it does not know
                found = sa.inspect(connection).get_columns(self._name, self._schema)
        except NoSuchTableError as error:
            raise PatientError(
                f"The patients database has no table {self._table} that may be read: set patients.table."
            ) from error
        types = {column["name"]: column["type"] for column in found}
        by_lower = {name.lower(): name for name in types}
        real = {
            name: called if called in types else by_lower.get(called.lower(), "")
            for name, called in self._called.items()
            if called
        }
        if missing := [self._called[name] for name, called in real.items() if not called]:
            raise PatientError(
                f"The table {self._table} of the patients database has no column {', '.join(missing)}: "
                f'name its columns in patients.columns; {" and ".join(OPTIONAL)} may be "".'
            )
        if (
            connection.dialect.name == "sqlite"
        ):  # which knows no types, and compares as the column would have it
            types = dict.fromkeys(types, sa.String())
        return _Ready(sa.table(self._name, *map(sa.column, types), schema=self._schema), real, types)

    @contextlib.contextmanager
    def _looking_again(self, connection: sa.Connection) -> Iterator[None]:
        """After an error of a query look at the columns again: one may have been renamed."""
        try:
            yield
        except DBAPIError as error:
            self._ready = None
            if outage_of(error) is None:
                connection.rollback()
                self._prepared(connection)
            raise


class _Ready:
    """A table whose columns are known."""

    def __init__(
        self, table: sa.TableClause, real: Mapping[str, str], types: Mapping[str, sa.types.TypeEngine[Any]]
    ) -> None:
        self._table, self._types = table, types
        self.id = table.c[real["id"]]
        self._id_type = types[real["id"]]
        # Without types: values come as the driver has them, whatever a table says of them.
        self.select = sa.select(*(table.c[called].label(name) for name, called in real.items()))
        self.count = sa.select(sa.func.count()).select_from(table)
        self.lookup = self.select.where(self.id == sa.bindparam("id", type_=bound_type(self._id_type)))

    def id_value(self, patient_id: str) -> Any:
        """The id as the column has it; raises ValueError where it cannot be one."""
        return value_of(patient_id, self._id_type)

    def condition(self, given: Filter) -> sa.ColumnElement[bool]:
        """A filter with its value bound; raises UsageError for a column that is not there, or a bad value."""
        if given.column not in self._types:
            raise UsageError(
                f"--where: the table has no column {given.column}; there are {', '.join(self._types)}."
            )
        of_type = self._types[given.column]
        try:
            value = value_of(given.value, of_type)
        except ValueError as error:
            raise UsageError(f"--where: {given.column} is compared with {error}.") from error
        bound = sa.bindparam(None, value, type_=bound_type(of_type))
        return given.compare(self._table.c[given.column], bound)


class QueryQuestion:
    """Queries of the user's own: one with `:id`, and one that gives everybody.

    Raises:
        ConfigError: if a query has other parameters.
    """

    def __init__(self, query: str, list_query: str) -> None:
        self._query = _text("patients.query", query, {"id"}).bindparams(sa.bindparam("id", type_=sa.String()))
        self._list_query = _text("patients.list_query", list_query, set()) if list_query else None

    def find(self, connection: sa.Connection, patient_id: str) -> Sequence[Row]:
        """The rows that the query gives for an id."""
        result = connection.execute(self._query, {"id": patient_id})
        given = [name.lower() for name in result.keys()]  # noqa: SIM118 -- not a dictionary
        if missing := [name for name in COLUMNS if name not in given and name not in ("id", *OPTIONAL)]:
            raise PatientError(
                f"patients.query gives no column {', '.join(missing)}: select it AS {missing[0]}."
            )
        return [dict(zip(given, row, strict=True)) for row in result]

    def everybody(self, connection: sa.Connection, filters: Sequence[Filter]) -> Iterator[Row]:
        """The rows that the list's query gives."""
        if self._list_query is None:
            raise UsageError(
                "patients.query finds one patient at a time; for all of them set patients.list_query, "
                "a query without parameters that gives the column id."
            )
        if filters:
            raise UsageError(
                "--where goes with patients.table; with patients.query write it into patients.list_query."
            )
        for row in _streamed(connection, self._list_query):
            found = {name.lower(): value for name, value in row.items()}
            if "id" not in found:
                raise PatientError("patients.list_query gives no column id.")
            yield found

    def number(self, connection: sa.Connection) -> None:
        """Nobody knows."""


def _text(key: str, query: str, parameters: set[str]) -> sa.TextClause:
    try:
        text = sa.text(query)
        named = set(text.compile().params)
    except ArgumentError as error:
        raise ConfigError(f"{key} is not a query.") from error
    if named != parameters:
        right = "exactly one parameter, :id" if parameters else "no parameters"
        raise ConfigError(f"{key} has to have {right}; a colon that is none is written \\:.")
    return text


def _streamed(connection: sa.Connection, query: Any) -> Iterator[Row]:
    """Rows a few at a time, however many there are."""
    streaming = connection.execution_options(stream_results=True, yield_per=_AT_A_TIME)
    for row in streaming.execute(query).mappings():
        yield dict(row)


def question_of(
    table: str, columns: Mapping[str, str], query: str, list_query: str
) -> TableQuestion | QueryQuestion:
    """What the configuration asks.

    Raises:
        ConfigError: if its keys do not go together.
    """
    if not query:
        if list_query:
            raise ConfigError("patients.list_query goes with patients.query; a table is listed without.")
        return TableQuestion(table or "patients", columns)
    if table or columns:
        raise ConfigError(
            "patients.query takes the place of patients.table and patients.columns: write AS in the query."
        )
    return QueryQuestion(query, list_query)
