"""Notifications of ended runs: each is written with the end itself, and removed when it is delivered."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docpipe.checkpoints.schema import reading
from docpipe.checkpoints.writer import Statement

_ADD: Final = """
    INSERT OR IGNORE INTO notifications
        (id, run_id, patient_id, state, counts, retries, created_at, started_at, finished_at)
    SELECT 'msg_' || run_id || '_' || retries,
        run_id, patient_id, state, counts, retries, created_at, started_at, finished_at
    FROM runs WHERE run_id = ? AND finished_at IS NOT NULL
"""
_OLDEST: Final = """
    SELECT id, run_id, patient_id, state, counts, retries, created_at, started_at, finished_at
    FROM notifications ORDER BY finished_at, id LIMIT ?
"""
_MEMBERS: Final = (
    *("id", "run_id", "patient_id", "state", "counts"),
    *("retries", "created_at", "started_at", "finished_at"),
)
_COUNT: Final = "SELECT count(*), min(finished_at) FROM notifications"


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run that waits to be delivered. Times are seconds since the epoch."""

    id: str
    """The same for every attempt to deliver it; a run that is retried ends again, under another id."""
    run_id: str
    patient_id: str
    state: str
    counts: dict[str, int]
    retries: int
    created_at: float
    started_at: float | None
    finished_at: float


class Outbox:
    """The table `notifications`.

    While `enabled` is False, the ends of runs are not noted.
    """

    def __init__(
        self,
        read: Callable[..., Awaitable[list[tuple[Any, ...]]]],
        commit: Callable[..., Awaitable[None]],
    ) -> None:
        self.enabled = False
        self._read = read
        self._commit = commit

    def at_end(self, run_id: str) -> list[Statement]:
        """Make the statements that belong into the transaction in which a run ends."""
        return [(_ADD, (run_id,))] if self.enabled else []

    async def oldest(self, limit: int) -> list[RunEnd]:
        """Return what was not delivered yet, oldest first."""
        return [RunEnd(**_members(row)) for row in await self._read(_OLDEST, limit)]

    async def delivered(self, notification: str) -> None:
        """Remove one that the receiver has confirmed; durable when this returns."""
        await self._commit("DELETE FROM notifications WHERE id = ?", notification)

    async def waiting(self) -> int:
        """Count what was not delivered yet."""
        ((count, _),) = await self._read(_COUNT)
        return int(count)


def _members(row: tuple[Any, ...]) -> dict[str, Any]:
    members = dict(zip(_MEMBERS, row, strict=True))
    return members | {"counts": json.loads(members["counts"])}


def waiting_notifications(folder: Path) -> tuple[int, float | None]:
    """Count the notifications that wait in a state folder, with when the oldest run of them ended.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return 0, None
    with reading(folder) as db:
        count, oldest = db.execute(_COUNT).fetchone()
    return int(count), oldest
