"""The patients of a schedule, as the database or the file lists them now."""

from pathlib import Path
from typing import Final

import structlog

from docpipe.config.schedule import EVERYBODY, Schedule, is_condition
from docpipe.errors import UsageError
from docpipe.patients import Filter, PatientDatabase, is_impossible_id, read_ids

log = structlog.get_logger(__name__)

_KEY: Final = "schedule.patients"
"""Where conditions are written, for messages."""


async def members_of(schedule: Schedule, folder: Path, database: PatientDatabase) -> list[str]:
    """Return the patients' ids; rows without a usable one are left out and counted in the log.

    Args:
        schedule: its `patients` are everybody, those who meet conditions, or those in a file.
        folder: from which the path of a file starts.
        database: of patients.

    Raises:
        UsageError: if the file or a condition cannot be used.
        PatientError: if the database cannot list patients.
        DatabaseDownError: if it cannot be reached.
    """
    ids, refused = dict[str, None](), 0

    def note(patient_id: str) -> None:
        nonlocal refused
        text = patient_id.strip()
        if text and text.isprintable() and not is_impossible_id(text):
            ids[text] = None
        else:
            refused += 1

    first = schedule.patients[0]
    if first != EVERYBODY and not is_condition(first):
        for _, patient_id in await read_ids(folder / first):
            note(patient_id)
        if not ids:
            raise UsageError(f"{folder / first} names no patient.")
    else:
        filters = [] if first == EVERYBODY else [Filter.parse(text, _KEY) for text in schedule.patients]
        await database.each(lambda row: note(row["id"]), filters)
    if refused:
        log.warning("patients_left_out", schedule=schedule.name, rows=refused, reason="no usable id")
    return list(ids)
