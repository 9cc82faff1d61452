"""URLs of databases as people write them, and the drivers that go with them."""

import importlib.util
import inspect
import ssl
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
"""Drivers that are named out of habit; the one that fits is taken instead."""


def parsed(text: str) -> sa.URL:
    """The URL with its driver.

    Raises:
        ConfigError: if it is none, or its driver is missing; never quoting it, for it may hold a password.
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
    """Refuse options that asyncpg would stumble over."""
    import asyncpg  # noqa: PLC0415 -- an extra

    known = {*inspect.signature(asyncpg.connect).parameters, "prepared_statement_cache_size", *_LIBPQ}
    if unknown := [name for name in url.query if name not in known]:
        raise ConfigError(
            f"patients.url: there is no option {', '.join(unknown)}; TLS is `sslmode=verify-full` and "
            "`sslrootcert=FILE`."
        )
    return url


_LIBPQ: Final = ("sslmode", "sslrootcert", "application_name", "connect_timeout")
"""Options of PostgreSQL's own library that are understood, too."""
_SSLMODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def connecting(url: sa.URL, timeout: float, connect_timeout: float) -> tuple[sa.URL, dict[str, Any]]:
    """The URL, and what to hand to the driver beside it.

    Args:
        url: as `parsed` gives it.
        timeout: seconds for a statement, where the driver can be told.
        connect_timeout: seconds for a connection.

    Raises:
        ConfigError: if a file of certificates cannot be read.
    """
    driver = url.drivername.partition("+")[2]
    if driver == "asyncpg":
        options = {name: str(url.query[name]) for name in _LIBPQ if name in url.query}
        name = options.get("application_name", "docpipe")
        given: dict[str, Any] = {"timeout": connect_timeout, "command_timeout": timeout}
        if "sslmode" in options:
            given["ssl"] = _tls(options["sslmode"], options.get("sslrootcert"))
        given["server_settings"] = {"application_name": name}
        return url.difference_update_query(_LIBPQ), given
    if driver in ("asyncmy", "aiomysql"):
        read_only = "SET SESSION TRANSACTION READ ONLY"
        return url, {"connect_timeout": max(1, round(connect_timeout)), "init_command": read_only}
    return url, {}


def _tls(mode: str, authorities: str | None) -> ssl.SSLContext | str:
    """As libpq has it; without a file of authorities the system's are trusted."""
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
    """The same SQLite file, opened so that nothing can be written."""
    file = f"file:{quote(str(url.database))}"
    return url.set(database=file, query={**url.query, "mode": "ro", "uri": "true"})


def shown(url: sa.URL) -> str:
    """What to call a database in messages: no user, no password, no options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    where = f"{url.host}:{url.port}" if url.host and url.port else url.host or "the usual place"
    return f"{url.database or ''} ({url.get_backend_name()} at {where})".lstrip()
