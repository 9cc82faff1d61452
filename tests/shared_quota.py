"""Processes that share a quota, a strict server that counts what arrives, and what disturbs them."""

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from docpipe.model import Rate
from tests.gate_world import Server, worst_window
from tests.quota_store import QuotaServer, running


@dataclass
class Crowd:
    """Processes at work on one quota. `seen` are the times at which their requests arrived."""

    rate: Rate
    store: QuotaServer
    server: Server
    callers: int = 25
    hasty: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    started: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        """Start another process."""
        self.started += 1
        numbers = (self.rate.n, self.rate.per, self.started, self.callers, self.hasty)
        command = [sys.executable, "-m", "tests.shared_quota_client", self.store.url, self.server.url]
        self.processes.append(subprocess.Popen([*command, *map(str, numbers)]))
        return self.processes[-1]

    async def arrive(self, number: int) -> None:
        """Wait until so many more requests have arrived."""
        wanted = len(self.server.seen) + number
        while len(self.server.seen) < wanted:
            assert all(process.poll() is None for process in self.processes), "a process has ended"
            await asyncio.sleep(0.02)

    async def quiet(self, seconds: float) -> None:
        """Wait until no request has arrived for so long: those that were on their way have."""
        async with asyncio.timeout(60):
            seen = -1
            while seen != len(self.server.seen):
                seen = len(self.server.seen)
                await asyncio.sleep(seconds)

    def kill_one(self) -> None:
        """SIGKILL for one of them, and another one in its place."""
        process = self.processes.pop(self.rng.randrange(len(self.processes)))
        process.kill()
        process.wait()
        self.start()

    @contextlib.contextmanager
    def one_stands_still(self):
        """SIGSTOP for one of them for the time of the block."""
        process = self.rng.choice(self.processes)
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    @property
    def worst(self) -> int:
        """The most arrivals in any window."""
        return worst_window(self.server.seen, self.rate.per)

    async def end(self) -> None:
        """SIGTERM for all, which have to end by themselves."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            for process in self.processes:
                await asyncio.to_thread(process.wait)


@contextlib.asynccontextmanager
async def crowd(
    rate: Rate,
    *,
    processes: int = 3,
    latency: Callable[[random.Random], float] = lambda rng: rng.uniform(0.05, 0.15),
    hasty: float = 0.0,
    behave: Callable[..., Awaitable[object]] | None = None,
    new: bool = False,
) -> AsyncIterator[Crowd]:
    """Several processes, and their store and server; a store that is `new` gives no place at first."""
    with running() as store:
        if not new:
            store.open("exchange.ask", prefix="test")
        async with Server(*([behave] if behave else [])) as server:
            rng = random.Random(1)
            server.inbound = server.outbound = lambda: latency(rng) / 2
            many = Crowd(rate, store, server, hasty=hasty)
            try:
                for _ in range(processes):
                    many.start()
                yield many
                await many.end()
            finally:
                for process in many.processes:
                    process.kill()
                    process.wait()
