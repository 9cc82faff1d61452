"""The requests that count against quotas across restarts, and when a process was last alive."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from docpipe.checkpoints.schema import Grant
from docpipe.model import Clock

_ALIVE: Final = """
    INSERT INTO process (id, alive, at) VALUES (1, ?, ?)
    ON CONFLICT DO UPDATE SET alive = excluded.alive, at = excluded.at
"""
_NOTE_CLOCK: Final = "UPDATE clock SET lowest = ?"
_KEEP_S: Final = 2 * 3600.0  # the longest window is an hour
_PRUNE_EVERY: Final = 1000


class GrantLedger:
    """See gates.Ledger: the tables `grants`, `process` and `clock` of the checkpoint database.

    Args:
        read: runs a query.
        put: writes soon; a crash may lose it.
        commit: writes, and returns when it is on the disk.
        clock: the wall clock.
        now: the clock of the grants; see boottime.py.
        last: the largest id of a grant so far.
    """

    def __init__(
        self,
        read: Callable[..., Awaitable[list[tuple[Any, ...]]]],
        put: Callable[..., None],
        commit: Callable[..., Awaitable[None]],
        clock: Clock,
        *,
        now: Clock,
        last: int,
    ) -> None:
        self.now = now
        self._read = read
        self._put = put
        self._commit = commit
        self._clock = clock
        self._last = last

    async def granted(self, quota: str, at: float) -> int:
        """Note a request that is about to be sent; durable when this returns."""
        self._last += 1
        grant = self._last
        if grant % _PRUNE_EVERY == 0:
            self._prune(at)
        await self._commit("INSERT INTO grants (id, quota, at) VALUES (?, ?, ?)", grant, quota, at)
        return grant

    def answered(self, quota: str, grant: int, at: float) -> None:
        """Note when a request was answered or given up."""
        self._put("UPDATE grants SET answered = ? WHERE id = ? AND quota = ?", at, grant, quota)

    def spent(self, quota: str, at: float) -> None:
        """Note a request that was answered or given up, where no grant was noted."""
        self._last += 1
        self._prune(at)
        insert = "INSERT INTO grants (id, quota, at, answered) VALUES (?, ?, ?, ?)"
        self._put(insert, self._last, quota, at, at)

    def _prune(self, now: float) -> None:
        self._put("DELETE FROM grants WHERE at < ?", now - _KEEP_S)

    def settled(self, quota: str, at: float) -> None:
        """Note for all requests without an answer that they were given up then."""
        self._put("UPDATE grants SET answered = ? WHERE quota = ? AND answered IS NULL", at, quota)

    async def grants(self, quota: str, since: float) -> list[Grant]:
        """The requests sent or answered since then, oldest first."""
        rows = await self._read(
            "SELECT at, answered FROM grants WHERE quota = ? AND coalesce(answered, at) >= ? ORDER BY id",
            quota,
            since,
        )
        return [Grant(*row) for row in rows]

    def note_alive(self) -> None:
        """Note that this process runs, and may have spent places of every quota."""
        now = self.now()
        self._put(_ALIVE, self._clock(), now)
        self._put(_NOTE_CLOCK, now)

    async def begin_life(self) -> None:
        """The same, before this process spends anything; durable when this returns."""
        now = self.now()
        self._put(_NOTE_CLOCK, now)
        await self._commit(_ALIVE, self._clock(), now)

    def end_life(self) -> None:
        """Note, after what quotas have noted, that this process stops and all it spent is known."""
        self._put(_NOTE_CLOCK, self.now())
        self._put("DELETE FROM process")

    async def last_alive(self) -> float | None:
        """When an earlier process was last alive, None if there was none or it stopped cleanly."""
        rows = await self._read("SELECT coalesce(at, alive) FROM process")
        return rows[0][0] if rows else None
