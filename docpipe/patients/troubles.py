"""Classifies errors of a database by their codes and classes: an outage, or the fault of one query.

SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html. MySQL's numbers:
https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html. SQLite's: https://sqlite.org/rescode.html.
"""

import socket
import ssl
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

_IN_TIME: Final = "no answer in time"
_LOGIN: Final = "the login was refused: check the user and the password in patients.url"
_NO_DATABASE: Final = "there is no such database: check patients.url"
_BROKE_OFF: Final = "the connection was lost"
_SQLSTATES: Final = {  # by the code or its class of two characters
    "08": _BROKE_OFF,
    "28": _LOGIN,
    "3D": _NO_DATABASE,
    "40": "a conflict with another transaction",
    "53": "it is short of memory, disk or connections",
    "53300": "too many connections",
    "55P03": "a lock was not free in time",
    "57": "it was shut down",
    "57014": _IN_TIME,
    "57P03": "it is starting up or shutting down",
    "58": "it has trouble with its disk",
    "XX": "an error inside the database",
}
_MYSQL: Final = {
    1040: "too many connections",
    1045: _LOGIN,
    1049: _NO_DATABASE,
    1053: "it was shut down",
    1129: "it refuses this machine after too many failed connections",
    1130: "it does not let this machine in",
    1158: _BROKE_OFF,
    1159: _IN_TIME,
    1160: _BROKE_OFF,
    1161: _IN_TIME,
    1203: "too many connections",
    1205: "a lock was not free in time",
    1213: "a conflict with another transaction",
    1226: "too many connections",
    1927: _BROKE_OFF,
    1969: _IN_TIME,
    2002: "no connection",
    2003: "no connection",
    2005: "its name is not known",
    2006: _BROKE_OFF,
    2013: _BROKE_OFF,
    2026: "no secure connection: check the certificate",
    2055: _BROKE_OFF,
    3024: _IN_TIME,
}
_SQLITE: Final = {
    5: "it is locked by another program",
    6: "it is locked",
    7: "the machine is out of memory",
    10: "its disk fails: see the disk, or its server, and the log of the system",
    13: "its disk is full: make room",
    15: "it is locked",
    17: "its tables were changed just now",
}
_WIRE: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ssl.SSLError, "no secure connection: check the certificate"),
    (socket.gaierror, "its name is not known"),
    (ConnectionRefusedError, "the connection was refused"),
    (TimeoutError, _IN_TIME),
    (ConnectionError, _BROKE_OFF),
    (OSError, "no connection"),
)
_MYSQL_STRUCTURE: Final = frozenset({1044, 1054, 1142, 1143, 1146, 1356, 1370})
"""No right to a database, table, column or routine; no such table or column; a view of what is missing."""
_STRUCTURE: Final = ("42", "3F", "25006")
"""By the code or its beginning: no such table, column or function, no right; no such schema; read only."""
_VALUE: Final = frozenset({"22P02", "22P03", "22003", "22007", "22008"})
"""A text that is no number, date or UUID, or is out of range."""
_SQLITE_ERROR: Final = 1
_SQLITE_CANTOPEN: Final = 14
_SQLITE_STRUCTURE: Final = frozenset({_SQLITE_ERROR, 3, 8, 11, _SQLITE_CANTOPEN, 23, 26})
"""And no right to read it, read only, damaged, not opened, refused, no database."""
_NOT_OPENED: Final = (
    "SQLite cannot open it: docpipe has to have the right to read it; a file in WAL mode also needs a folder "
    "that can be written, or `PRAGMA journal_mode = DELETE` before it is published"
)


def outage_of(error: BaseException) -> str | None:
    """Describe an outage in a few words that quote no value; None for the fault of one query."""
    reason = _by_code(error)
    if reason is not None:
        return reason or None
    if isinstance(error, DBAPIError):
        cause = error.orig
        if cause is not None and (reason := _of_the_wire(cause)):
            return reason
        # A driver without codes: PEP 249 has these classes for errors outside the program.
        broken = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        return _BROKE_OFF if broken else None
    if isinstance(error, NoConnectionFree):
        return "no free connection"
    return _of_the_wire(error)


def _by_code(error: BaseException) -> str | None:
    """Return the outage that a code means, "" for a code of another kind, None without a code."""
    state, number, sqlite = _codes(error)
    if number in _MYSQL:  # more precise than its SQLSTATE, which is HY000 for most
        return _MYSQL[number]
    if state is not None:
        return _SQLSTATES.get(state, _SQLSTATES.get(state[:2], ""))
    if sqlite is not None:
        return _SQLITE.get(sqlite & 0xFF, "")
    return None if number is None else ""


def _codes(error: BaseException) -> tuple[str | None, int | None, int | None]:
    """Return the SQLSTATE, MySQL's number and SQLite's code, each None if missing."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = getattr(cause, "sqlstate", None)
    sqlite = getattr(cause, "sqlite_errorcode", None)
    first = cause.args[0] if isinstance(error, DBAPIError) and cause.args else None
    number = first if isinstance(first, int) else None
    return (state if isinstance(state, str) else None), number, (sqlite if isinstance(sqlite, int) else None)


def _of_the_wire(error: BaseException) -> str | None:
    return next((reason for kind, reason in _WIRE if isinstance(error, kind)), None)


def is_structural(error: BaseException) -> bool:
    """Whether a file, a table, a column or a right is missing, without which no look-up succeeds."""
    state, number, sqlite = _codes(error)
    if number in _MYSQL_STRUCTURE or (state or "").startswith(_STRUCTURE):
        return True
    return sqlite is not None and sqlite & 0xFF in _SQLITE_STRUCTURE


def is_about_a_value(error: BaseException) -> bool:
    """Whether the database refuses a value of the query by its type."""
    return _codes(error)[0] in _VALUE


def fault_of(error: BaseException) -> str:
    """Describe the fault of one query in a few words that quote no value of a row.

    The database's message is quoted only if its code shows that it is about tables, columns and rights.
    """
    state, number, sqlite = _codes(error)
    if sqlite is not None and sqlite & 0xFF == _SQLITE_CANTOPEN:
        return _NOT_OPENED
    code = next((str(code) for code in (state, number, sqlite) if code is not None), "")
    reason = f"{type(error).__name__} {code}".rstrip()
    quotable = (state or "").startswith("42") or number in _MYSQL_STRUCTURE or sqlite == _SQLITE_ERROR
    if not quotable or not isinstance(error, DBAPIError) or error.orig is None:
        return reason
    words = str(error.orig.args[-1] if error.orig.args else "").splitlines()
    return f"{reason}: {words[0][:200]}" if words else reason
