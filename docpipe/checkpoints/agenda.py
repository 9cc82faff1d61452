"""Progress of schedules: which runs have begun, and which schedules are paused."""

import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docpipe.checkpoints.schema import reading
from docpipe.checkpoints.writer import Statement

_ROWS: Final = "SELECT name, until, last_at, begun, round, paused, next_at FROM schedules"
_BEGUN: Final = """
    UPDATE schedules SET until = :until, last_at = :now, round = :round,
        begun = :runs + CASE WHEN round IS :round THEN begun ELSE 0 END
    WHERE name = :name
"""


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A row of `schedules`. Times are seconds since the epoch."""

    name: str
    until: float
    """All that was due by then has begun."""
    last_at: float | None = None
    """When runs were last begun."""
    begun: int = 0
    """How many runs of the round that started at `round` have begun."""
    round: float | None = None
    paused: float | None = None
    """Since when a person has paused it."""
    next_at: float | None = None
    """When its next patient was due, as the service that follows it has noted."""


class Agenda:
    """The table `schedules`."""

    def __init__(
        self,
        read: Callable[..., Awaitable[list[tuple[Any, ...]]]],
        commit: Callable[..., Awaitable[None]],
    ) -> None:
        self._read = read
        self._commit = commit

    async def open(self, names: Collection[str], now: float) -> dict[str, StoredSchedule]:
        """Return the schedules of these names; new ones start now, and others are removed."""
        listed = json.dumps(list(names))
        await self._commit("DELETE FROM schedules WHERE name NOT IN (SELECT value FROM json_each(?))", listed)
        await self._commit(
            "INSERT OR IGNORE INTO schedules (name, until) SELECT value, ? FROM json_each(?)", now, listed
        )
        return {row[0]: StoredSchedule(*row) for row in await self._read(_ROWS)}

    async def one(self, name: str) -> StoredSchedule:
        """Return the row of an open schedule."""
        (row,) = await self._read(f"{_ROWS} WHERE name = ?", name)
        return StoredSchedule(*row)

    async def mine(self, name: str) -> bool:  # noqa: ARG002 -- as of schedule.Agenda
        """True: one process has a state folder."""
        return True

    def begun(self, name: str, *, until: float, now: float, round_start: float, runs: int) -> Statement:
        """Make the statement that notes the runs just begun; it belongs into their transaction."""
        return _BEGUN, {"name": name, "until": until, "now": now, "round": round_start, "runs": runs}

    async def note_next(self, name: str, next_at: float | None) -> None:
        """Note when the next patient is due, for `status` in another process."""
        await self._commit("UPDATE schedules SET next_at = ? WHERE name = ?", next_at, name)

    async def pause(self, name: str, now: float) -> None:
        """Pause a schedule; durable when this returns."""
        await self._commit("UPDATE schedules SET paused = coalesce(paused, ?) WHERE name = ?", now, name)

    async def unpause(self, name: str, now: float) -> None:
        """End a pause; what was due meanwhile is left out. Durable when this returns."""
        await self._commit(
            "UPDATE schedules SET paused = NULL, until = max(until, ?) WHERE name = ? AND paused IS NOT NULL",
            now,
            name,
        )


def read_schedules(folder: Path) -> list[StoredSchedule]:
    """Read the schedules of a state folder without disturbing its owner.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return []
    with reading(folder) as db:
        return [StoredSchedule(*row) for row in db.execute(f"{_ROWS} ORDER BY name")]
