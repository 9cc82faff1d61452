"""`docpipe serve` on a fleet, inside a test, and a client that does nothing by itself."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from docpipe.config.config import Service
from docpipe.config.parsing import Secret
from docpipe.fleet.serving import FleetServing, open_serving
from docpipe.web import server
from docpipe.web.context import Web
from docpipe.web.onfleet import OnFleet
from tests.fleet_support import Machines
from tests.web_support import Answer


@dataclass
class FleetServed:
    """A service of a fleet."""

    serving: FleetServing
    web: Web
    address: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **words: Any) -> Answer:
        async with self.session.request(method, f"{self.address}{path}", **words) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    async def metrics(self) -> str:
        return (await self.ask("GET", "/metrics")).body.decode()

    async def submit(self, *patients: str) -> list[str]:
        answer = await self.ask("POST", "/api/runs", json={"patients": patients})
        assert answer.status == 202, answer.body
        return [run["run_id"] for run in answer.json["runs"]]


@contextlib.asynccontextmanager
async def serving(
    made: Machines, name: str = "serve", *, ui: str = "", **more: Any
) -> AsyncIterator[FleetServed]:
    """One that is ready, on a port of its own."""
    listens = Service(port=0, token=Secret("none"))
    config = made.config(name)
    config = replace(config, service=listens, fleet=replace(config.fleet, ui=ui), **more)
    with server.bound(listens) as sockets:
        async with (
            aiohttp.ClientSession() as session,
            open_serving(config) as opened,
            server.listening(OnFleet(opened), sockets) as listening,
        ):
            listening.web.readiness.started = True
            yield FleetServed(opened, listening.web, listening.address, session)
