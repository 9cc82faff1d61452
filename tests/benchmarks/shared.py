"""A quota that four processes share, at a strict server: how much of it they use, and the worst window."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable

from docpipe.gates.shared import LEASE_S, QuotaStore, RedisPlaces, SharedService
from docpipe.model import Rate
from tests.benchmarks.figures import Figure
from tests.quota_store import running
from tests.shared_quota import Crowd, crowd

_QUIET = Rate(50, 5.0)
_WINDOWS = 8
_SHORT = Rate(10, 1.0)
_ROUNDS = 12
_TAKES = 2000


def shared() -> list[Figure]:
    """What is reported at the head."""
    used, worst = asyncio.run(_undisturbed())
    figures = [
        Figure("used of 50 per 5 s, answers after 100 ms", used, goal=">= 0.95"),
        Figure("worst window of 50 per 5 s", worst, goal=f"<= {_QUIET.n}"),
        Figure("CPU of a take and its settling", asyncio.run(_cost()) * 1e6, "us"),
    ]
    for name, disturb in _DISTURBANCES.items():
        worst = asyncio.run(_disturbed(disturb))
        figures.append(Figure(f"worst window of 10 per 1 s, {name}", worst, goal=f"<= {_SHORT.n}"))
    return figures


async def _undisturbed() -> tuple[float, int]:
    async with crowd(_QUIET, processes=4, latency=lambda _: 0.1) as many:
        await many.arrive((_WINDOWS + 2) * _QUIET.n)
        seen, span = many.server.seen[2 * _QUIET.n :], (_WINDOWS - 1) * _QUIET.n
        took = statistics.mean(after - before for before, after in zip(seen, seen[span:], strict=False))
        return span / took / (_QUIET.n / _QUIET.per), many.worst


async def _cost() -> float:
    """CPU seconds of the client, without the request."""
    with running() as server:
        async with QuotaStore(server.url, "benchmark") as store:
            service = SharedService("s", clock=time.time, rng=random.Random(1), store=store, quota="q")
            places = RedisPlaces("q", None, store=store, service=service, clock=time.time)
            await store.check()
            server.client.hset("{benchmark}:quota:q", "closed", "0")
            began = time.process_time()
            for _ in range(_TAKES):
                grant = await places.take(0.0)
                assert grant is not None
                places.settle(grant, 0.0)
            return (time.process_time() - began) / _TAKES


async def _disturbed(disturb: Callable[[Crowd], Awaitable[None]]) -> int:
    async with crowd(_SHORT, processes=4, latency=lambda rng: rng.uniform(0.05, 0.35), hasty=0.2) as many:
        await many.arrive(20)
        await disturb(many)
        await many.arrive(20)
        return many.worst


async def _killed(many: Crowd) -> None:
    for _ in range(_ROUNDS):
        await many.arrive(4)
        many.kill_one()


async def _stopped(many: Crowd) -> None:
    for seconds in (0.5, 2.0, 8.0, LEASE_S + 4):
        with many.one_stands_still():
            await asyncio.sleep(seconds)
        await many.arrive(5)


async def _store_killed(many: Crowd) -> None:
    many.store.kill()
    many.store.start()


async def _store_emptied(many: Crowd) -> None:
    many.store.empty()


async def _store_stopped(many: Crowd) -> None:
    with many.store.standing_still():
        await asyncio.sleep(8.0)


_DISTURBANCES = {
    "processes killed": _killed,
    "processes stopped": _stopped,
    "store killed and empty": _store_killed,
    "store emptied": _store_emptied,
    "store stopped": _store_stopped,
}
