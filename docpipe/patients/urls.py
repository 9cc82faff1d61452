"""URLs of databases as people write them, and the drivers that go with them."""

import importlib.util
import inspect
import re
import ssl
import uuid
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from docpipe.errors import ConfigError

_ASYNC: Final = {
    "postgresql": ("asyncpg", "docpipe[postgres]"),
    "mysql": ("asyncmy", "docpipe[mysql]"),
    "mariadb": ("asyncmy", "docpipe[mysql]"),
}
_SYNC: Final = (
    "",
    "psycopg2",
    "pymysql",
    "mysqldb",
    "mysqlconnector",
    "mariadbconnector",
    "pysqlite",
    "aiosqlite",
)
"""Synchronous drivers that people name; they are replaced by the asynchronous one."""


def parsed(text: str) -> sa.URL:
    """Parse a URL and add its driver.

    Raises:
        ConfigError: if it is not a URL, or its driver is missing. Never quotes it: it may hold a password.
    """
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            "patients.url cannot be used: it has to be an SQLAlchemy URL such as sqlite:///patients.db or "
            "postgresql://user@host/database."
        ) from error
    name, _, driver = url.drivername.partition("+")
    name = "postgresql" if name == "postgres" else name
    if driver not in _SYNC:
        return url.set(drivername=f"{name}+{driver}")
    if name not in _ASYNC:
        return url.set(drivername=name)
    driver, extra = _ASYNC[name]
    if importlib.util.find_spec(driver) is None or importlib.util.find_spec("greenlet") is None:
        raise ConfigError(
            f"patients.url is a {name} database, whose driver is not installed: `pip install '{extra}'`."
        )
    url = url.set(drivername=f"{name}+{driver}")
    return _for_asyncpg(url) if driver == "asyncpg" else url


def _for_asyncpg(url: sa.URL) -> sa.URL:
    """Refuse options that asyncpg does not accept."""
    import asyncpg  # noqa: PLC0415 -- an extra

    known = {*inspect.signature(asyncpg.connect).parameters, *_NUMBERS, *_LIBPQ} - _OBJECTS
    if unknown := [name for name in url.query if name not in known]:
        raise ConfigError(
            f"patients.url: there is no option {', '.join(unknown)}; TLS is `sslmode=verify-full` and "
            "`sslrootcert=FILE`."
        )
    for name in _NUMBERS & url.query.keys():
        if not re.fullmatch(r"\d+(\.\d+)?", str(url.query[name])):
            raise ConfigError(f"patients.url: {name} has to be a number.")
    return url


_NUMBERS: Final = frozenset(
    {
        *("timeout", "command_timeout", "connect_timeout"),
        *("statement_cache_size", "max_cached_statement_lifetime", "max_cacheable_statement_size"),
        "prepared_statement_cache_size",
    }
)
_OBJECTS: Final = frozenset(
    {"loop", "connection_class", "record_class", "server_settings", "dsn", "direct_tls"}
)
"""Options that cannot be written as text."""
_CACHES: Final[dict[str, Any]] = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
"""A pooler such as PgBouncer may give each transaction another connection of the server, which lacks the
prepared statements of the last one: https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#asyncpg."""
_LIBPQ: Final = ("sslmode", "sslrootcert", "application_name", "connect_timeout")
"""Options of libpq that are supported as well."""
_SSLMODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def connecting(url: sa.URL, timeout: float, connect_timeout: float) -> tuple[sa.URL, dict[str, Any]]:
    """Return the URL and the arguments for the driver.

    Args:
        url: from `parsed`.
        timeout: seconds for a statement, if the driver has such a limit.
        connect_timeout: seconds for a connection.

    Raises:
        ConfigError: if a file of certificates cannot be read.
    """
    driver = url.drivername.partition("+")[2]
    if driver == "asyncpg":
        options = {name: str(url.query[name]) for name in _LIBPQ if name in url.query}
        name = options.get("application_name", "docpipe")
        given: dict[str, Any] = {"timeout": connect_timeout, "command_timeout": timeout, **_CACHES}
        given |= {
            key: float(str(url.query[key])) for key in ("timeout", "command_timeout") if key in url.query
        }
        given["prepared_statement_name_func"] = lambda: f"docpipe_{uuid.uuid4()}"
        if "sslmode" in options:
            given["ssl"] = _tls(options["sslmode"], options.get("sslrootcert"))
        given["server_settings"] = {"application_name": name}
        return url.difference_update_query([*_LIBPQ, *_NUMBERS]), given
    if driver in ("asyncmy", "aiomysql"):
        read_only = "SET SESSION TRANSACTION READ ONLY"
        return url, {"connect_timeout": max(1, round(connect_timeout)), "init_command": read_only}
    return url, {}


def _tls(mode: str, authorities: str | None) -> ssl.SSLContext | str:
    """Make the TLS settings for an sslmode of libpq; without a file, the system's authorities are trusted."""
    if mode not in _SSLMODES:
        raise ConfigError(f"patients.url: sslmode has to be one of {', '.join(_SSLMODES)}.")
    if authorities is None and not mode.startswith("verify-"):
        return mode
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"patients.url: sslrootcert={authorities} cannot be read.") from error
    context.check_hostname = mode == "verify-full"
    return context


def read_only_file(url: sa.URL) -> sa.URL:
    """Return the URL that opens an SQLite file read-only."""
    file = f"file:{quote(str(url.database))}"
    return url.set(database=file, query={**url.query, "mode": "ro", "uri": "true"})


def display_name(url: sa.URL) -> str:
    """Name a database in messages, without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    where = f"{url.host}:{url.port}" if url.host and url.port else url.host or "the default host"
    return f"{url.database or ''} ({url.get_backend_name()} at {where})".lstrip()
