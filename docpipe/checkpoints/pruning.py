"""What is forgotten with age, so that the database of a service does not grow for ever."""

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING, Final

import structlog

from docpipe.checkpoints.schema import UNFINISHED
from docpipe.errors import StateError

if TYPE_CHECKING:
    from docpipe.checkpoints.store import Checkpoints

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 50  # runs in one transaction: who waits for a checkpoint meanwhile waits some 20 ms
_PAUSE_S: Final = 0.05
_FREE_PART: Final = 4  # pages are given back to the disk when more than one in so many is free
_PAGES_AT_ONCE: Final = 1000
_OLD: Final = f"finished_at < :before AND NOT {UNFINISHED}"
_FIND: Final = f"SELECT run_id FROM runs WHERE {_OLD} ORDER BY finished_at LIMIT :limit"  # noqa: S608 -- constants
_THESE: Final = f"SELECT run_id FROM runs WHERE run_id IN (SELECT value FROM json_each(:runs)) AND {_OLD}"  # noqa: S608 -- likewise
_FORGET_STEPS: Final = f"DELETE FROM steps WHERE run_id IN ({_THESE})"  # noqa: S608 -- likewise
_FORGET_RUNS: Final = f"DELETE FROM runs WHERE run_id IN ({_THESE})"  # noqa: S608 -- likewise


async def prune(checkpoints: "Checkpoints", before: float) -> int:
    """Forget runs that ended before then, with their steps, and give the room back; returns how many.

    A few at a time, with pauses between, so that runs under way hardly notice.

    Raises:
        StateError: if the database does not take it.
    """
    try:
        return await _prune(checkpoints, before)
    except sqlite3.Error as error:
        raise StateError(f"Old runs cannot be forgotten: {error}.") from error


async def _prune(checkpoints: "Checkpoints", before: float) -> int:
    forgotten = 0
    while rows := await checkpoints.read(_FIND, {"before": before, "limit": _AT_ONCE}):
        these = {"before": before, "runs": json.dumps([run_id for (run_id,) in rows])}
        await checkpoints.commit_all((_FORGET_STEPS, these), (_FORGET_RUNS, these))
        forgotten += len(rows)
        await asyncio.sleep(_PAUSE_S)
    shrinking = True
    while shrinking:
        shrinking = await checkpoints.writer.alone(_give_back)
        await asyncio.sleep(_PAUSE_S)
    if forgotten:
        log.info("runs_forgotten", runs=forgotten)
    return forgotten


def _give_back(db: sqlite3.Connection) -> bool:
    """Give free pages at the end of the file back to the disk; tells whether there are more."""
    free = db.execute("PRAGMA freelist_count").fetchone()[0]
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    if free * _FREE_PART <= pages or free < _PAGES_AT_ONCE:
        return False
    # It frees a page a step, and `execute` takes a single step of what has no columns.
    db.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
    return bool(db.execute("PRAGMA freelist_count").fetchone()[0] < free)
