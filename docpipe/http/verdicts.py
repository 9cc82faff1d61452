"""Judges answers of services: refusals, probes, and texts that may hold a patient's data."""

import re
import unicodedata
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, Final

from docpipe.config.config import Remote
from docpipe.errors import ServiceError, UnfitError
from docpipe.gates import Failure
from docpipe.http import Answer
from docpipe.model import Patient

_LONGEST_REASON: Final = 300
_LONGEST_TEXT: Final = 4000
_SHORTEST_PART: Final = 3
_LEFT_OUT: Final = "[…]"
_MAIL: Final = re.compile(r"[^\s@<>()\[\]\"',;:]{1,100}@[^\s@<>()\[\]\"',;:]{1,200}")
_DATE: Final = re.compile(r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}")
_NUMBER: Final = re.compile(r"\+?\d(?:[()/. -]{0,2}\d){6,30}")
"""Seven digits and more: of telephones, insurances, records."""


def refusal(who: str, config: Remote, answer: Answer, what: str) -> ServiceError:
    """The error of a final refusal, without the service's text, which may quote patient data."""
    if answer.status in (401, 403):
        return ServiceError(f"{who} refused the token ({answer.status}): {_keys(config)}.", answer.status)
    reasons = {
        400: "the data in it are malformed or incomplete",
        409: "it says that an earlier request with the same key is still in progress, and that does not end",
        413: "it is too large",
        422: "its key was used with other data before",
    }
    why = reasons.get(answer.status, "trying again would not help")
    return ServiceError(f"{who} refused {what} with status {answer.status}: {why}.", answer.status)


def _keys(config: Remote) -> str:
    """The keys to check where a service refuses its token."""
    section = type(config).__name__.lower()
    if config.token_url:
        return f"check {section}.client_id, its secret or key, and scope: the token came by them"
    return f"check {section}.token (DOCPIPE_{section.upper()}__TOKEN, or the file of {section}.token_file)"


def describe_probe(
    answer: Answer | Failure | None, config: Remote, what: str, also: Collection[int] = ()
) -> str:
    """Describe the answer to a probe in a few words.

    Args:
        answer: as of `Http.once`.
        config: the section of the service.
        what: the name of the request.
        also: statuses that count as 2xx.

    Raises:
        UnfitError: if docpipe cannot use the service.
    """
    match answer:
        case None:
            return "answers; its quota is used up at the moment (429)"
        case Failure():
            status = f" ({answer.status})" if answer.status and answer.status < HTTPStatus.BAD_REQUEST else ""
            cure = answer.cure or "ask those who run it; docpipe waits until it is up again"
            raise UnfitError(f"{answer.reason}{status}", cure)
        case Answer(status=401 | 403):
            raise UnfitError(f"it refuses the token, or requires one ({answer.status})", _keys(config))
    page = answer.headers.get("Content-Type", "").startswith("text/html")
    if page or not (answer.ok or answer.status in also):
        problem = f"it answers {what} with {'a web page' if page else 'status'} {answer.status}"
        where = f"{type(config).__name__.lower()}.base_url"
        raise UnfitError(problem, f"check {where}: another program, or a proxy, seems to answer there")
    return f"answers ({answer.status})"


def scrubbed(text: Any, patient: Patient) -> str:
    """A service's text on one short line, without the patient's names, dates, mail addresses and numbers."""
    if not isinstance(text, str) or not text.strip():
        return "it gave no reason"
    line = "".join(char if char.isprintable() else " " for char in text[:_LONGEST_TEXT])
    line = _MAIL.sub(_LEFT_OUT, unicodedata.normalize("NFD", line))
    names = (patient.given, patient.family)
    parts = [part for name in names for part in (*name.split(), *_long_parts(name))]
    for private in (*names, *parts):
        line = re.sub(_in_any_dress(private), _LEFT_OUT, line, flags=re.IGNORECASE)
    line = _NUMBER.sub(_LEFT_OUT, _DATE.sub(_LEFT_OUT, line))
    return unicodedata.normalize("NFC", " ".join(line.split())[:_LONGEST_REASON].rstrip(". "))


def _long_parts(name: str) -> list[str]:
    """Those of a name such as Meyer-Schmidt; not the O of O'Neill."""
    return [part for part in re.split(r"[\s\W]+", name) if len(part) >= _SHORTEST_PART]


def _in_any_dress(name: str) -> str:
    """A pattern of a name with its accents, with others, or without any, in text whose accents are apart."""
    letters = [char for char in unicodedata.normalize("NFD", name) if not unicodedata.combining(char)]
    plain = ("(?:ß|ss)" if letter == "ß" else re.escape(letter) for letter in letters)
    return "".join(rf"{letter}[\u0300-\u036f]*" for letter in plain)
