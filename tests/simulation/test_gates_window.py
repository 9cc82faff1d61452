"""Never more than n requests in any window of T as the server's clock sees them, whatever happens."""

import asyncio
import random

from aiohttp import web
from hypothesis import example, given, settings
from hypothesis import strategies as st

from docpipe.model import Rate
from tests import virtual
from tests.gate_world import Disk, Process, Server, worst_window

HAZARDS = (
    "latency",  # up to 2 s, each way up to 1 s, and jitter
    "bursts",  # callers come all at once, and grants are not spaced
    "cancel",  # callers give up, also right after sending
    "redirect",  # 307 and 308 within the origin
    "errors",  # 5xx and answers that break the contract: retried
    "drops",  # the server closes kept-alive connections, which aiohttp retries by itself
    "429",  # with and without Retry-After
    "restart",  # clean stops
    "kill",  # kills: what was not durable is lost, what was sent still arrives
)


_FAR = 5  # a path this long is not redirected any further: a client follows 5 times at most


class Strict:
    """A server with hazards, seeded."""

    def __init__(self, rng, hazards):
        self._rng = rng
        self._hazards = hazards

    def latency(self):
        return self._rng.uniform(0, 1.0) if "latency" in self._hazards else self._rng.uniform(0, 0.01)

    def _strikes(self, hazard, chance):
        return hazard in self._hazards and self._rng.random() < chance

    async def behave(self, request):
        if self._strikes("drops", 0.2):
            return None
        if self._strikes("errors", 0.2):
            return self._rng.choice(
                [web.Response(status=503, headers={"Retry-After": "1"}), web.Response(text="<html>")]
            )
        if self._strikes("429", 0.1):
            reported = self._rng.choice([{}, {"Retry-After": "2"}])
            return web.Response(status=429, headers=reported)
        if len(request.path) < _FAR and self._strikes("redirect", 0.3):
            to = f"{request.path}x"
            return web.Response(status=self._rng.choice([307, 308]), headers={"Location": to})
        return web.json_response({"ok": True})


async def simulate(seed: int, rate: Rate, hazards: frozenset[str], calls: int) -> tuple[list[float], int]:
    """Make calls to a strict server; returns arrivals at it, and how many calls were answered."""
    rng = random.Random(seed)
    strict, disk, answered = Strict(rng, hazards), Disk(), 0
    rounds = 3 if hazards & {"restart", "kill"} else 1

    async with Server(strict.behave) as server:
        server.inbound = server.outbound = strict.latency
        for _ in range(rounds):
            process = Process(rate, disk=disk, rng=rng, even="bursts" not in hazards)
            await process.__aenter__()

            async def one(process=process):
                nonlocal answered
                if "bursts" not in hazards:
                    await asyncio.sleep(rng.uniform(0, rate.per))
                patience = rng.choice([None, None, 0.01, 1.0, rate.per]) if "cancel" in hazards else None
                method = rng.choice(["GET", "POST"])
                answer = await process.call(server.url, method, run=str(rng.random()), give_up_after=patience)
                answered += answer is not None

            tasks = [process.start(one()) for _ in range(calls // rounds)]
            if "kill" in hazards:
                await asyncio.wait(tasks, timeout=rng.uniform(0, 5 + 2 * rate.per))
                await process.kill()
            elif "restart" in hazards:
                await asyncio.wait(tasks, timeout=rng.uniform(0, 5 + 2 * rate.per))
                await process.__aexit__()
            else:
                await asyncio.gather(*tasks)
                await process.__aexit__()
            if rounds > 1:
                await asyncio.sleep(rng.choice([0.0, 0.3, rng.uniform(0, 2 * rate.per)]))
        await asyncio.sleep(5)
    return server.seen, answered


rates = st.sampled_from([Rate(1, 1.0), Rate(4, 1.0), Rate(10, 1.0), Rate(3, 10.0), Rate(10, 60.0)])


@settings(max_examples=settings.default.max_examples * 5 // 2)
@given(seed=st.integers(0, 2**32), rate=rates, hazards=st.frozensets(st.sampled_from(HAZARDS)))
@example(seed=1, rate=Rate(10, 1.0), hazards=frozenset({"latency", "bursts", "kill"}))
@example(seed=2, rate=Rate(3, 10.0), hazards=frozenset({"latency", "bursts", "kill"}))
@example(seed=3, rate=Rate(4, 1.0), hazards=frozenset({"latency", "cancel", "bursts"}))
@example(seed=4, rate=Rate(4, 1.0), hazards=frozenset(HAZARDS))
def test_no_window_ever_holds_more_than_the_quota(seed, rate, hazards):
    """The strict server never counts more than n in any window of T, under any mix of hazards."""
    seen, answered = virtual.run(simulate(seed, rate, hazards, calls=42))
    assert worst_window(seen, rate.per) <= rate.n
    if not hazards & {"cancel", "restart", "kill"}:
        assert answered == 42
