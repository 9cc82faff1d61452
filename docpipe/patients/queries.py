"""Queries of the database: generated for a table and its configured columns, or given in the configuration.

No SQL is built from user input: values are bound, and names are quoted as the database reports them.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchTableError, SAWarning

from docpipe.errors import ConfigError, UsageError
from docpipe.patients.filters import Filter
from docpipe.patients.people import COLUMNS, OPTIONAL, unusable
from docpipe.patients.troubles import outage_of
from docpipe.patients.values import bound_type, value_of

Row = Mapping[str, Any]
_AT_A_TIME: Final = 500


class TableQuestion:
    """A table or a view.

    Args:
        table: its name, with its schema where it has one: `clinic.people`.
        columns: the name there of each of docpipe's columns; "" for an optional column that is missing.
    """

    def __init__(self, table: str, columns: Mapping[str, str]) -> None:
        schema, _, self._name = table.rpartition(".")
        self._table, self._schema = table, schema or None
        self._called = {name: columns.get(name, name) for name in COLUMNS}
        if missing := [name for name, called in self._called.items() if not called and name not in OPTIONAL]:
            raise ConfigError(
                f'patients.columns: {missing[0]} is required; only {" and ".join(OPTIONAL)} may be "".'
            )
        self._ready: _Ready | None = None

    def find(self, connection: sa.Connection, patient_id: str) -> Sequence[Row]:
        """Return the rows of a patient; the table's columns are read once, and again after an error."""
        ready = self._prepared(connection)
        try:
            value = ready.id_value(patient_id)
        except ValueError:
            return []
        with self._columns_read_anew(connection):
            rows = connection.execute(ready.lookup, {"id": value}).mappings().all()
            if not rows and connection.dialect.name == "sqlite":
                rows = connection.execute(ready.trimmed, {"id": value}).mappings().all()
            return [dict(row) for row in rows]

    def all_rows(self, connection: sa.Connection, filters: Sequence[Filter]) -> Iterator[Row]:
        """Yield every row in the order of ids."""
        ready = self._prepared(connection)
        query = ready.select.where(*(ready.condition(given) for given in filters)).order_by(ready.id)
        with self._columns_read_anew(connection):
            yield from _streamed(connection, query)

    def named(self, connection: sa.Connection, words: Sequence[str], most: int) -> Sequence[Row]:
        """Return the rows in whose names a name begins with each of the words, by family name."""
        query = self._prepared(connection).named(words, most)
        with self._columns_read_anew(connection):
            return [dict(row) for row in connection.execute(query).mappings()]

    def number(self, connection: sa.Connection) -> int:
        """Count the rows of the table."""
        return connection.execute(self._prepared(connection).count).scalar_one()

    def _prepared(self, connection: sa.Connection) -> "_Ready":
        if self._ready is None:
            self._ready = self._look(connection)
        return self._ready

    def _look(self, connection: sa.Connection) -> "_Ready":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # about types that SQLAlchemy does not know
                columns = sa.inspect(connection).get_columns(self._name, self._schema)
        except NoSuchTableError as error:
            raise unusable(
                f"The patients database has no table {self._table} that may be read: set patients.table."
            ) from error
        types = {column["name"]: column["type"] for column in columns}
        by_lower = {name.lower(): name for name in types}
        real = {
            name: called if called in types else by_lower.get(called.lower(), "")
            for name, called in self._called.items()
            if called
        }
        if missing := [self._called[name] for name, called in real.items() if not called]:
            raise unusable(
                f"The table {self._table} of the patients database has no column {', '.join(missing)}: "
                f'name its columns in patients.columns; {" and ".join(OPTIONAL)} may be "".'
            )
        if connection.dialect.name == "sqlite":  # has no strict types: compare as text
            types = dict.fromkeys(types, sa.String())
        return _Ready(sa.table(self._name, *map(sa.column, types), schema=self._schema), real, types)

    @contextlib.contextmanager
    def _columns_read_anew(self, connection: sa.Connection) -> Iterator[None]:
        """After an error of a query, read the columns again: one may have been renamed."""
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
        self._names = [table.c[real[name]] for name in ("family", "given")]
        self._id_type = types[real["id"]]
        # Columns have no types here, so that values come as the driver returns them.
        self.select = sa.select(*(table.c[called].label(name) for name, called in real.items()))
        self.count = sa.select(sa.func.count()).select_from(table)
        bound = sa.bindparam("id", type_=bound_type(self._id_type))
        self.lookup = self.select.where(self.id == bound)
        self.trimmed = self.select.where(sa.func.trim(self.id) == bound)
        """Of ids with blanks around them, as `docpipe patients list` shows them; reads the whole table."""

    def id_value(self, patient_id: str) -> Any:
        """Convert an id to the column's type; raises ValueError if that is impossible."""
        return value_of(patient_id, self._id_type)

    def named(self, words: Sequence[str], most: int) -> sa.Select[Any]:
        """Select people by the beginnings of their names; letters of either case are the same."""
        each = (sa.or_(*(_begins(name, word) for name in self._names)) for word in words)
        return self.select.where(*each).order_by(*self._names, self.id).limit(most)

    def condition(self, given: Filter) -> sa.ColumnElement[bool]:
        """Bind the value of a filter; raises UsageError for an unknown column or a bad value."""
        if given.column not in self._types:
            raise UsageError(
                f"{given.source}: the table has no column {given.column}; "
                f"its columns are {', '.join(self._types)}."
            )
        of_type = self._types[given.column]
        try:
            value = value_of(given.value, of_type)
        except ValueError as error:
            raise UsageError(f"{given.source}: {given.column} is compared with {error}.") from error
        bound = sa.bindparam(None, value, type_=bound_type(of_type))
        return given.compare(self._table.c[given.column], bound)


def _begins(column: sa.ColumnElement[Any], word: str) -> sa.ColumnElement[bool]:
    """Whether a name in the column begins with the word.

    Databases differ in the letters whose case they ignore (SQLite: ASCII alone), so that usual spellings are
    compared one by one.
    """
    literal = word.replace("/", "//").replace("%", "/%").replace("_", "/_")
    spellings = dict.fromkeys((literal, literal.lower(), literal.upper(), literal.title()))
    patterns = [f"{before}{spelling}%" for spelling in spellings for before in ("", "% ", "%-")]
    return sa.or_(
        *(column.like(sa.bindparam(None, pattern, sa.String()), escape="/") for pattern in patterns)
    )


class QueryQuestion:
    """Configured queries: one with `:id`, and one that lists all patients.

    Raises:
        ConfigError: if a query has other parameters.
    """

    def __init__(self, query: str, list_query: str) -> None:
        self._query = _text("patients.query", query, {"id"}).bindparams(sa.bindparam("id", type_=sa.String()))
        self._list_query = _text("patients.list_query", list_query, set()) if list_query else None

    def find(self, connection: sa.Connection, patient_id: str) -> Sequence[Row]:
        """Return the rows of the query for an id."""
        result = connection.execute(self._query, {"id": patient_id})
        given = [name.lower() for name in result.keys()]  # noqa: SIM118 -- not a dictionary
        if missing := [name for name in COLUMNS if name not in given and name not in ("id", *OPTIONAL)]:
            raise unusable(
                f"patients.query returns no column {', '.join(missing)}: select it AS {missing[0]}."
            )
        return [dict(zip(given, row, strict=True)) for row in result]

    def all_rows(self, connection: sa.Connection, filters: Sequence[Filter]) -> Iterator[Row]:
        """Yield the rows of the list query."""
        if self._list_query is None:
            raise UsageError(
                "patients.query finds one patient at a time; for all of them set patients.list_query, "
                "a query without parameters that returns the column id."
            )
        if filters:
            raise UsageError(
                f"{filters[0].source} needs patients.table; with patients.query, "
                "put the condition in patients.list_query."
            )
        for row in _streamed(connection, self._list_query):
            lowered = {name.lower(): value for name, value in row.items()}
            if "id" not in lowered:
                raise unusable("patients.list_query returns no column id: select it AS id.")
            yield lowered

    def named(self, connection: sa.Connection, words: Sequence[str], most: int) -> Sequence[Row]:  # noqa: ARG002 -- it cannot
        """Raise UsageError: a query for one patient cannot search names."""
        raise UsageError("patients.query finds patients by id alone: names cannot be searched.")

    def number(self, connection: sa.Connection) -> None:
        """Return None: a query for one patient cannot count them."""


def _text(key: str, query: str, parameters: set[str]) -> sa.TextClause:
    try:
        text = sa.text(query)
        named = set(text.compile().params)
    except ArgumentError as error:
        raise ConfigError(f"{key} is not a query.") from error
    if named != parameters:
        right = "exactly one parameter, :id" if parameters else "no parameters"
        raise ConfigError(f"{key} has to have {right}; write \\: for a colon that is not a parameter.")
    return text


def _streamed(connection: sa.Connection, query: Any) -> Iterator[Row]:
    """Yield rows in batches, so that memory stays constant."""
    streaming = connection.execution_options(stream_results=True, yield_per=_AT_A_TIME)
    for row in streaming.execute(query).mappings():
        yield dict(row)


def question_of(
    table: str, columns: Mapping[str, str], query: str, list_query: str
) -> TableQuestion | QueryQuestion:
    """Choose the question for the configuration.

    Raises:
        ConfigError: if its keys contradict each other.
    """
    if not query:
        if list_query:
            raise ConfigError("patients.list_query needs patients.query; a table is listed without it.")
        return TableQuestion(table or "patients", columns)
    if table or columns:
        raise ConfigError(
            "patients.query replaces patients.table and patients.columns: rename columns by AS in the query."
        )
    return QueryQuestion(query, list_query)
