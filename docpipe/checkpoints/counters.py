"""How many runs are in each state, kept by triggers, so that many runs are counted without reading them.

Every statement that adds, changes or deletes runs counts within its own transaction: the numbers are right
after a crash, too. A database without the table or one of its triggers is counted anew when it is opened.
"""

import sqlite3
from typing import Final

from docpipe.model import RunState

_ADD: Final = "UPDATE run_counts SET runs = runs + 1 WHERE state = NEW.state;"
_SUBTRACT: Final = "UPDATE run_counts SET runs = runs - 1 WHERE state = OLD.state;"
_TRIGGERS: Final = {
    "run_added": f"AFTER INSERT ON runs BEGIN {_ADD} END",
    "run_changed": (
        f"AFTER UPDATE OF state ON runs WHEN NEW.state <> OLD.state BEGIN {_ADD} {_SUBTRACT} END"
    ),
    "run_removed": f"AFTER DELETE ON runs BEGIN {_SUBTRACT} END",
}
_STATES: Final = ",".join(f"('{state}')" for state in RunState)
COUNTERS: Final = f"""
CREATE TABLE run_counts (state TEXT PRIMARY KEY, runs INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO run_counts
    SELECT column1, (SELECT count(*) FROM runs WHERE state = column1) FROM (VALUES {_STATES});
{"".join(f"CREATE TRIGGER {name} {what};" for name, what in _TRIGGERS.items())}
"""  # noqa: S608 -- constants only
"""The table and its triggers, since version 7. Every state has a row."""
_PARTS: Final = ("run_counts", *_TRIGGERS)
_ANEW: Final = (
    "BEGIN IMMEDIATE; DROP TABLE IF EXISTS run_counts; "
    f"{''.join(f'DROP TRIGGER IF EXISTS {name};' for name in _TRIGGERS)} {COUNTERS} COMMIT;"
)


def complete_counters(db: sqlite3.Connection) -> None:
    """Count all runs where the table or a trigger is missing."""
    marks = ",".join("?" * len(_PARTS))
    sql = f"SELECT count(*) FROM sqlite_master WHERE name IN ({marks})"  # noqa: S608 -- question marks
    if db.execute(sql, _PARTS).fetchone()[0] < len(_PARTS):
        db.executescript(_ANEW)
