"""Connections to a database: `do(work)` runs a function on an open connection and returns its result.

The function only reads. On a server it runs in the event loop, through SQLAlchemy's async engine; on an
SQLite file in a thread of its own. Compared with aiosqlite, that is one thread switch per look-up instead of
one per driver call, needs no greenlet, and saves 0.1 s at the start.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError, OperationalError

from docpipe.errors import ConfigError
from docpipe.gates.local_trouble import trouble_of
from docpipe.patients.people import missing, unusable
from docpipe.patients.places import Places
from docpipe.patients.urls import connecting, display_name, parsed, read_only_file

if TYPE_CHECKING:  # costs 0.1 s
    from sqlalchemy.ext.asyncio import AsyncConnection

_T = TypeVar("_T")
Work = Callable[[sa.Connection], _T]
_WHAT: Final = "patients database"
_RECYCLE_S: Final = 300  # firewalls drop idle connections silently


class FileLink:
    """An SQLite file."""

    def __init__(self, url: sa.URL) -> None:
        self.file = Path(str(url.database))
        self.name = str(self.file)
        self._thread = ThreadPoolExecutor(1, "patients")
        # Each call opens a connection: one kept open would still read a file that has been replaced.
        self._engine = sa.create_engine(
            read_only_file(url), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, hide_parameters=True
        )
        sa.event.listen(self._engine, "connect", _any_bytes)

    async def close(self) -> None:
        """Stop the thread."""
        await self._in_thread(self._engine.dispose)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def do(self, work: Work[_T], *, unhurried: bool = False) -> _T:  # noqa: ARG002 -- a disk is not waited for
        """Run `work` on a connection of its own.

        Raises:
            DatabaseUnusableError: if there is no such file, or this machine does not let it be read now.
        """

        def read() -> _T:
            try:
                opened = self._engine.connect()
            except OperationalError:
                self._look()
                raise
            with opened as connection:
                return work(connection)

        return await self._in_thread(read)

    def _look(self) -> None:
        """Raise an error that names the cause why the file cannot be opened: SQLite has one code for all.

        Not before SQLite has failed: to close any descriptor of a file drops the locks of the whole process.
        """
        try:
            self.file.open("rb").close()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise missing(self.file) from error
        except OSError as error:
            trouble = trouble_of(error)
            cause = trouble.sentence(_WHAT) if trouble else error.strerror or type(error).__name__
            raise unusable(f"The patients database {self.file} cannot be read: {cause}.") from error

    async def write(self, work: Callable[[], _T]) -> _T:
        """Run what writes the file in the thread that reads it."""
        return await self._in_thread(work)


def _any_bytes(connection: Any, _: object) -> None:
    """Decode bytes that are not UTF-8 with surrogates: the query succeeds, and the error names a column."""
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")


class ServerLink:
    """A database on a server, with a pool of connections."""

    def __init__(self, url: sa.URL, *, pool: int, timeout: float, connect_timeout: float) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 -- costs 0.1 s

        self.name = display_name(url)
        self._timeout = timeout
        self._options = sorted(url.query)
        self._places = Places(pool)
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
        """Close the connections."""
        await self._engine.dispose()

    async def do(self, work: Work[_T], *, unhurried: bool = False) -> _T:
        """Run `work` on a connection of the pool.

        Raises:
            TimeoutError: if it takes too long.
        """
        async with (
            self._places.place(),
            asyncio.timeout(None if unhurried else self._timeout),
            self._connection() as connection,
        ):
            result = await connection.run_sync(work)
            if self._places.scarce:
                await connection.invalidate()
            return result

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator["AsyncConnection"]:
        """Borrow a connection of the pool.

        Raises:
            ConfigError: if the driver does not take the options of the URL.
        """
        try:
            connection = await self._engine.connect()
        except OSError:  # an outage, although a failed check of a certificate is a ValueError as well
            raise
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"patients.url: its driver does not take its options ({type(error).__name__}): "
                f"{', '.join(self._options) or 'check what stands before the question mark'}."
            ) from error
        try:
            yield connection
        finally:
            await connection.close()


def link_to(text: str, *, pool: int, timeout: float, connect_timeout: float) -> FileLink | ServerLink:
    """Make the link to the database that a URL names; no connection is made yet.

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
