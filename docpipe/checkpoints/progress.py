"""Progress of unfinished runs: their task, and their documents by outcome."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from docpipe.checkpoints.schema import StoredRun, reading
from docpipe.model import Activity

_TASKS: Final = """
    SELECT run_id, json_extract(result, '$.task_id') FROM steps
    WHERE activity = :task AND run_id IN (SELECT value FROM json_each(:runs))
"""
_CONVERTED: Final = """
    SELECT run_id, json_extract(result, '$.outcome') AS outcome, count(*) FROM steps
    WHERE activity = :convert AND outcome IS NOT NULL AND run_id IN (SELECT value FROM json_each(:runs))
    GROUP BY run_id, outcome
"""
_SETTLED: Final = """
    SELECT steps.run_id, json_extract(member.value, '$.outcome') AS outcome, count(*)
    FROM steps, json_each(steps.result, '$.members') AS member
    WHERE activity = :download AND outcome IS NOT NULL
        AND steps.run_id IN (SELECT value FROM json_each(:runs))
        AND NOT EXISTS (
            SELECT 1 FROM steps AS conversion WHERE conversion.run_id = steps.run_id
            AND conversion.activity = :convert AND conversion.item = printf('%05d', member.key + 1)
            AND conversion.result IS NOT NULL
        )
    GROUP BY steps.run_id, outcome
"""
"""Files whose outcome is known without a conversion, and that were not converted."""
_NAMES: Final = {"task": Activity.CREATE_TASK, "convert": Activity.CONVERT, "download": Activity.DOWNLOAD}


def with_progress(db: sqlite3.Connection, runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Return the same runs; unfinished ones with the `task_id` and `counts` so far."""
    unfinished = [run.run_id for run in runs if not run.state.finished]
    if not unfinished:
        return list(runs)
    given = {**_NAMES, "runs": json.dumps(unfinished)}
    tasks = dict(db.execute(_TASKS, given))
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for sql in (_CONVERTED, _SETTLED):
        for run_id, outcome, number in db.execute(sql, given):
            counts[run_id][outcome] = counts[run_id].get(outcome, 0) + number
    return [
        run if run.state.finished else replace(run, task_id=tasks.get(run.run_id), counts=counts[run.run_id])
        for run in runs
    ]


def read_with_progress(folder: Path, runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Like `with_progress`, without disturbing the process that owns the folder.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    if all(run.state.finished for run in runs):
        return list(runs)
    with reading(folder) as db:
        return with_progress(db, runs)
