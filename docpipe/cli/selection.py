"""Which patients a command names: one by one, in a file, or those of the patients database."""

import argparse
from pathlib import Path
from typing import Final

from docpipe.cli.phrases import warn
from docpipe.config.config import Config
from docpipe.errors import UsageError
from docpipe.patients import Filter, read_ids
from docpipe.wiring.backends import open_patients

_NAMED_LINES: Final = 5


async def selected_patients(args: argparse.Namespace, config: Config) -> list[str]:
    """The patients that the command names.

    Raises:
        UsageError: if there are none, or an id cannot be one.
        PatientError: if the database cannot list them.
        DatabaseDownError: if it cannot be reached.
    """
    patient_ids: list[str] = list(args.patient)
    file: Path | None = getattr(args, "patients", None)
    if file is not None:
        patient_ids += await _ids_in(file)
    if bad := [patient_id for patient_id in patient_ids if not _possible(patient_id)]:
        which = (
            "1 patient id is empty or holds" if len(bad) == 1 else f"{len(bad)} patient ids are empty or hold"
        )
        raise UsageError(
            f"{which} control characters: take it out of the options or the file, and type the command again."
        )
    if args.command == "resume":
        return patient_ids
    filters = [Filter.parse(text) for text in args.where]
    if args.all or filters:
        patient_ids += await _ids_of(config, filters)
    elif not patient_ids:
        raise UsageError(
            "Name a patient with --patient ID, a file of patients with --patients FILE, or those of the "
            "patients database with --all or --where COLUMN=VALUE."
        )
    return patient_ids


def _possible(patient_id: str) -> bool:
    return bool(patient_id.strip()) and patient_id.isprintable()


async def _ids_of(config: Config, filters: list[Filter]) -> list[str]:
    """The ids of the patients database, or of those who meet all filters."""
    ids: dict[str, None] = {}
    refused = 0

    def note(row: dict[str, str]) -> None:
        nonlocal refused
        if _possible(row["id"]):
            ids[row["id"].strip()] = None
        else:
            refused += 1

    async with open_patients(config) as database:
        await database.each(note, filters)
    if refused:
        warn(f"docpipe: {refused} rows of the patients database are left out: their id is empty or no text.")
    if not ids:
        raise UsageError(f"The patients database has no patients{' with these values' if filters else ''}.")
    return list(ids)


async def _ids_in(path: Path) -> list[str]:
    """Patient ids of a file: a column `id` where its first line names one, else one a line."""
    ids, odd = [], list[int]()
    for number, patient_id in await read_ids(path):
        if not patient_id:
            warn(f"{path}, line {number}: refused, it has no id or not the header's number of fields.")
        elif _possible(patient_id):
            ids.append(patient_id)
        else:
            odd.append(number)
    if odd:
        lines = ", ".join(map(str, odd[:_NAMED_LINES])) + (" and more" if odd[_NAMED_LINES:] else "")
        which = f"the id on line {lines} has" if len(odd) == 1 else f"the ids on lines {lines} have"
        raise UsageError(
            f"{path}: {which} control characters or letters that cannot be seen, such as a no-break space: "
            "type them again."
        )
    return ids
