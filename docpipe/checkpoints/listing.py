"""Runs by the page, counted and summed up, for those who look at many of them."""

import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from docpipe.checkpoints.schema import RUNS, StoredRun, run_of
from docpipe.model import RunState

_HOUR_S: Final = 3600
_AFTER_Z: Final = "\U0010ffff"

Read = Callable[..., Awaitable[list[tuple[Any, ...]]]]
"""Runs a statement with its values, in the reader's thread."""


@dataclass(frozen=True, slots=True)
class Hour:
    """What ended within an hour."""

    start: float
    """Seconds since the epoch."""
    runs: int
    documents: int


class Listing:
    """Reads many runs; never waits for a writer."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def page(
        self,
        states: Collection[RunState] = (),
        prefix: str = "",
        *,
        newest: bool = True,
        after: StoredRun | None = None,
        limit: int = 50,
    ) -> list[StoredRun]:
        """A page of runs.

        Args:
            states: only runs in one of them; empty for all.
            prefix: only runs whose id or whose patient's id begins so.
            newest: newest first; else by priority, and oldest first within one.
            after: the last run of the page before.
            limit: how many at most.
        """
        where, values = _condition(states, prefix)
        if newest:
            order, beyond = "run_id DESC", "run_id < :run"
        else:
            order, beyond = "priority DESC, run_id", "(-priority, run_id) > (-:priority, :run)"
        if after is not None:
            where.append(beyond)
            values |= {"run": after.run_id, "priority": after.priority}
        sql = f"{RUNS} {_where(where)} ORDER BY {order} LIMIT :limit"
        return [run_of(row) for row in await self._read(sql, values | {"limit": limit})]

    async def count(self, states: Collection[RunState] = (), prefix: str = "", *, most: int = 100_000) -> int:
        """How many runs there are of that kind; no more than `most` are counted."""
        where, values = _condition(states, prefix)
        sql = f"SELECT count(*) FROM (SELECT 1 FROM runs {_where(where)} LIMIT :most)"  # noqa: S608 -- constants
        ((count,),) = await self._read(sql, values | {"most": most})
        return int(count)

    async def counts(self) -> dict[RunState, int]:
        """How many runs are in each state."""
        rows = await self._read("SELECT state, count(*) FROM runs GROUP BY state")
        found = {RunState(state): count for state, count in rows}
        return {state: found.get(state, 0) for state in RunState}

    async def ended_since(self, since: float) -> list[Hour]:
        """What ended since then, by the hour; an hour in which nothing ended is left out."""
        sql = f"""
            SELECT CAST(finished_at / {_HOUR_S} AS INTEGER) * {_HOUR_S} AS start, count(*),
                sum((SELECT coalesce(sum(value), 0) FROM json_each(counts)))
            FROM runs WHERE finished_at >= ? GROUP BY start ORDER BY start
        """  # noqa: S608 -- a constant
        return [
            Hour(float(start), runs, documents) for start, runs, documents in await self._read(sql, since)
        ]


def _condition(states: Collection[RunState], prefix: str) -> tuple[list[str], dict[str, Any]]:
    where, values = [], dict[str, Any]()
    if states:
        where.append("state IN (SELECT value FROM json_each(:states))")
        values["states"] = json.dumps(list(states))
    if prefix:
        # Run ids are upper case; a patient's id is taken as it is.
        where.append(
            "(run_id >= :upper AND run_id < :upper || :z "
            "OR patient_id >= :prefix AND patient_id < :prefix || :z)"
        )
        values |= {"prefix": prefix, "upper": prefix.upper(), "z": _AFTER_Z}
    return where, values


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
