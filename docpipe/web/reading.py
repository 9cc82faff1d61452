"""Reads requests: bodies within their limits, JSON, lists of patients, and search queries."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from docpipe.api.shapes import Refused
from docpipe.model import Activity
from docpipe.patients import ListError, ids_of
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


_T = TypeVar("_T")


class SubmissionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON body of a submission."""

    patients: Annotated[list[str], Meta(min_length=1, max_length=PATIENTS)]
    priority: Annotated[float, Meta(ge=0, lt=PRIORITIES, multiple_of=1)] | None = None
    """A whole number, which in JSON may be written as `3.0`."""


class RetryBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON body of a retry: the activity that it begins with, None for what failed."""

    first: Activity | None = msgspec.field(name="from", default=None)


@dataclass(frozen=True, slots=True)
class Submission:
    """The patients of a request; `refused` are the ids that cannot be used."""

    patient_ids: list[str]
    refused: list[Refused]
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


async def json_of(body: bytes, shape: type[_T]) -> _T:
    """A JSON body as a value of that shape; raises Problem 400 where it is none."""
    if len(body) <= _AT_ONCE:
        return _parsed(body, shape)
    return await asyncio.to_thread(_parsed, body, shape)


def _parsed(body: bytes, shape: type[_T]) -> _T:
    if sum(map(body.count, (b",", b"[", b"{"))) > _VALUES:
        raise bad("The JSON has more parts than any request needs.")
    try:  # msgspec.json would refuse the whole body for one id that is not UTF-8
        return msgspec.convert(json.loads(body.decode("utf-8")), shape)
    except RecursionError:
        raise bad("The JSON is nested too deeply.") from None
    except msgspec.ValidationError as error:
        raise bad(f"The body does not have the expected members: {error}.") from None
    except ValueError:
        raise bad("The body is not valid JSON.") from None


async def submission_of(request: web.Request, body: bytes) -> Submission:
    """The patients that a submission names; raises Problem 400 or 415."""
    priority = number_in(request, "priority", 0, PRIORITIES - 1, 0)
    if type_of(request, "application/json", "text/csv") == "text/csv":
        return await _of_lines(body, priority)
    given = await json_of(body, SubmissionBody)
    return _sorted(enumerate(given.patients, 1), priority if given.priority is None else int(given.priority))


async def _of_lines(body: bytes, priority: int) -> Submission:
    """The ids of a CSV file with a column `id`, or of a file with one a line."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise bad("The body is not UTF-8 text.") from None
    lines = []
    try:
        async for line in ids_of(text):
            lines.append(line)
            if len(lines) > PATIENTS:
                raise bad(f"The body may name at most {PATIENTS} patients.")
    except ListError as error:
        raise bad(f"The body {error}") from error
    if not lines:
        raise bad("The body names no patient.")
    return _sorted(iter(lines), priority)


def _sorted(lines: Iterator[tuple[int, str]], priority: int) -> Submission:
    patient_ids, refused = [], []
    for line, text in lines:
        patient = text.strip()
        if reason := _unusable(patient):
            refused.append(Refused(line=line, reason=reason))
        else:
            patient_ids.append(patient)
    return Submission(patient_ids, refused, priority)


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
