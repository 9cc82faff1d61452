"""Patients from a CSV file, as spreadsheets write them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from aiocsv import AsyncReader

from docpipe.errors import UsageError
from docpipe.model import Patient
from docpipe.patients.people import checked


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of a CSV file that cannot be used; `line` counts from 1."""

    line: int
    reason: str


class _Lines:
    """A text file as aiocsv reads one. Files of patients are small; the disk is not waited for."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    async def read(self, size: int) -> str:
        return self._file.read(size)


async def read_csv(path: Path) -> tuple[list[Patient], list[Refused]]:
    """Read patients from a CSV file with a header.

    Raises:
        UsageError: if the file cannot be read or lacks a column.
    """
    patients: dict[str, Patient] = {}
    lines: dict[str, int] = {}
    refused: list[Refused] = []
    async for line, row in csv_rows(path, ("id", "given", "family", "birth_date")):
        if row is None:
            refused.append(Refused(line, "the number of fields is not that of the header"))
            continue
        try:
            patient = checked(row)
        except ValueError as error:
            refused.append(Refused(line, str(error)))
            continue
        if patient.id in patients:
            refused.append(Refused(line, f"the same id stands on line {lines[patient.id]}"))
        else:
            patients[patient.id], lines[patient.id] = patient, line
    return list(patients.values()), refused


async def csv_rows(path: Path, needed: Sequence[str]) -> AsyncIterator[tuple[int, dict[str, str] | None]]:
    """Rows by column, each with the number of its last line; None for one of another length.

    Raises:
        UsageError: if the file cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            delimiter = ";" if ";" in file.readline() else ","
            file.seek(0)
            reader = AsyncReader(_Lines(file), delimiter=delimiter)
            header: list[str] = []
            async for row in reader:
                if not header:
                    header = [name.strip().lower() for name in row]
                    if missing := [name for name in needed if name not in header]:
                        raise UsageError(
                            f"{path} has no column {', '.join(missing)}: its first line names them."
                        )
                elif any(field.strip() for field in row):
                    same = len(row) == len(header)
                    yield reader.line_num, dict(zip(header, row, strict=True)) if same else None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    if not header:
        raise UsageError(f"{path} is empty: its first line has to name the columns {', '.join(needed)}.")
