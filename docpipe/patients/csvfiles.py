"""Patients from a CSV file, as spreadsheets write them, and lists of patient ids."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from docpipe.errors import UsageError
from docpipe.model import Patient
from docpipe.patients.people import checked

_SEPARATOR: Final = re.compile(r"sep=([,;\t|])", re.IGNORECASE)
"""A first line that names the delimiter for spreadsheets."""
_DELIMITERS: Final = ";\t,"
_DIGIT: Final = re.compile(r"\d")


class ListError(ValueError):
    """A list of patients that cannot be used at all; the message follows the file's name."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of a CSV file that cannot be used; `line` counts from 1."""

    line: int
    reason: str


async def read_csv(path: Path) -> tuple[list[Patient], list[Refused]]:
    """Read patients from a CSV file with a header.

    Raises:
        UsageError: if the file cannot be read or lacks a column.
    """
    patients: dict[str, Patient] = {}
    lines: dict[str, int] = {}
    refused: list[Refused] = []
    needed = ("id", "given", "family", "birth_date")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()  # it is today east of here
    try:
        async for line, row in rows_of(await _text(path), needed):
            if row is None:
                refused.append(Refused(line, "the number of fields is not that of the header"))
                continue
            try:
                patient = checked(row)
            except ValueError as error:
                refused.append(Refused(line, str(error)))
                continue
            if patient.birth_date > tomorrow:
                refused.append(Refused(line, "birth_date is in the future"))
            elif patient.id in patients:
                refused.append(Refused(line, f"the same id is on line {lines[patient.id]}"))
            else:
                patients[patient.id], lines[patient.id] = patient, line
    except ListError as error:
        raise UsageError(f"{path} {error}") from error
    return list(patients.values()), refused


async def read_ids(path: Path) -> list[tuple[int, str]]:
    """Read patient ids from a file; see `ids_of`.

    Raises:
        UsageError: if the file cannot be used.
    """
    text = await _text(path)
    if not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text):
        raise UsageError(f"{path} is not UTF-8 text: save it as UTF-8.")
    try:
        return [pair async for pair in ids_of(text)]
    except ListError as error:
        raise UsageError(f"{path} {error}") from error


async def _text(path: Path) -> str:
    try:
        return await asyncio.to_thread(lambda: path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error


async def ids_of(text: str) -> AsyncIterator[tuple[int, str]]:
    """Yield patient ids with their line numbers: from the column `id` of a CSV file, else one per line.

    An id is empty if the row has none, or not as many fields as the header.

    Raises:
        ListError: if it is a CSV file without a column `id`, or is not valid CSV.
    """
    lines, delimiter = await asyncio.to_thread(_lines, text)
    first = await _first_row(lines, delimiter)
    if "id" in (name.lower() for name in first):
        async for number, row in rows_of(text, ("id",)):
            yield number, "" if row is None else row["id"].strip()
        return
    kept = [(number, line) for number, line in lines if line]
    if _looks_like_csv([line for _, line in kept]):
        raise ListError(
            f"looks like a CSV file without a column `id`{_named(first)}. Call the column with the patient "
            "ids `id` in its first line, or give a file with one id per line."
        )
    for pair in kept:
        yield pair


def _named(columns: Sequence[str]) -> str:
    """Describe the columns of a first line, unless it seems to be a patient: column names have no digits."""
    names = ", ".join(filter(None, columns))
    return "" if not names or _DIGIT.search(names) else f"; its columns are {names[:200]}"


def _looks_like_csv(lines: Sequence[str]) -> bool:
    """Whether lines have several fields, or a heading first: ids have digits, headings have none."""
    if any(delimiter in line for line in lines for delimiter in _DELIMITERS):
        return True
    heading = bool(lines) and _DIGIT.search(lines[0]) is None
    return heading and len(lines) > 1 and all(_DIGIT.search(line) for line in lines[1:])


async def rows_of(text: str, needed: Sequence[str]) -> AsyncIterator[tuple[int, dict[str, str] | None]]:
    """Yield rows by column, each with the number of its last line; None for a row of another length.

    Empty lines and comments (`#` at the start of a row) are skipped; a first line `sep=;` sets the delimiter.

    Raises:
        ListError: if a column is missing, or a quote is left open.
    """
    lines, delimiter = await asyncio.to_thread(_lines, text)
    header: list[str] = []
    async for number, row in _rows(lines, delimiter):
        if not header:
            header = [name.strip().lower() for name in row]
            if missing := [name for name in needed if name not in header]:
                raise ListError(f"has no column {', '.join(missing)} in its first line{_named(header)}.")
        elif any(field.strip() for field in row):
            same = len(row) == len(header)
            yield number, dict(zip(header, row, strict=True)) if same else None
    if not header:
        raise ListError(f"is empty: its first line has to name the columns {', '.join(needed)}.")


def _lines(text: str) -> tuple[list[tuple[int, str]], str]:
    """Split a text into numbered, stripped lines, whatever its line ends, and detect the delimiter.

    Comments and a line that names the delimiter become empty lines.
    """
    lines = [line.strip(" ") for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    delimiter = None
    if match := _SEPARATOR.fullmatch(lines[0].strip('"')):
        delimiter, lines[0] = match[1], ""
    open_quote = False
    for number, line in enumerate(lines):
        if not open_quote and line.startswith("#"):
            lines[number] = ""
        else:
            open_quote ^= line.count('"') % 2 == 1
    first = next(filter(None, lines), "")
    return list(enumerate(lines, 1)), delimiter or next((d for d in _DELIMITERS if d in first), ",")


async def _first_row(lines: list[tuple[int, str]], delimiter: str) -> list[str]:
    async for _, row in _rows(lines, delimiter):
        return [name.strip() for name in row]
    return []


class _Source:
    """Lines as the file object that aiocsv expects; other coroutines run between the pieces."""

    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self._lines = iter(lines)

    async def read(self, size: int) -> str:
        piece, length = list[str](), 0
        for _, line in self._lines:
            piece.append(f"{line}\n")
            length += len(line) + 1
            if length >= size:
                break
        await asyncio.sleep(0)
        return "".join(piece)


async def _rows(lines: list[tuple[int, str]], delimiter: str) -> AsyncIterator[tuple[int, list[str]]]:
    """Yield the fields of each row with the number of its last line."""
    from aiocsv import AsyncReader  # noqa: PLC0415 -- runs of a few patients read no list

    reader = AsyncReader(_Source(lines), delimiter=delimiter, strict=True)
    began = 1
    try:
        async for row in reader:
            began = reader.line_num + 1
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        opened = _opened([line for _, line in lines[began - 1 : reader.line_num]])
        if opened is None:
            raise ListError(
                f"cannot be read as CSV: line {reader.line_num} is not valid ({error})."
            ) from error
        raise ListError(
            f'cannot be read: the quote (") opened on line {began + opened} is not closed, or has text '
            "after it. Correct that line."
        ) from error


def _opened(lines: Sequence[str]) -> int | None:
    """Return the index of the line that opened the last quote, None without a quote."""
    last, within = None, False
    for number, line in enumerate(lines):
        for _ in range(line.count('"')):
            within = not within
            if within:
                last = number
    return last
