"""Runs that another engine keeps, as rows in memory, so that the same SQL lists them."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from docpipe.checkpoints.listing import Listing
from docpipe.checkpoints.schema import RUNS, StoredRun, make_tables, run_of

_PUT: Final = """
    INSERT INTO runs (run_id, patient_id, priority, state, created_at, started_at, finished_at,
        task_id, error, counts, retries, retried_from)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET patient_id = excluded.patient_id, priority = excluded.priority,
        state = excluded.state, created_at = excluded.created_at, started_at = excluded.started_at,
        finished_at = excluded.finished_at, task_id = excluded.task_id, error = excluded.error,
        counts = excluded.counts, retries = excluded.retries, retried_from = excluded.retried_from
"""
_T = TypeVar("_T")


class Mirror:
    """The rows. They are gone with the process. Made and used inside one event loop."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        make_tables(self._db, Path(":memory:"))
        # The end of a run and the begin of the patient's next one may come to be known in any order.
        self._db.execute("DROP INDEX one_unfinished_run_a_patient")
        self._thread = ThreadPoolExecutor(1, "mirror")
        self.listing = Listing(self._read)

    async def close(self) -> None:
        """Forget all."""
        await self._in_thread(self._db.close)
        self._thread.shutdown(wait=False)

    async def put(self, runs: Iterable[StoredRun]) -> None:
        """Add runs, or write them anew."""
        rows = [_row(run) for run in runs]

        def write() -> None:
            self._db.execute("BEGIN")
            self._db.executemany(_PUT, rows)
            self._db.execute("COMMIT")

        await self._in_thread(write)

    async def drop(self, run_ids: Sequence[str]) -> None:
        """Remove runs."""
        sql = "DELETE FROM runs WHERE run_id IN (SELECT value FROM json_each(?))"
        await self._read(sql, [json.dumps(list(run_ids))])

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Those of these runs that are known, oldest first."""
        sql = f"{RUNS} WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY run_id"  # noqa: S608 -- a constant
        return [run_of(row) for row in await self._read(sql, [json.dumps(list(run_ids))])]

    async def _read(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return await self._in_thread(lambda: self._db.execute(sql, values).fetchall())

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _row(run: StoredRun) -> tuple[Any, ...]:
    times = (run.created_at, run.started_at, run.finished_at)
    rest = (run.task_id, run.error, json.dumps(run.counts), run.retries, run.retried_from)
    return (run.run_id, run.patient_id, run.priority, run.state, *times, *rest)
