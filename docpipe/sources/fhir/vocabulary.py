"""Reads outcomes, progress and references of FHIR servers, whatever JSON they send."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct

from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.xml import resource_of

TRANSIENT: Final = frozenset({"transient", "lock-error", "no-store", "timeout", "incomplete", "throttled"})
"""Codes of errors that pass: `transient` and those below it in the value set IssueType, without `exception`,
which servers also use for jobs that failed."""
INCOMPLETE: Final = TRANSIENT | {"suppressed", "too-costly", "too-long"}
"""Codes of warnings that a result lacks something, such as sources that did not answer."""
_BAD: Final = ("fatal", "error")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,40}")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_PERCENT: Final = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s*%")
_OF: Final = re.compile(r"(?<![\d.])(\d{1,9})\s*(?:/|of|out of)\s*(\d{1,9})(?![\d.])", re.IGNORECASE)


class _Details(Struct, frozen=True):
    text: str | None = None


class _Issue(Struct, frozen=True):
    severity: str | None = None
    code: str | None = None
    diagnostics: str | None = None
    details: _Details = _Details()


class _OperationOutcome(Struct, frozen=True, rename="camel"):
    resource_type: str | None = None
    issue: list[_Issue] = []


@dataclass(frozen=True, slots=True)
class Issues:
    """The issues of an OperationOutcome."""

    codes: tuple[str, ...]
    """Their codes, most serious first; from a fixed value set, without patient data."""
    bad: bool
    """Whether an issue is an error."""
    incomplete: bool
    """Whether a warning says that the result lacks something."""
    text: str
    """Their texts for people; may quote patient data."""

    @property
    def transient(self) -> bool:
        """Whether the error passes, so that a retry may help."""
        return any(code in TRANSIENT for code in self.codes)


def outcome(value: object) -> Issues | None:
    """Read an OperationOutcome; None for any other value."""
    given = struct_of(_OperationOutcome, value)
    if given is None or given.resource_type != "OperationOutcome":
        return None
    issues = sorted(given.issue, key=lambda issue: issue.severity not in _BAD)
    return Issues(
        tuple(issue.code for issue in issues if issue.code is not None and _CODE.fullmatch(issue.code)),
        any(issue.severity in _BAD for issue in issues),
        any(issue.severity == "warning" and issue.code in INCOMPLETE for issue in issues),
        "; ".join(filter(None, (issue.diagnostics or issue.details.text for issue in issues)))[:2000],
    )


MOST_VALUES: Final = 150_000
"""Of one resource: each takes up to 400 bytes of the main process, whose text may be two letters."""


def json_value(raw: bytes) -> Any:
    """The JSON value of some bytes.

    Raises:
        ValueError: it is none, or has more values than MOST_VALUES, commas and brackets in texts included.
        RecursionError: it is nested deeper than Python's stack.
    """
    if len(raw) > MOST_VALUES and sum(raw.count(sign) for sign in (b",", b"[", b"{")) > MOST_VALUES:
        raise ValueError("too many values")
    return json.loads(raw)


def parsed(raw: bytes) -> Any:
    """The JSON value of some bytes, or that of a resource in XML; None where they are neither."""
    try:
        return json_value(raw)
    except (ValueError, RecursionError):
        return resource_of(raw) if raw.lstrip()[:1] == b"<" else None


def progress(text: str | None) -> float | None:
    """The part that is done, from 0 to 1, of an X-Progress such as "45%" or "3 of 8 files"; else None."""
    if not text:
        return None
    if (match := _PERCENT.search(text)) is not None:
        part = float(match[1]) / 100
    elif (match := _OF.search(text)) is not None and int(match[2]):
        part = int(match[1]) / int(match[2])
    else:
        return None
    return part if part <= 1 else None


def is_id(text: object) -> bool:
    """Whether a text may be the logical id of a resource."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def referred(reference: object) -> tuple[str, str] | None:
    """Type and id at the end of a reference; None where it has none."""
    text = reference.get("reference") if isinstance(reference, dict) else reference
    if not isinstance(text, str):
        return None
    parts = text.split("/_history/", maxsplit=1)[0].split("?")[0].rstrip("/").split("/")
    if len(parts) < 2 or not parts[-2].isalpha() or not is_id(parts[-1]):  # noqa: PLR2004 -- type and id
        return None
    return parts[-2], parts[-1]
