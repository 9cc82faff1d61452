"""Outages in virtual time: a thousand callers, real HTTP, and as few requests as it takes."""

import asyncio
import itertools
import random

import pytest
from aiohttp import web

from docpipe.errors import PoisonedError
from docpipe.gates import Turn
from docpipe.model import Rate
from tests import virtual
from tests.gate_world import Process, Server, worst_window

TWO_HOURS_S = 7200.0
LONGEST_PROBE_S = 60.0


class Sick:
    """A server that is ill at times. Times are seconds since the start."""

    def __init__(self, ill, *times):
        self._ill = ill
        self._times = times
        self.start = asyncio.get_running_loop().time()
        self.into_the_outage: list[float] = []

    async def behave(self, request):
        now = asyncio.get_running_loop().time() - self.start
        if any(begin <= now < end for begin, end in self._times):
            self.into_the_outage.append(now)
            return await self._ill(request)
        return web.json_response({"ok": True})


async def refused(_request):
    return web.Response(status=503, text="<html>down</html>")


async def html(_request):
    return web.Response(text="<html>maintenance</html>", content_type="text/html")


async def dropped(_request):
    return None


async def silent(_request):
    await asyncio.sleep(3600)


async def busy(_request):
    return web.Response(status=503, headers={"Retry-After": "90"})


async def through(ill, *times, callers=1000, rate=Rate(10, 1.0), seed=1):  # noqa: B008 -- frozen
    """Callers come over the first 100 s; returns the server, the process and when each was answered."""
    rng, sick, ended = random.Random(seed), Sick(ill, *times), []
    async with Server(sick.behave) as server, Process(rate, rng=rng) as process:

        async def patient(number):
            await asyncio.sleep(rng.uniform(0, 100))
            answer = await process.call(
                server.url, rng.choice(["GET", "POST"]), run=f"run{number}", check=lambda body: body["ok"]
            )
            assert answer.ok
            ended.append(asyncio.get_running_loop().time() - sick.start)

        await asyncio.gather(*(process.start(patient(number)) for number in range(callers)))
    assert worst_window(server.seen, rate.per) <= rate.n
    return sick, process, ended


@pytest.mark.parametrize("ill", [refused, html, dropped, silent], ids=lambda ill: ill.__name__)
def test_two_hours_down_cost_a_request_a_probe_and_nobody_a_run(ill):
    """A thousand callers send one request a probe interval during two hours, and continue at once after."""
    end = 20 + TWO_HOURS_S
    sick, process, ended = virtual.run(through(ill, (20.0, end)))
    # The first few: three failures in a row, what was under way then, and aiohttp's own repetition of each.
    probes = [moment for moment in sick.into_the_outage if moment > 60]
    assert len(probes) <= TWO_HOURS_S / (0.75 * LONGEST_PROBE_S) * (2 if ill is dropped else 1)
    under_way = 310 if ill is silent else 10  # at 10 a second, until the first of them times out
    assert len(sick.into_the_outage) - len(probes) <= under_way
    after = [moment for moment in ended if moment > 20]
    assert len(ended) == 1000
    assert min(after) <= end + LONGEST_PROBE_S + 1
    assert max(after) - min(after) <= len(after) / 10 * 1.03 + 1
    assert max(after) <= end + len(after) / 10 + LONGEST_PROBE_S
    assert [turn for _, turn, _ in process.turns if turn is not Turn.STILL_DOWN] == [Turn.DOWN, Turn.UP]


def test_outage_from_the_start():
    """A service that is down when docpipe starts is waited for like any other."""
    sick, _, ended = virtual.run(through(refused, (0.0, 600.0)))
    assert len(ended) == 1000
    assert len(sick.into_the_outage) <= 3 + 600 / 45 + 5
    assert max(ended) <= 600 + 100 + LONGEST_PROBE_S


def test_flapping_service_ends_nobody():
    """Up for half a minute, down for half a minute: everybody gets through, and no outage is stormed."""
    times = [(float(begin), begin + 30.0) for begin in range(0, 3600, 60)]
    sick, process, ended = virtual.run(through(refused, *times))
    outages = [turn for _, turn, _ in process.turns].count(Turn.DOWN)
    assert len(ended) == 1000
    assert 3 <= outages <= 60
    assert len(sick.into_the_outage) <= 8 * outages


def test_retry_after_of_an_outage_is_obeyed():
    """Where each 503 says 90 s, probes come no more often."""
    sick, _, ended = virtual.run(through(busy, (20.0, 2000.0)))
    gaps = [b - a for a, b in itertools.pairwise(sick.into_the_outage[10:])]
    assert len(ended) == 1000
    assert min(gaps) >= 90


def test_same_seed_same_story():
    """A simulation with one seed goes the same way twice."""
    one, other = (virtual.run(through(dropped, (20.0, 900.0), callers=200, seed=7)) for _ in range(2))
    assert one[2] == other[2]
    assert one[0].into_the_outage == other[0].into_the_outage


def test_one_poisoned_patient_among_many():
    """A request that alone fails, as prober too, neither holds the gate closed nor continues for ever."""

    async def main():
        sick = Sick(refused, (10.0, 300.0))

        async def behave(request):
            if request.path == "/poison":
                return web.Response(status=500)
            return await sick.behave(request)

        rate = Rate(10, 1.0)
        async with Server(behave) as server, Process(rate) as process:

            async def patient(number):
                for _ in range(10):
                    await process.call(f"{server.url}/fine", run=f"run{number}")
                    await asyncio.sleep(20)

            poisoned = process.start(process.call(f"{server.url}/poison", run="bad", priority=9))
            await asyncio.gather(*(process.start(patient(number)) for number in range(50)))
            with pytest.raises(PoisonedError):
                await poisoned
        return process, asyncio.get_running_loop().time() - sick.start

    process, seconds = virtual.run(main())
    assert [turn for _, turn, _ in process.turns].count(Turn.DOWN) == 1
    assert seconds <= 300 + LONGEST_PROBE_S + 10 * 20 + 10
