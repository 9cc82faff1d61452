"""Connections to a database, behind one narrow interface: hand in work, get its result.

Work is a function of an open connection that only reads. On a server it runs in the event loop, through
SQLAlchemy's async engine; on an SQLite file in a thread of its own: one hop a look-up, where aiosqlite makes
one a call of the driver, no greenlet, and 0.1 s less at the start.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError

from docpipe.errors import ConfigError, PatientError
from docpipe.patients.urls import connecting, parsed, read_only_file, shown

_T = TypeVar("_T")
Work = Callable[[sa.Connection], _T]
_RECYCLE_S: Final = 300  # firewalls forget idle connections, and tell nobody


class Link(Protocol):
    """A way to a database."""

    name: str
    """What to call it in messages."""

    async def do(self, work: Work[_T], *, at_leisure: bool = False) -> _T:
        """Do work on a connection, within the timeout; at leisure only what the driver can time has to be."""

    async def close(self) -> None:
        """Let go of the connections."""


class FileLink:
    """An SQLite file."""

    def __init__(self, url: sa.URL) -> None:
        self.file = Path(str(url.database))
        self.name = str(self.file)
        self._thread = ThreadPoolExecutor(1, "patients")
        self._engine = sa.create_engine(
            read_only_file(url), isolation_level="AUTOCOMMIT", hide_parameters=True
        )
        sa.event.listen(self._engine, "connect", _any_bytes)
        self._writable = url

    async def close(self) -> None:
        """Let go of the connection and the thread."""
        await self._in_thread(self._engine.dispose)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def do(self, work: Work[_T], *, at_leisure: bool = False) -> _T:  # noqa: ARG002 -- a disk is not waited for
        """Do work on the connection.

        Raises:
            PatientError: if there is no such file.
        """

        def read() -> _T:
            if not self.file.exists():
                raise PatientError(
                    f"There is no patients database {self.file}: "
                    "`docpipe patients import FILE.csv` makes one."
                )
            with self._engine.connect() as connection:
                return work(connection)

        return await self._in_thread(read)

    async def write(self, work: Callable[[sa.Connection], None]) -> None:
        """Do work that writes, in one transaction; the file is made where it is missing."""

        def write() -> None:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.file.touch(mode=0o600)
            engine = sa.create_engine(self._writable, poolclass=sa.NullPool, hide_parameters=True)
            with engine.begin() as connection:
                work(connection)

        await self._in_thread(write)


def _any_bytes(connection: Any, _: object) -> None:
    """Bytes that are not UTF-8 come through, to be told by their column instead of breaking the query."""
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")


class ServerLink:
    """A database on a server, with a pool of connections."""

    def __init__(self, url: sa.URL, *, pool: int, timeout: float, connect_timeout: float) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 -- costs 0.1 s

        self.name = shown(url)
        self._timeout = timeout
        url, given = connecting(url, timeout, connect_timeout)
        self._engine = create_async_engine(
            url,
            connect_args=given,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=timeout,
            pool_recycle=_RECYCLE_S,
            hide_parameters=True,
            execution_options={"postgresql_readonly": True} if url.get_backend_name() == "postgresql" else {},
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._engine.dispose()

    async def do(self, work: Work[_T], *, at_leisure: bool = False) -> _T:
        """Do work on a connection of the pool.

        Raises:
            TimeoutError: if it takes too long.
        """
        async with (
            asyncio.timeout(None if at_leisure else self._timeout),
            self._engine.connect() as connection,
        ):
            return await connection.run_sync(work)


def link_to(text: str, *, pool: int, timeout: float, connect_timeout: float) -> FileLink | ServerLink:
    """The way to the database that a URL names; nothing is connected yet.

    Raises:
        ConfigError: if the URL cannot be used.
    """
    url = parsed(text)
    try:
        if url.get_backend_name() != "sqlite":
            return ServerLink(url, pool=pool, timeout=timeout, connect_timeout=connect_timeout)
        if not url.database or url.database.startswith((":memory:", "file:")):
            raise ConfigError("patients.url: SQLite needs a file, as in sqlite:///patients.db.")
        return FileLink(url)
    except (ArgumentError, NoSuchModuleError, InvalidRequestError, ImportError) as error:
        raise ConfigError(
            f"patients.url cannot be used ({type(error).__name__}): it has to be an SQLAlchemy URL such as "
            "sqlite:///patients.db or postgresql://user@host/database, with an asynchronous driver installed."
        ) from error
