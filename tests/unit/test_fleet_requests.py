"""Several requests to Temporal in parallel."""

import asyncio

import pytest

from docpipe.errors import UnreachableError
from docpipe.fleet.requests import AT_ONCE, all_of


async def test_results_are_in_order() -> None:
    """Whichever ends first; a few at a time."""
    under_way = most = 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(100 - number):
            await asyncio.sleep(0)
        under_way -= 1
        return -number

    assert await all_of(work, range(100)) == [-number for number in range(100)]
    assert most == AT_ONCE
    assert await all_of(work, []) == []


async def test_the_first_failure_ends_what_is_under_way() -> None:
    """Nothing goes on unnoticed, and nothing more begins."""
    begun, ended = [], []

    async def work(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.sleep(0)
            if number == 3:
                raise UnreachableError("away")
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(UnreachableError, match="away"):
        await all_of(work, range(100))
    assert sorted(ended) == begun == list(range(AT_ONCE))
