"""Which patients a command names: one by one, in a file, or those of the patients database."""

import argparse
from pathlib import Path

from docpipe.cli.words import warn
from docpipe.config.config import Config
from docpipe.errors import UsageError
from docpipe.patients import Filter, csv_rows
from docpipe.wiring.backends import open_patients


async def wanted_patients(args: argparse.Namespace, config: Config) -> list[str]:
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
        raise UsageError(f"{len(bad)} of the patient ids given are empty or hold control characters.")
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
        raise UsageError(f"The patients database has nobody {'like that' if filters else 'in it'}.")
    return list(ids)


async def _ids_in(path: Path) -> list[str]:
    """Patient ids of a file: a column `id` where its first line names one, else one a line."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()  # noqa: ASYNC240 -- before anything runs
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: save it as UTF-8.") from error
    header = lines[0].lower().replace(";", ",").replace('"', "").split(",") if lines else []
    if "id" not in [name.strip() for name in header]:
        return [line.strip() for line in lines if line.strip()]
    ids = []
    async for number, row in csv_rows(path, ("id",)):
        if row is None or not row["id"].strip():
            warn(f"{path}, line {number}: refused, it has no id or not the header's number of fields.")
        else:
            ids.append(row["id"].strip())
    return ids
