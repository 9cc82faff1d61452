"""What callers send: bodies within their limits, JSON, lists of patients, and the words of a query."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from docpipe.model import Json
from docpipe.web.guard import limit_of, too_large
from docpipe.web.problems import Problem

PATIENTS: Final = 10_000
"""As many patients may be submitted at a time."""
PRIORITIES: Final = 10
LONGEST_ID: Final = 200
_WITHIN_S: Final = 30.0
"""A body that has not come by then is given up."""
_AT_ONCE: Final = 64 * 2**10
"""A body up to this size is parsed where it stands, a larger one in a thread."""
_VALUES: Final = 10 * PATIENTS
"""The parser holds the interpreter's lock: millions of empty lists would stop everything for a while."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The patients of a submission. `refused` has the line of each that cannot be used, from 1, and why."""

    patient_ids: list[str]
    refused: list[dict[str, Json]]
    priority: int


async def body_of(request: web.Request) -> bytes:
    """The body; raises Problem 408 when it does not come, 413 when it is too large."""
    limit = limit_of(request)
    data = bytearray()
    try:
        async with asyncio.timeout(_WITHIN_S):
            while chunk := await request.content.readany():
                data += chunk
                if len(data) > limit:
                    raise too_large(limit)
    except TimeoutError:
        raise Problem(408, f"The body did not come within {_WITHIN_S:.0f} s.") from None
    except web.RequestPayloadError:
        raise bad("The body breaks off.") from None
    return bytes(data)


def bad(detail: str) -> Problem:
    """The problem of a request that cannot be understood."""
    return Problem(400, detail)


def type_of(request: web.Request, *allowed: str) -> str:
    """The media type of the body; raises Problem 415 for another than those, or text not in UTF-8."""
    media_type = request.content_type if "Content-Type" in request.headers else ""
    if media_type not in allowed or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Problem(415, f"The body has to be {' or '.join(allowed)}, in UTF-8.")
    return media_type


async def json_of(body: bytes) -> Json:
    """A body as JSON; raises Problem 400 for one that is none."""
    if len(body) <= _AT_ONCE:
        return _parsed(body)
    return await asyncio.to_thread(_parsed, body)


def _parsed(body: bytes) -> Json:
    if sum(map(body.count, (b",", b"[", b"{"))) > _VALUES:
        raise bad("The JSON has more parts than any request needs.")
    try:
        return json.loads(body.decode("utf-8"))
    except RecursionError:
        raise bad("The JSON is nested too deeply.") from None
    except ValueError:
        raise bad("The body is not valid JSON.") from None


async def wanted_in(request: web.Request, body: bytes) -> Wanted:
    """The patients that a submission names; raises Problem 400 or 415."""
    priority = number_in(request, "priority", 0, PRIORITIES - 1, 0)
    if type_of(request, "application/json", "text/csv") == "text/csv":
        return await asyncio.to_thread(_of_lines, body, priority)
    return _of_json(await json_of(body), priority)


def _of_json(value: Json, usual: int) -> Wanted:
    if not isinstance(value, dict) or not isinstance(value.get("patients"), list):
        raise bad('The body has to be an object such as {"patients": ["P123"]}.')
    if unknown := value.keys() - {"patients", "priority"}:
        raise bad(f"The body has {len(unknown)} unknown members; there are `patients` and `priority`.")
    priority, patients = value.get("priority", usual), value["patients"]
    if isinstance(priority, bool) or priority not in range(PRIORITIES):
        raise bad(f"`priority` has to be a whole number from 0 to {PRIORITIES - 1}.")
    if not 1 <= len(patients) <= PATIENTS:
        raise bad(f"`patients` has to hold 1 to {PATIENTS} ids.")
    if not all(isinstance(patient, str) for patient in patients):
        raise bad("`patients` has to hold texts.")
    return _sorted(enumerate(patients, 1), int(priority))


def _of_lines(body: bytes, priority: int) -> Wanted:
    """The ids of a CSV file with a column `id`, or of a file with one a line."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise bad("The body is not UTF-8 text.") from None
    first = text.partition("\n")[0].lower()
    delimiter = ";" if ";" in first else ","
    header = [name.strip(' "\r\t') for name in first.split(delimiter)]
    if "id" in header:
        lines = _column(text, delimiter, header.index("id"), len(header))
    else:
        lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip())
    found = []
    for line in lines:
        found.append(line)
        if len(found) > PATIENTS:
            raise bad(f"The body may name at most {PATIENTS} patients.")
    if not found:
        raise bad("The body names no patient.")
    return _sorted(iter(found), priority)


def _column(text: str, delimiter: str, column: int, width: int) -> Iterator[tuple[int, str]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        next(rows)
        for row in rows:
            if any(field.strip() for field in row):
                yield rows.line_num, row[column].strip() if len(row) == width else ""
    except csv.Error:
        raise bad(f"Line {rows.line_num} is not valid CSV.") from None


def _sorted(lines: Iterator[tuple[int, str]], priority: int) -> Wanted:
    patient_ids, refused = [], []
    for line, text in lines:
        patient = text.strip()
        if reason := _unusable(patient):
            refused.append({"line": line, "reason": reason})
        else:
            patient_ids.append(patient)
    return Wanted(patient_ids, refused, priority)


def _unusable(patient: str) -> str | None:
    if not patient:
        return "there is no id, or the row has not the header's number of fields"
    if len(patient) > LONGEST_ID:
        return f"the id is longer than {LONGEST_ID} characters"
    return None if patient.isprintable() else "the id holds control characters or is not UTF-8"


def only(request: web.Request, *names: str) -> None:
    """Raises Problem 400 for a query with other words, or with one twice that stands for one thing."""
    for name in request.query:
        if name not in names:
            raise bad(f"There is no such parameter; there are {', '.join(names) or 'none'}.")


def one_in(request: web.Request, name: str, default: str = "") -> str:
    """A word of the query; raises Problem 400 where it stands twice."""
    given: list[str] = request.query.getall(name, [])
    if len(given) > 1:
        raise bad(f"`{name}` stands twice.")
    return given[0] if given else default


def number_in(request: web.Request, name: str, low: int, high: int, default: int) -> int:
    """A number of the query; raises Problem 400."""
    text = one_in(request, name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):  # noqa: PLR2004 -- before it is made a number
        raise bad(f"`{name}` has to be a whole number from {low} to {high}.")
    return int(text)


def choice_in(request: web.Request, name: str, choices: tuple[str, ...]) -> str:
    """One of some words, the first where it is not given; raises Problem 400."""
    text = one_in(request, name, choices[0])
    if text not in choices:
        raise bad(f"`{name}` has to be one of {', '.join(choices)}.")
    return text
