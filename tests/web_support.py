"""The real service in the test's own process: the fakes, docpipe, its sockets, and a client that does nothing
by itself. It runs in virtual time as well as in real time.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

import fakes
from docpipe import app
from docpipe.config.config import Config, Docex, Patients, Service, State, Storage, Tasktracker
from docpipe.config.parsing import Secret
from docpipe.config.schedule import Schedule
from docpipe.model import Clock, Patient
from docpipe.patients import PatientDatabase
from docpipe.web import server
from docpipe.web.context import Web
from docpipe.web.onemachine import OneMachine
from tests.simulation.world import CONVERTER

TOKEN = "a-token-for-tests"  # noqa: S105 -- of no service but this one
NEVER = {"search_seconds": (86_000.0, 86_000.0)}
"""Searches that take a day: runs stay under way."""


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A service, and what a test wants of it."""

    docpipe: app.Docpipe
    web: Web
    address: str
    fakes: fakes.Running
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every request."""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def ask(self, method: str, path: str, **words: Any) -> Answer:
        words["headers"] = {**self.headers, **words.pop("headers", {})}
        url = words.pop("url", None) or f"{self.address}{path}"
        async with self.session.request(method, url, allow_redirects=False, **words) as response:
            answer = Answer(response.status, response.headers, await response.read())
        if answer.status >= 400 and method != "HEAD":
            assert response.content_type == "application/problem+json"
            body = answer.json
            assert body["status"] == answer.status
            assert {"type", "title", "status", "detail", "instance"} <= body.keys()
        return answer

    async def get(self, path: str, **words: Any) -> Answer:
        return await self.ask("GET", path, **words)

    async def post(self, path: str, **words: Any) -> Answer:
        return await self.ask("POST", path, **words)

    async def delete(self, path: str, **words: Any) -> Answer:
        return await self.ask("DELETE", path, **words)

    async def submit(self, *patients: str, **words: Any) -> list[str]:
        """The run ids."""
        answer = await self.post("/api/runs", json={"patients": patients, **words})
        assert answer.status == 202, answer.body
        return [run["run_id"] for run in answer.json["runs"]]

    async def finished(self, *patients: str) -> list[str]:
        """Runs of these patients that have come to their end."""
        runs = await self.submit(*patients)
        await self.docpipe.engine.wait()
        return runs

    async def raw(self, data: bytes, *, until: bytes = b"") -> bytes:
        """What is answered to bytes, until the connection closes or some bytes have come."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await (reader.readuntil(until) if until else reader.read())
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def config_of(folder: Path, running: fakes.Running, service: Service, storage: Storage | None) -> Config:
    return Config(
        docex=Docex(base_url=running.docex_url, search_rate=None, status_rate=None),
        tasktracker=Tasktracker(base_url=running.tracker_url, rate=None),
        patients=Patients(url=f"sqlite:///{folder}/patients.db"),
        storage=storage or Storage(url=str(folder / "storage")),
        state=State(dir=str(folder / "state")),
        service=service,
    )


@contextlib.asynccontextmanager
async def serving(
    folder: Path,
    clock: Clock,
    *,
    token: str | None = None,
    hosts: tuple[str, ...] = (),
    options: Mapping[str, Any] | None = None,
    storage: Storage | None = None,
    schedules: tuple[Schedule, ...] = (),
) -> AsyncIterator[Served]:
    """A service on a free port, with patients S0 to S9 and some with odd ids, started and ready."""
    given = {
        "mix": "tiny",
        "wall_clock": clock,
        "search_rate": None,
        "status_rate": None,
        "tracker_rate": None,
    }
    secret = Secret(token or "none")
    listens = Service(port=0, token=secret, hosts=hosts)
    async with (
        fakes.serve(fakes.FakeOptions(**(given | dict(options or {})))) as running,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        config = replace(config_of(folder, running, listens, storage), schedule=schedules)
        database = PatientDatabase(config.patients.url)
        odd = ("é/ü", "a b%2F{c}", "..", "Anna~1")
        await database.put(
            [Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in (*(f"S{n}" for n in range(10)), *odd)]
        )
        await database.aclose()
        with server.bound(listens) as sockets:
            async with (
                app.opened(config, clock=clock, converter=CONVERTER, inline=True) as docpipe,
                server.listening(OneMachine(docpipe), sockets) as listening,
                contextlib.AsyncExitStack() as stack,
            ):
                await docpipe.engine.resume()
                await stack.enter_async_context(docpipe.scheduler)
                listening.web.readiness.started = True
                served = Served(docpipe, listening.web, listening.address, running, session)
                if token:
                    served.headers["Authorization"] = f"Bearer {token}"
                yield served
