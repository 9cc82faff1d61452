"""`docpipe fleet up`: Temporal, Valkey, fakes and workers on one machine, from pip packages alone, to try.

It is a fleet as any other, with a configuration that other commands take; but all of it ends with one
machine, and its Temporal is the development server, with SQLite.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from temporalio.converter import DataConverter

from docpipe.config.loading import load
from docpipe.errors import StateError
from docpipe.fleet.connection import connect
from docpipe.fleet.parts import Part, free_port, running, store_program, temporal_program
from docpipe.fleet.queues import run_queue
from docpipe.fleet.requests import pollers_of
from docpipe.model import count_of
from docpipe.util.fsync import make_folder

_RATE: Final = "120/min"
"""Of searches: a first look is no hour of waiting."""
_START_S: Final = 120.0
_EVERY_S: Final = 0.2
_AT_ONCE: Final = {"PYTHONUNBUFFERED": "1"}
_SIGN_IN: Final = "Sign in once, within 15 minutes: "
_SETTINGS: Final = ("DOCEX", "TASKTRACKER", "PATIENTS", "STORAGE", "STATE", "FLEET")
"""Sections that the environment cannot change here: a real exchange is not called by a first look."""
_CONFIG: Final = """\
# Written by `docpipe fleet up`, anew at each start: the addresses of a fleet on this machine.
[docex]
base_url = {docex}
search_rate = "{rate}"
[tasktracker]
base_url = {tracker}
[patients]
url = "sqlite:///patients.db"
[storage]
url = "storage"
[state]
dir = "state/commands"
[convert]
workers = 1
[fleet]
redis = {redis}
temporal = {temporal}
key_file = "fleet.key"
ui = {ui}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetUp:
    """A fleet that runs."""

    config: Path
    """For other commands: `docpipe --config`."""
    servers: list[Part]
    """What all need."""
    workers: list[Part]
    ui: str
    """Temporal's own page."""
    page: str
    """docpipe's, with what signs one person in."""

    async def ended(self) -> Part:
        """Wait until one of the programs ends by itself; returns it."""
        parts = [*self.servers, *self.workers]
        waiting = {asyncio.create_task(part.process.wait()): part for part in parts}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return waiting[done.pop()]
        finally:
            for task in waiting:
                task.cancel()

    def can_do_without(self, part: Part) -> bool:
        """Whether a part that has ended was a worker, and not the last one; it is forgotten then."""
        if part not in self.workers or len(self.workers) == 1:
            return False
        self.workers.remove(part)
        return True


@contextlib.asynccontextmanager
async def up(folder: Path, workers: int, progress: Callable[[str], None]) -> AsyncIterator[FleetUp]:
    """Start a fleet, and end it with the block. What it has done stays in the folder for the next start.

    Args:
        folder: of all its files, absolute; made where it is missing.
        workers: how many.
        progress: called with each part that has started, in a few words.

    Raises:
        ConfigError: if a program is not installed.
        StateError: if another fleet works in the folder, or a part does not start.
    """
    temporal, store = temporal_program(), store_program()
    make_folder(folder)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_only_one(folder))
        _make_key(folder)
        server = await _temporal(temporal, folder, stack)
        progress(f"Temporal at {server.address}")
        redis = await _store(store, folder, stack)
        progress(f"Valkey at {redis.address}")
        services = await _fakes(folder, stack)
        progress(f"fakes of the exchange and the tracker at {services['docex_url']}")
        config = _written(folder, server, redis, services)
        await _patients(folder, config)
        servers = [server.part, redis.part, services["part"]]
        made = [await _worker(folder, config, number, stack) for number in range(1, workers + 1)]
        await _working(config, made)
        ids = ", ".join(str(worker.process.pid) for worker in made)
        progress(f"{count_of(workers, 'worker')} (process {ids})")
        serve = await _serve(folder, config, stack)
        page = await _page(serve)
        progress(f"the page at {page.split('/login')[0]}")
        servers.append(serve)
        yield FleetUp(config=config, servers=servers, workers=made, ui=server.ui, page=page)


@dataclass(frozen=True, slots=True)
class _Server:
    part: Part
    address: str
    ui: str = ""


@contextlib.contextmanager
def _only_one(folder: Path) -> Any:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateError(
                f"Another `docpipe fleet up` works in {folder}: end it, or name another folder with --folder."
            ) from error
        yield


def _make_key(folder: Path) -> None:
    key = folder / "fleet.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(f"{secrets.token_hex(64)}\n", "utf-8")


async def _temporal(program: str, folder: Path, stack: contextlib.AsyncExitStack) -> _Server:
    port, ui = free_port(), free_port()
    command = [
        program,
        *("server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui)),
        *("--ui-disable-news-fetch", "--log-level", "error", "--db-filename", str(folder / "temporal.db")),
        *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
        *("--http-port", str(free_port()), "--metrics-port", str(free_port())),
    ]
    part = await stack.enter_async_context(running("Temporal", command, folder))
    await part.ready(port)
    return _Server(part, f"127.0.0.1:{port}", f"http://127.0.0.1:{ui}")


async def _store(program: str, folder: Path, stack: contextlib.AsyncExitStack) -> _Server:
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    part = await stack.enter_async_context(running("Valkey", command, folder))
    await part.ready(port)
    return _Server(part, f"127.0.0.1:{port}")


async def _fakes(folder: Path, stack: contextlib.AsyncExitStack) -> dict[str, Any]:
    """The fakes, and their addresses."""
    command = [sys.executable, "-m", "fakes", "--search-rate", _RATE, "--state", str(folder / "fakes.db")]
    part = await stack.enter_async_context(running("fakes", command, folder, _environment()))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while part.process.returncode is None:
                for line in part.log.read_text("utf-8", "replace").splitlines():
                    if line.startswith("{"):
                        return {**json.loads(line), "part": part}
                await asyncio.sleep(_EVERY_S)
    raise part.trouble("did not start")


def _written(folder: Path, server: _Server, redis: _Server, services: Mapping[str, Any]) -> Path:
    """Write the configuration of the fleet."""
    text = _CONFIG.format(
        docex=json.dumps(services["docex_url"]),
        tracker=json.dumps(services["tracker_url"]),
        rate=_RATE,
        redis=json.dumps(f"redis://{redis.address}/0"),
        temporal=json.dumps(server.address),
        ui=json.dumps(server.ui),
    )
    path = folder / "config.toml"
    part = path.with_name(".config.toml")
    part.write_text(text, "utf-8")
    part.replace(path)
    return path


async def _patients(folder: Path, config: Path) -> None:
    """Invented patients, once."""
    if (folder / "patients.db").exists():
        return
    rows = folder / "patients.csv"
    for name, command in (
        ("invented patients", [sys.executable, "-m", "fakes", "--export-patients", str(rows)]),
        (
            "import",
            [sys.executable, "-m", "docpipe", "--config", str(config), "patients", "import", str(rows)],
        ),
    ):
        async with running(name, command, folder, _environment()) as part:
            if await part.process.wait():
                (folder / "patients.db").unlink(missing_ok=True)
                raise part.trouble("failed")


async def _worker(folder: Path, config: Path, number: int, stack: contextlib.AsyncExitStack) -> Part:
    state = folder / "state" / f"worker-{number}"
    env = {**_environment(), "DOCPIPE_STATE__DIR": str(state)}
    command = [sys.executable, "-m", "docpipe", "--config", str(config), "worker"]
    return await stack.enter_async_context(running(f"worker {number}", command, folder, env))


async def _serve(folder: Path, config: Path, stack: contextlib.AsyncExitStack) -> Part:
    env = {**_environment(), "DOCPIPE_STATE__DIR": str(folder / "state" / "serve"), **_AT_ONCE}
    command = [sys.executable, "-m", "docpipe", "--config", str(config), "serve", "--port", "0"]
    return await stack.enter_async_context(running("serve", command, folder, env))


async def _page(serve: Part) -> str:
    """The address of the page, as soon as it is served: a link that signs one person in."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while serve.process.returncode is None:
                for line in serve.log.read_text("utf-8", "replace").splitlines():
                    if line.startswith(_SIGN_IN):
                        return line.removeprefix(_SIGN_IN)
                await asyncio.sleep(_EVERY_S)
    raise serve.trouble("did not start")


def _environment() -> dict[str, str]:
    """That of this process, but for settings of other services than these."""
    prefixes = tuple(f"DOCPIPE_{section}__" for section in _SETTINGS)
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


async def _working(config: Path, workers: list[Part]) -> None:
    """Wait until every worker asks Temporal for work."""
    loaded = load(config, _environment())
    client = await connect(loaded, DataConverter.default)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while len(await pollers_of(client, run_queue(loaded.fleet.prefix))) < len(workers):
                for worker in workers:
                    if worker.process.returncode is not None:
                        raise worker.trouble("ended")
                await asyncio.sleep(_EVERY_S)
            return
    raise workers[0].trouble(f"or another one asks Temporal for no work after {_START_S:.0f} s")
