"""Several processes and one quota: at most n in any window at the server, whatever is killed or stopped."""

import asyncio
from itertools import pairwise

import pytest
from aiohttp import web

from docpipe.gates.shared import LEASE_S
from docpipe.model import Rate
from tests.shared_quota import crowd

RATE = Rate(10, 1.0)


async def test_latency_jitter_and_haste():
    """Answers take up to 2 s, and every fifth caller gives up soon after it has sent."""
    async with crowd(RATE, latency=lambda rng: rng.uniform(0, 2), hasty=0.2) as many:
        await many.arrive(60)
    assert many.worst <= RATE.n


async def test_processes_are_killed():
    """What a killed process holds runs out with its lease; the others continue meanwhile."""
    async with crowd(RATE) as many:
        for _ in range(6):
            await many.arrive(5)
            many.kill_one()
        await many.arrive(20)
    assert many.worst <= RATE.n


async def test_processes_stand_still():
    """One that stood still for longer than its lease sends nothing under grants of before."""
    async with crowd(RATE) as many:
        await many.arrive(10)
        for seconds in (0.5, LEASE_S + 2):
            with many.one_stands_still():
                await asyncio.sleep(seconds)
            await many.arrive(20)
    assert many.worst <= RATE.n


@pytest.mark.parametrize("how", ["killed", "emptied"])
async def test_the_store_forgets(how):
    """What is spent is unknown: nothing is sent for a lease and a window."""
    async with crowd(RATE) as many:
        await many.arrive(30)
        if how == "killed":
            many.store.kill()
            many.store.start()
        else:
            many.store.empty()
        before = len(many.server.seen) - 1
        await many.arrive(40)  # more than were granted before and may still arrive
        pauses = [later - earlier for earlier, later in pairwise(many.server.seen[before:])]
        assert max(pauses) >= LEASE_S / 2  # a busy machine delivers late what was granted before
    assert many.worst <= RATE.n


async def test_nothing_is_sent_while_the_store_is_away():
    """A store that stands still, and one that is down, let nobody go; afterwards all continues."""
    async with crowd(RATE) as many:
        await many.arrive(30)
        with many.store.standing_still():
            await many.quiet(1.5)  # answers that were on their way are in
            before = len(many.server.seen)
            await asyncio.sleep(3.0)
            assert len(many.server.seen) == before
        await many.arrive(20)
        many.store.kill()
        await many.quiet(1.5)
        before = len(many.server.seen)
        await asyncio.sleep(3.0)
        assert len(many.server.seen) == before
        many.store.start()
        await many.arrive(20)
    assert many.worst <= RATE.n


async def test_one_probe_for_all_processes():
    """During an outage all processes together send one probe at a time; once it is answered all continue."""
    works = asyncio.Event()
    works.set()

    async def behave(_request):
        return web.json_response({}) if works.is_set() else web.Response(status=503)

    async with crowd(RATE, behave=behave) as many:
        await many.arrive(30)
        works.clear()
        await many.quiet(2.0)  # what is under way fails, and trips the gate
        before = len(many.server.seen)
        await asyncio.sleep(12.0)  # probes after 5 and 10 s, each 25% earlier at most
        assert len(many.server.seen) - before <= 3
        works.set()
        await many.arrive(30)
    assert many.worst <= RATE.n


async def test_priority_counts_across_processes():
    """Callers of a higher priority go first, whichever process they wait in."""
    async with crowd(Rate(2, 1.0), new=True) as many:  # all of them have started when it opens
        await many.arrive(24)
    urgent = [request.query["priority"] for request in many.server.requests]
    assert urgent.count("1") > len(urgent) - 4
    assert len({request.query["process"] for request in many.server.requests}) == 3
