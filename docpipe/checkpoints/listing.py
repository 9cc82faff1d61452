"""Runs by the page, counts and totals, for views of many runs."""

import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from docpipe.checkpoints.schema import RUNS, StoredRun, run_of
from docpipe.model import RunState

_HOUR_S: Final = 3600
_AFTER_Z: Final = "\U0010ffff"

Read = Callable[..., Awaitable[list[tuple[Any, ...]]]]
"""Runs a statement with its values in the reader's thread."""


@dataclass(frozen=True, slots=True)
class Hour:
    """Totals of the runs that ended within an hour."""

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
            prefix: only runs whose id, or whose patient's id, starts with it.
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

    async def of_patient(self, patient_id: str, *, most: int = 1000) -> list[StoredRun]:
        """The runs of one patient, newest first."""
        sql = f"{RUNS} WHERE patient_id = :patient ORDER BY run_id DESC LIMIT :most"
        return [run_of(row) for row in await self._read(sql, {"patient": patient_id, "most": most})]

    async def count(self, states: Collection[RunState] = (), prefix: str = "", *, most: int = 100_000) -> int:
        """Count the runs that match, up to `most`."""
        if not prefix:
            counts = await self.counts()
            return min(sum(counts[state] for state in set(states or RunState)), most)
        where, values = _condition(states, prefix)
        sql = f"SELECT count(*) FROM (SELECT 1 FROM runs {_where(where)} LIMIT :most)"  # noqa: S608 -- constants
        ((count,),) = await self._read(sql, values | {"most": most})
        return int(count)

    async def counts(self) -> dict[RunState, int]:
        """Count the runs in each state."""
        rows = await self._read("SELECT state, runs FROM run_counts")
        return {RunState(state): count for state, count in rows}

    async def ended(self, since: float, until: float | None = None) -> list[Hour]:
        """Return totals by the hour from `since` up to `until`, without hours in which nothing ended."""
        sql = f"""
            SELECT CAST(finished_at / {_HOUR_S} AS INTEGER) * {_HOUR_S} AS start, count(*),
                sum((SELECT coalesce(sum(value), 0) FROM json_each(counts)))
            FROM runs WHERE finished_at >= :since AND (:until IS NULL OR finished_at < :until)
            GROUP BY start ORDER BY start
        """  # noqa: S608 -- a constant
        rows = await self._read(sql, {"since": since, "until": until})
        return [Hour(float(start), runs, documents) for start, runs, documents in rows]


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
