"""A server that counts as a strict one would, and client processes that can be killed: for tests of gates."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from docpipe.gates import ALIVE_EVERY_S, Gate, Health, Past, Quota, Service
from docpipe.http import Http
from docpipe.model import Clock, Rate, Ticket
from tests import virtual

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


async def answer_ok(_request):
    return web.json_response({"ok": True})


class Server:
    """An aiohttp server on loopback. A behaviour that answers None drops the connection."""

    def __init__(self, behave: Behaviour = answer_ok) -> None:
        self.behave = behave
        self.seen: list[float] = []
        self.requests: list[web.Request] = []
        self.inbound = self.outbound = lambda: 0.0
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _handle(self, request):
        if (delay := self.inbound()) > 0:
            await asyncio.sleep(delay)
        self.seen.append(asyncio.get_running_loop().time())
        self.requests.append(request)
        response = await self.behave(request)
        if (delay := self.outbound()) > 0:
            await asyncio.sleep(delay)
        if response is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return response


def worst_window(seen: list[float], per: float) -> int:
    """The most arrivals in any window of `per` seconds that counts both its ends."""
    seen, worst, first = sorted(seen), 0, 0
    for last, moment in enumerate(seen):
        while seen[first] + per < moment:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


@dataclass(slots=True)
class Noted:
    """A grant on the disk."""

    at: float
    answered: float | None = None


@dataclass(slots=True)
class Disk:
    """What is left of a ledger when its process is killed."""

    grants: dict[int, Noted] = field(default_factory=dict)
    alive: float | None = None


class MemoryLedger:
    """A ledger on a `Disk`. Notes that need not be durable get there late, or never after a kill."""

    def __init__(self, disk: Disk, late: float = 0.5) -> None:
        self.disk = disk
        self.dead = False
        self._late = late
        self._notes: dict[int, float] = {}

    def now(self) -> float:
        return virtual.wall_clock()

    async def granted(self, _quota: str, at: float) -> int:
        await asyncio.sleep(0.001)
        number = len(self.disk.grants) + 1
        if not self.dead:
            self.disk.grants[number] = Noted(at)
        return number

    def answered(self, _quota: str, grant: int, at: float) -> None:
        self._notes[grant] = at
        asyncio.get_running_loop().call_later(self._late, self.flush)

    def flush(self) -> None:
        """Bring to the disk what waits."""
        for grant, at in self._notes.items():
            if not self.dead and grant in self.disk.grants:
                self.disk.grants[grant].answered = at
        self._notes.clear()

    def spent(self, _quota: str, at: float) -> None:
        if not self.dead:
            self.disk.grants[len(self.disk.grants) + 1] = Noted(at, at)

    def settled(self, _quota: str, at: float) -> None:
        for grant in self.disk.grants.values():
            grant.answered = at if grant.answered is None else grant.answered

    async def grants(self, _quota: str, since: float):
        return [g for g in self.disk.grants.values() if (g.at if g.answered is None else g.answered) >= since]

    async def last_alive(self):
        return self.disk.alive


class Process:
    """A client process: one gate to one endpoint, and calls that end with it."""

    def __init__(
        self, rate: Rate | None, *, disk: Disk | None = None, rng=None, even=True, trip_after=3
    ) -> None:
        self.rate = rate
        self.rng = rng or random.Random(0)
        self.ledger = MemoryLedger(disk if disk is not None else Disk())
        self._even = even
        self._trip_after = trip_after
        self.tasks: set[asyncio.Task] = set()
        self.turns = []

    async def __aenter__(self):
        clock: Clock = virtual.wall_clock
        self.http = await Http().__aenter__()
        health = Health(self.rng, trip_after=self._trip_after)
        self.service = Service(
            "exchange",
            clock=clock,
            rng=self.rng,
            health=health,
            listener=lambda *turn: self.turns.append(turn),
        )
        self.quota = await Quota.restored("exchange.ask", self.rate, clock, self.ledger, even=self._even)
        self.gate = Gate(self.service, self.quota)
        self._heart = asyncio.create_task(self._beat())
        return self

    async def _beat(self):
        while not self.ledger.dead:
            self.ledger.disk.alive = virtual.wall_clock()
            await asyncio.sleep(ALIVE_EVERY_S)

    async def __aexit__(self, *_):
        self._heart.cancel()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(self._heart, *self.tasks, return_exceptions=True)
        await self.quota.__aexit__(None, None, None)
        if not self.ledger.dead:
            self.ledger.flush()
            self.ledger.disk.alive = None
        await self.http.__aexit__(None, None, None)

    async def kill(self):
        """As SIGKILL: nothing is written down any more, and what was sent continues by itself."""
        self.ledger.dead = True
        await self.__aexit__()

    def start(self, coroutine) -> asyncio.Task:
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def call(self, url, method="GET", *, run="", priority=0, give_up_after=None, **more):
        ticket = more.pop("ticket", None) or Ticket(run, priority)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(give_up_after):
                return await self.http.call(method, url, gate=self.gate, ticket=ticket, **more)
        return None


def quota_of(rate: Rate | None, **more) -> Quota:
    return Quota.local("exchange.ask", rate, clock=virtual.wall_clock, **more)


def past_of(*grants, alive=None) -> Past:
    return Past(virtual.wall_clock(), [Noted(*grant) for grant in grants], alive)
