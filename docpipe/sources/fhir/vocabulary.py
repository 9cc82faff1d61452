"""What FHIR servers say beside documents: outcomes, progress, references, links. Nothing of it is trusted."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from docpipe.model import Json

TRANSIENT: Final = frozenset({"transient", "lock-error", "no-store", "timeout", "incomplete", "throttled"})
"""Codes that ask to try again later: `transient` and what stands below it in the value set IssueType, but for
`exception`, which servers use for jobs that failed as well."""
_BAD: Final = ("fatal", "error")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,40}")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_PERCENT: Final = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s*%")
_OF: Final = re.compile(r"(?<![\d.])(\d{1,9})\s*(?:/|of|out of)\s*(\d{1,9})(?![\d.])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """An OperationOutcome, as far as docpipe listens to it."""

    codes: tuple[str, ...]
    """Of its issues, most serious first; words of a fixed list, which bear no patient data."""
    bad: bool
    """Whether an issue is an error."""
    text: str
    """What it says to people; may quote the patient."""

    @property
    def transient(self) -> bool:
        """Whether it asks to try again later."""
        return any(code in TRANSIENT for code in self.codes)


def outcome(value: Json) -> Told | None:
    """Read an OperationOutcome; None where a value is none."""
    if not isinstance(value, dict) or value.get("resourceType") != "OperationOutcome":
        return None
    issues = [issue for issue in listed(value.get("issue")) if isinstance(issue, dict)]
    issues.sort(key=lambda issue: issue.get("severity") not in _BAD)
    codes = [issue.get("code") for issue in issues]
    texts = [_text(issue) for issue in issues]
    return Told(
        tuple(code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)),
        any(issue.get("severity") in _BAD for issue in issues),
        "; ".join(text for text in texts if text)[:2000],
    )


def _text(issue: Mapping[str, Any]) -> str:
    details = issue.get("details")
    for text in (issue.get("diagnostics"), details.get("text") if isinstance(details, dict) else None):
        if isinstance(text, str) and text.strip():
            return text.strip()
    return ""


def parsed(raw: bytes) -> Json:
    """A JSON value, None where it is none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def progress(text: str | None) -> float | None:
    """The part that is done, from 0 to 1, of an X-Progress such as "45%" or "3 of 8 files"; else None."""
    if not text:
        return None
    if (found := _PERCENT.search(text)) is not None:
        part = float(found[1]) / 100
    elif (found := _OF.search(text)) is not None and int(found[2]):
        part = int(found[1]) / int(found[2])
    else:
        return None
    return part if part <= 1 else None


def is_id(text: Json) -> bool:
    """Whether a text may be the logical id of a resource."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def referred(reference: Json) -> tuple[str, str] | None:
    """Type and id that a reference ends in, whatever stands before them; None where it does not."""
    text = reference.get("reference") if isinstance(reference, dict) else reference
    if not isinstance(text, str):
        return None
    parts = text.split("/_history/", maxsplit=1)[0].split("?")[0].rstrip("/").split("/")
    if len(parts) < 2 or not parts[-2].isalpha() or not is_id(parts[-1]):  # noqa: PLR2004 -- type and id
        return None
    return parts[-2], parts[-1]


def listed(value: Json) -> list[Any]:
    """A value that should be a list: as one, whatever it is."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text_of(value: Json) -> str | None:
    """A text that is not empty, else None."""
    return value.strip() if isinstance(value, str) and value.strip() else None


def next_link(value: Json) -> str | None:
    """Where a Bundle or a manifest goes on, as it says; None where it does not."""
    for link in listed(value.get("link")):
        if isinstance(link, dict) and link.get("relation") == "next" and text_of(link.get("url")):
            return str(link["url"]).strip()
    return None


def resources(bundle: Json) -> Iterator[Json]:
    """The resources of a Bundle, those of Bundles within it (as in a batch-response) in their place."""
    for entry in listed(bundle.get("entry")):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            told = entry.get("response") if isinstance(entry, dict) else None
            resource = told.get("outcome") if isinstance(told, dict) else None
        if isinstance(resource, dict):
            if resource.get("resourceType") == "Bundle" and resource.get("type") == "searchset":
                yield from resources(resource)
            else:
                yield resource
