"""Asks Temporal, also while it is away for a moment, and many things a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from temporalio.service import RPCError, RPCStatusCode

from docpipe.errors import UnreachableError

AT_ONCE: Final = 16
_AWAY: Final = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 0.0)

_T = TypeVar("_T")
_P = TypeVar("_P")


async def all_of(work: Callable[[_P], Awaitable[_T]], each: Sequence[_P]) -> list[_T]:
    """Do something with each, a few at a time; the results are in the same order."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(value: _P) -> _T:
        async with slots:
            return await work(value)

    return list(await asyncio.gather(*map(one, each)))


async def answered(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Ask Temporal, for as long as it is away for a while.

    Raises:
        UnreachableError: if it is away for longer.
    """
    for pause in _PAUSES:
        try:
            return await ask()
        except RPCError as error:
            if error.status not in _AWAY:
                raise
            reason = error
        await asyncio.sleep(pause)
    raise UnreachableError(
        f"Temporal does not answer ({reason.message}): start it; runs continue as soon as it is back."
    ) from reason


def moment_of(when: float) -> str:
    """A time in a query."""
    return quoted(datetime.fromtimestamp(when, UTC).isoformat())


def quoted(text: str) -> str:
    """A text in a query; what names workflows here has no quotes."""
    return f"'{text}'"
