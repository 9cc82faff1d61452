"""The virtual loop itself: where it is used, and what it promises."""

import asyncio

import pytest

from tests import virtual


async def test_unmarked_tests_run_on_the_usual_loop():
    """Only tests that ask for virtual time get it."""
    assert not isinstance(asyncio.get_running_loop(), virtual.VirtualLoop)


@pytest.mark.virtual
async def test_a_day_passes_in_no_time():
    """The clock jumps to the next timer, and the wall clock goes with it."""
    loop, wall = asyncio.get_running_loop(), virtual.wall_clock()
    start = loop.time()
    await asyncio.sleep(86400)
    assert loop.time() - start == pytest.approx(86400)
    assert virtual.wall_clock() - wall == pytest.approx(86400)


@pytest.mark.virtual
async def test_executors_take_no_virtual_time():
    """The clock stands still while something runs in an executor."""
    start = asyncio.get_running_loop().time()
    assert await asyncio.to_thread(lambda: 42) == 42
    assert asyncio.get_running_loop().time() - start < 0.001


def test_deadlock_is_reported():
    """Where nothing can ever happen the test fails instead of hanging."""
    with pytest.raises(virtual.Deadlock):
        virtual.run(asyncio.Event().wait())
