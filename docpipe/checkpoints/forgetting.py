"""Deletes the runs of one patient from a checkpoint database, in one transaction."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Final

from docpipe.checkpoints.schema import connect
from docpipe.errors import StateError, UsageError

_FORGOTTEN: Final = '"(forgotten)"'
_UNFINISHED: Final = (
    "SELECT 1 FROM runs WHERE patient_id = :patient AND state IN ('queued', 'running', 'cancelling')"
)
_STATEMENTS: Final = (
    "DELETE FROM steps WHERE run_id IN (SELECT run_id FROM runs WHERE patient_id = :patient)",
    "DELETE FROM runs WHERE patient_id = :patient",
    "DELETE FROM notifications WHERE patient_id = :patient",
)
_RUNS: Final = "SELECT run_id FROM runs WHERE patient_id = :patient"
_ANSWERS: Final = (
    "UPDATE answers SET answer = replace(answer, :quoted, :forgotten) WHERE instr(answer, :quoted)"
)
"""They stay, for other patients: a repeated request must not start their runs again."""


def forget_patient(folder: Path, patient_id: str) -> None:
    """Delete the runs of a patient and their checkpoints, and overwrite the deleted content.

    Raises:
        UsageError: if the patient has an unfinished run; nothing is deleted then.
        StateError: if the database cannot be written.
    """
    path = folder / "checkpoints.db"
    if not path.exists():
        return
    values = {"patient": patient_id, "forgotten": _FORGOTTEN}
    try:
        with contextlib.closing(connect(path)) as db:
            db.execute("BEGIN IMMEDIATE")
            if db.execute(_UNFINISHED, values).fetchone() is not None:
                db.execute("ROLLBACK")
                raise UsageError(f"Patient {patient_id} has an unfinished run: cancel it, then try again.")
            for text in (patient_id, *(run_id for (run_id,) in db.execute(_RUNS, values).fetchall())):
                for quoted in {json.dumps(text), json.dumps(text, ensure_ascii=False)}:
                    db.execute(_ANSWERS, {**values, "quoted": quoted})
            for sql in _STATEMENTS:
                db.execute(sql, values)
            db.execute("COMMIT")
            db.execute("VACUUM")  # pages that were divided keep copies of rows, which no deletion overwrites
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still has the deleted rows
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be written: {error}.") from error
