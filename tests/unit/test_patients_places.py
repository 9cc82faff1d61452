"""How many connections are used at the same time, where a pooler has fewer than the pool."""

import asyncio
import contextlib

import pytest

from docpipe.patients.places import ANOTHER_S, Places


class Pooler:
    """Serves so many at the same time, and lets the others wait without a word."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = 0

    async def look_up(self, places: Places) -> bool:
        """Whether a look-up came through, within a second."""
        with contextlib.suppress(TimeoutError):
            async with places.place(), asyncio.timeout(1.0):
                while self.held >= self.size:
                    await asyncio.sleep(5)
                self.held += 1
                await asyncio.sleep(0.01)
                self.held -= 1
                return True
        return False


@pytest.mark.virtual
async def test_places_become_as_many_as_the_pooler_has() -> None:
    """Those that were not served cost one place each; then all are served, and later one more is tried."""
    pooler = Pooler(2)
    places = Places(5)
    first = await asyncio.gather(*(pooler.look_up(places) for _ in range(30)))
    assert (first.count(False), places.most, places.scarce) == (3, 2, True)
    assert all(await asyncio.gather(*(pooler.look_up(places) for _ in range(30))))
    await asyncio.sleep(ANOTHER_S)
    assert await pooler.look_up(places)
    assert places.most == 3


@pytest.mark.virtual
async def test_an_outage_costs_no_place() -> None:
    """Where nobody is served, the database is down, and the pool is not to blame."""
    pooler = Pooler(0)
    places = Places(5)
    assert not any(await asyncio.gather(*(pooler.look_up(places) for _ in range(5))))
    assert (places.most, places.scarce) == (5, False)


@pytest.mark.virtual
async def test_one_place_stays() -> None:
    """However many look-ups run out of time."""
    pooler = Pooler(1)
    places = Places(2)
    for _ in range(3):
        await asyncio.gather(*(pooler.look_up(places) for _ in range(4)))
    assert places.most == 1
    assert await pooler.look_up(places)
