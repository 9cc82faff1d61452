"""Answers that many request at about the same time are made once, and never sent when out of date."""

import asyncio

import pytest

from docpipe.web.shared import FRESH_S, Shared

pytestmark = pytest.mark.virtual


class Maker:
    """Makes bodies, each in a second, and counts them."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def __call__(self) -> bytes:
        self.made += 1
        mine = self.made
        await asyncio.sleep(1)
        if self.fails:
            raise LookupError(mine)
        return b"%d" % mine


async def test_many_are_given_what_was_made_once() -> None:
    """All requests for the same before it is there share it; others have their own."""
    shared, make = Shared(), Maker()
    bodies = await asyncio.gather(*(shared.of("a", make) for _ in range(50)), shared.of("b", make))
    assert bodies == [b"1"] * 50 + [b"2"]


async def test_it_is_kept_for_a_moment_only() -> None:
    """Counted from when it was begun; nothing is left of it then."""
    shared = Shared()

    async def make() -> bytes:
        return b"%f" % asyncio.get_running_loop().time()

    first = await shared.of("a", make)
    await asyncio.sleep(FRESH_S - 0.01)
    assert await shared.of("a", make) == first
    await asyncio.sleep(0.02)
    assert not shared._made
    assert await shared.of("a", make) != first


async def test_what_took_long_is_not_kept() -> None:
    """It tells of when it was begun."""
    shared, make = Shared(), Maker()
    assert await shared.of("a", make) == b"1"
    assert not shared._made
    assert await shared.of("a", make) == b"2"


async def test_a_change_outdates_also_what_is_being_made() -> None:
    """A request before the change gets the old answer, one after it the new one; the old one is not kept."""
    shared, make = Shared(), Maker()
    before = asyncio.create_task(shared.of("a", make))
    await asyncio.sleep(0.5)
    shared.invalidate()
    after = asyncio.create_task(shared.of("a", make))
    assert await before == b"1"
    late = asyncio.create_task(shared.of("a", make))
    assert (await after, await late) == (b"2", b"2")


async def test_who_fails_does_so_alone() -> None:
    """The next makes its own; the one after it is given that."""
    shared, make = Shared(), Maker()
    make.fails = True
    first = asyncio.create_task(shared.of("a", make))
    await asyncio.sleep(0.5)
    others = [asyncio.create_task(shared.of("a", make)) for _ in range(3)]
    with pytest.raises(LookupError):
        await first
    make.fails = False
    assert await asyncio.gather(*others) == [b"2"] * 3


async def test_who_leaves_takes_nobody_along() -> None:
    """A waiting request that leaves does not affect others; if the one at work leaves, another takes over."""
    shared, make = Shared(), Maker()
    first, second, third = (asyncio.create_task(shared.of("a", make)) for _ in range(3))
    await asyncio.sleep(0.5)
    second.cancel()
    assert await first == b"1"
    assert await third == b"1"
    await asyncio.sleep(1)
    first, second = (asyncio.create_task(shared.of("a", make)) for _ in range(2))
    await asyncio.sleep(0.5)
    first.cancel()
    assert await second == b"3"
    assert first.cancelled()
