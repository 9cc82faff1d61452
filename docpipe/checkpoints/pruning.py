"""Deletes old runs, so that the database of a service does not grow without bound."""

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

_DAY_S: Final = 86400.0
_CREDIBLE_S: Final = 3 * _DAY_S
_CONFIRMED_S: Final = 60 * _DAY_S
"""A clock that is seen this much later was set again."""
_BELIEVED: Final = "SELECT believed, doubted FROM retention"
_BELIEVE: Final = """
    INSERT INTO retention (id, believed, doubted) VALUES (1, ?, ?)
    ON CONFLICT DO UPDATE SET believed = excluded.believed, doubted = excluded.doubted
"""
_AT_ONCE: Final = 50  # runs in one transaction: a checkpoint waits about 20 ms for it
_PAUSE_S: Final = 0.05
_FREE_PART: Final = 4  # free pages are returned to the disk when they are more than a quarter
_PAGES_AT_ONCE: Final = 1000
# A clock that was set back for the end of a run does not make it old.
_OLD: Final = f"finished_at < :before AND created_at < :before AND NOT {UNFINISHED}"
_FIND: Final = f"SELECT run_id FROM runs WHERE {_OLD} ORDER BY finished_at LIMIT :limit"  # noqa: S608 -- constants
_THESE: Final = f"SELECT run_id FROM runs WHERE run_id IN (SELECT value FROM json_each(:runs)) AND {_OLD}"  # noqa: S608 -- likewise
_DELETE_STEPS: Final = f"DELETE FROM steps WHERE run_id IN ({_THESE})"  # noqa: S608 -- likewise
_DELETE_RUNS: Final = f"DELETE FROM runs WHERE run_id IN ({_THESE})"  # noqa: S608 -- likewise


async def believed(checkpoints: "Checkpoints", now: float) -> float:
    """Return the time by which runs are old, in seconds since the epoch; never later than `now`.

    A clock that was set far ahead would make every run old. So a time that is more than three days beyond
    the last one believed is believed only once the clock has been there for a day.

    Args:
        checkpoints: where the times are kept.
        now: what the wall clock shows.

    Raises:
        StateError: if the database refuses the change.
    """
    try:
        rows = await checkpoints.read(_BELIEVED)
        last, doubted = rows[0] if rows else (None, None)
        if last is None:
            ((last,),) = await checkpoints.read(
                "SELECT min(min(created_at, coalesce(finished_at, created_at))) FROM runs"
            )
        if last is None or now <= last + _CREDIBLE_S or (doubted and _DAY_S <= now - doubted <= _CONFIRMED_S):
            last, doubted = now, None
        elif doubted is None or not 0 <= now - doubted < _DAY_S:
            doubted = now
            log.warning("clock_far_ahead", believed=last, now=now, effect="no old run is deleted for a day")
        await checkpoints.commit_all((_BELIEVE, (last, doubted)))
    except sqlite3.Error as error:
        raise StateError(f"The time of the last clean-up cannot be noted: {error}.") from error
    return float(last)


async def prune(checkpoints: "Checkpoints", before: float) -> int:
    """Delete runs that ended before then, with their steps, and shrink the file; returns how many runs.

    Works in small transactions with pauses between them, so that active runs are not delayed.

    Raises:
        StateError: if the database refuses the change.
    """
    try:
        return await _prune(checkpoints, before)
    except sqlite3.Error as error:
        raise StateError(f"Old runs cannot be deleted: {error}.") from error


async def _prune(checkpoints: "Checkpoints", before: float) -> int:
    deleted = 0
    while rows := await checkpoints.read(_FIND, {"before": before, "limit": _AT_ONCE}):
        these = {"before": before, "runs": json.dumps([run_id for (run_id,) in rows])}
        await checkpoints.commit_all((_DELETE_STEPS, these), (_DELETE_RUNS, these))
        deleted += len(rows)
        await asyncio.sleep(_PAUSE_S)
    shrinking = True
    while shrinking:
        shrinking = await checkpoints.writer.exclusive(_free_pages)
        await asyncio.sleep(_PAUSE_S)
    if deleted:
        log.info("runs_deleted", runs=deleted)
    return deleted


def _free_pages(db: sqlite3.Connection) -> bool:
    """Return free pages at the end of the file to the disk; returns whether there are more."""
    free = db.execute("PRAGMA freelist_count").fetchone()[0]
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    if free * _FREE_PART <= pages or free < _PAGES_AT_ONCE:
        return False
    # The pragma frees a page per step, and `execute` takes one step of a statement without columns.
    db.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
    return bool(db.execute("PRAGMA freelist_count").fetchone()[0] < free)
