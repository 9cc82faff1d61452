"""Answers to requests with an idempotency key: a repeated request gets the same answer."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from docpipe.model import Clock

KEPT_S: Final = 7 * 86400.0
"""An answer is remembered this long."""
_REMEMBER: Final = "INSERT OR IGNORE INTO answers (key, at, digest, answer) VALUES (?, ?, ?, ?)"

Read = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Commit = Callable[..., Awaitable[None]]


class Answers:
    """Answers by key."""

    def __init__(self, read: Read, commit: Commit, clock: Clock) -> None:
        self._read = read
        self._commit = commit
        self._clock = clock

    async def remembered(self, key: str) -> tuple[str, str] | None:
        """Return the digest of the request with that key and its answer, None if there is none."""
        rows = await self._read(
            "SELECT digest, answer FROM answers WHERE key = ? AND at >= ?", key, self._clock() - KEPT_S
        )
        return (rows[0][0], rows[0][1]) if rows else None

    async def remember(self, key: str, digest: str, answer: str) -> None:
        """Store an answer unless the key has one; durable when this returns."""
        now = self._clock()
        await self._commit("DELETE FROM answers WHERE at < ?", now - KEPT_S)
        await self._commit(_REMEMBER, key, now, digest, answer)
