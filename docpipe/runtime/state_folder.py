"""The state folder: private, and owned by one process at a time."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Self

from docpipe.errors import StateError
from docpipe.util.fsync import make_folder


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
            raise StateError(
                f"The state folder {self.path} cannot be written ({error.strerror}): "
                "set state.dir to a folder that is yours, or mend its permissions."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise InUseError(
                f"The state folder {self.path} is in use by {holder(self.path)}: wait for it or stop it. "
                "`docpipe status` can look on meanwhile."
            ) from error
        os.ftruncate(self._lock, 0)
        os.write(self._lock, json.dumps({"pid": os.getpid()}).encode())
        return self

    def announce(self, address: str) -> None:
        """Write into the lock where this process can be talked to."""
        told = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.pwrite(self._lock, told, 0)
        os.ftruncate(self._lock, len(told))

    def __exit__(self, *_: object) -> None:
        os.ftruncate(self._lock, 0)
        os.close(self._lock)


def holder(folder: Path) -> str:
    """Who holds the lock, in words."""
    told = _told(folder)
    if "pid" not in told:
        return "another process"
    return f"process {told['pid']}" + (f", a service at {told['address']}" if "address" in told else "")


def address(folder: Path) -> str | None:
    """Where the service that holds the lock can be talked to; None where there is none."""
    told = _told(folder).get("address")
    return told if isinstance(told, str) and in_use(folder) else None


def _told(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / "lock").read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def in_use(folder: Path) -> bool:
    """Whether a process holds the lock now."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for no longer than it takes to let go of it
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
