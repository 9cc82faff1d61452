"""The clock of the grants: it counts the time since this machine was booted, which nobody can set.

The wall clock may be set forwards or backwards at any time, also between the end of a process and the start
of the next one. Were the age of a request taken from it, a step forwards would free places of a quota too
soon. So the table `clock` keeps, beside the id of the boot, by how much the clock of the grants was ahead of
the time since that boot. A later process of the same boot continues that clock. After another boot, or on
another machine, nobody knows how much time has passed: the clock continues where it stood, so that a quota
may wait for one window, and never more.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from docpipe.model import Clock

CLOCKS: Final = """
ALTER TABLE schedules ADD COLUMN next_at REAL; -- when its next patient is due
ALTER TABLE process ADD COLUMN at REAL; -- `alive` is by the wall clock, this by the clock of the grants
CREATE TABLE clock (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    boot_id TEXT NOT NULL,
    ahead   REAL NOT NULL, -- seconds by which it is ahead of the time since that boot
    lowest  REAL NOT NULL  -- it has had this value, so it is not earlier
);
CREATE TABLE retention ( -- which time is believed, before anything is deleted for its age; see pruning.py
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    believed REAL NOT NULL,
    doubted  REAL -- when the clock was first seen far ahead of that
);
"""
"""The tables of clocks, since version 6."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_SET_S: Final = 1.0
"""By how much the wall clock has to differ before the stored times follow it."""
_LATEST: Final = """
    SELECT max(t) FROM (
        SELECT lowest AS t FROM clock UNION ALL SELECT coalesce(at, alive) FROM process
        UNION ALL SELECT at FROM grants WHERE answered IS NOT at -- a spent place may lie in the future
    )
"""


def boot_id() -> str | None:
    """The id of this boot of the machine, None where the system has none."""
    try:
        return _BOOT_ID.read_text("ascii").strip() or None
    except OSError:
        return None


def grant_clock(db: sqlite3.Connection, wall: Clock) -> Clock:
    """The clock of the grants for this process: it begins at the wall clock, and no step of that reaches it.

    Stored times are moved along, so that the age of each grant is what it was. Call inside the event loop
    whose time the quotas use (CLOCK_MONOTONIC: it stands still while the machine sleeps, so that a grant
    seems younger than it is, and never older).

    Args:
        db: the open database, written in one transaction.
        wall: the wall clock.

    Raises:
        sqlite3.Error: if the database cannot be written.
    """
    since_boot, boot, now = asyncio.get_running_loop().time, boot_id(), wall()
    row = db.execute("SELECT boot_id, ahead FROM clock").fetchone()
    latest: float | None = db.execute(_LATEST).fetchone()[0]
    if latest is None:
        before = now  # nothing is stored that has an age
    elif row is None or (boot is not None and row[0] != boot):
        before = latest
    else:
        before = max(latest, now if boot is None else since_boot() + row[1])
    moved = now - before if abs(now - before) >= _SET_S else 0.0
    ahead = before + moved - since_boot()
    db.execute("BEGIN IMMEDIATE")
    try:
        if moved:
            db.execute("UPDATE grants SET at = at + ?1, answered = answered + ?1", (moved,))
        db.execute("UPDATE process SET at = coalesce(at, alive) + ?", (moved,))
        db.execute(_SET, (boot or "", ahead, before + moved))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return _ahead_of(since_boot, ahead)


_SET: Final = """
    INSERT INTO clock (id, boot_id, ahead, lowest) VALUES (1, ?, ?, ?)
    ON CONFLICT DO UPDATE SET boot_id = excluded.boot_id, ahead = excluded.ahead, lowest = excluded.lowest
"""


def _ahead_of(since_boot: Callable[[], float], ahead: float) -> Clock:
    return lambda: since_boot() + ahead
