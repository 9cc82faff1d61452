"""The state folder: private, and owned by one process at a time."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final, Self

import msgspec

from docpipe.errors import StateError
from docpipe.gates.local_trouble import trouble_of
from docpipe.util.fsync import make_folder

_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_NO_RIGHT: Final = (errno.EACCES, errno.EPERM)


class InUseError(StateError):
    """Another process owns the state folder."""


class StateFolder:
    """The state folder, locked while this is entered. The lock dies with the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / "spool"
        self._lock = -1

    def __enter__(self) -> Self:
        """Make the folder where it is missing, and lock it.

        Raises:
            InUseError: if another process holds it.
            StateError: if it cannot be written.
        """
        try:
            for folder in (self.path, self.spool):
                make_folder(folder)
                folder.chmod(0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._lock, 0)
            os.write(self._lock, msgspec.json.encode(_Lock(os.getpid())))
        except BlockingIOError as error:
            os.close(self._lock)
            raise InUseError(
                f"The state folder {self.path} is in use by {holder(self.path)}: wait for it or stop it. "
                "`docpipe status` shows its runs meanwhile."
            ) from error
        except OSError as error:
            os.close(self._lock)
            raise self._unusable(error) from error
        return self

    def _unusable(self, error: OSError) -> StateError:
        """The error of a folder that cannot be written or locked, with its cure."""
        if error.errno in _NO_LOCKS:
            return StateError(
                f"The state folder {self.path} cannot be locked ({error.strerror}): its mount has no locks. "
                "Set state.dir to a folder on a local disk, or mount it with locks (NFS: lockd)."
            )
        trouble = trouble_of(error)
        if trouble is None or error.errno in _NO_RIGHT:
            cure = "set state.dir to a folder that is yours, or correct its permissions"
        else:
            cure = trouble.ending("state folder")
        return StateError(f"The state folder {self.path} cannot be written ({error.strerror}): {cure}.")

    def announce(self, address: str) -> None:
        """Write the address of the service into the lock file."""
        content = msgspec.json.encode(_Lock(os.getpid(), address))
        os.pwrite(self._lock, content, 0)
        os.ftruncate(self._lock, len(content))

    def __exit__(self, *_: object) -> None:
        os.ftruncate(self._lock, 0)
        os.close(self._lock)


def holder(folder: Path) -> str:
    """The process that holds the lock, in words."""
    lock = _read_lock(folder)
    if lock.pid is None:
        return "another process"
    return f"process {lock.pid}" + (f", a service at {lock.address}" if lock.address else "")


def address(folder: Path) -> str | None:
    """The address of the service that holds the lock; None if no service does."""
    lock = _read_lock(folder)
    return lock.address if lock.address and in_use(folder) else None


class _Lock(msgspec.Struct, frozen=True):
    """The content of the lock file: which process holds it, and where its service listens."""

    pid: int | None = None
    address: str | None = None


def _read_lock(folder: Path) -> _Lock:
    try:
        return msgspec.json.decode((folder / "lock").read_bytes(), type=_Lock)
    except (OSError, msgspec.DecodeError):
        return _Lock()


def in_use(folder: Path) -> bool:
    """Whether a process holds the lock now."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released at once
    except BlockingIOError:
        return True
    except OSError:  # its mount has no locks, so nobody holds one
        return False
    finally:
        os.close(lock)
    return False
