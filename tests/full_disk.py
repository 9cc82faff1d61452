"""A disk that has no room for one write: the n-th of all below a folder, in this process."""

import contextlib
import errno
import os
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docpipe.checkpoints.store

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NAMES = ("os.mkdir", "os.rename", "os.link")
"""Events whose last path, or only one, is a new name."""


@dataclass
class Disk:
    """Counts writes below a folder; one of them finds no room."""

    folder: Path
    full_at: int | None = None
    """Which write, from 1; None for none of them."""
    seconds: int = 1
    """So many writes in a row."""
    error: int = errno.ENOSPC
    writes: list[str] = field(default_factory=list)

    def pass_by(self, what: str, path: object) -> None:
        """A write is about to be: count it, or refuse it."""
        if not isinstance(path, str | bytes | os.PathLike) or not self._below(path):
            return
        self.writes.append(f"{what} {Path(os.fsdecode(path)).name}")
        if self.full_at is not None and 0 <= len(self.writes) - self.full_at < self.seconds:
            raise OSError(self.error, os.strerror(self.error), os.fsdecode(path))

    def transaction(self, sql: str) -> None:
        """A statement that writes to the checkpoint database is about to be."""
        before = len(self.writes)
        try:
            self.pass_by("sqlite", self.folder / sql.split(maxsplit=1)[0].lower())
        except OSError as full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error from full
        assert len(self.writes) == before + 1

    def _below(self, path: str | bytes | os.PathLike[Any]) -> bool:
        return os.fsdecode(path).startswith(f"{self.folder}{os.sep}")


class _Database:
    """The writer's connection."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self.real = real

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        if _watched and not sql.startswith(("ROLLBACK", "BEGIN")):
            _watched[-1].transaction(sql)
        return self.real.execute(sql, values)

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def close(self) -> None:
        self.real.close()


_watched: list[Disk] = []
_installed: list[bool] = []


def _audited(event: str, args: tuple[Any, ...]) -> None:
    """See sys.addaudithook: what is raised here stops the operation."""
    if not _watched:
        return
    if event == "open" and isinstance(args[2], int) and args[2] & _WRITING:
        _watched[-1].pass_by("open", args[0])
    elif event in _NAMES:
        _watched[-1].pass_by(event, args[0] if event == "os.mkdir" else args[1])


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Everything that writes is looked at, once a disk is `watched`."""
    if not _installed:  # a hook stays for the life of the process
        sys.addaudithook(_audited)
        _installed.append(True)
    real_connect, real_write, real_sync = docpipe.checkpoints.store.connect, os.write, os.fsync

    def path_of(file: int) -> str:
        return str(Path(f"/proc/self/fd/{file}").readlink())

    def write(file: int, data: Any) -> int:
        if _watched:
            _watched[-1].pass_by("write", path_of(file))
        return real_write(file, data)

    def fsync(file: int) -> None:
        if _watched:
            _watched[-1].pass_by("fsync", path_of(file))
        real_sync(file)

    docpipe.checkpoints.store.connect = lambda path: _Database(real_connect(path))
    os.write, os.fsync = write, fsync
    try:
        yield
    finally:
        docpipe.checkpoints.store.connect = real_connect
        os.write, os.fsync = real_write, real_sync


@contextlib.contextmanager
def watched(disk: Disk) -> Iterator[Disk]:
    """Count the writes of the block."""
    _watched.append(disk)
    try:
        yield disk
    finally:
        _watched.pop()
