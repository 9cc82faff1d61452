"""Doubts about refusals: whether a 4xx without an OperationOutcome comes from the FHIR server itself.

FHIR lets servers refuse without one, and proxies and firewalls answer in place of a server, at single paths
too. A page of HTML is never believed by itself. Any other bare refusal is believed after `STRANGERS_S`, in
which the server itself was up.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

STRANGERS_S: Final = 900.0
"""So long a bare refusal is doubted, in seconds."""
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 60.0
OTHERS: Final = 5
"""A page of HTML is believed where so many requests of the same kind were answered well meanwhile."""
_PAGES: Final = ("text/html", "application/xhtml+xml")
_OPERATIONS: Final = {"export": "export", "export-patient": "export", "everything": "everything"}


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a page of HTML."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGES


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that may be a stranger's."""

    page: bool
    """Whether it is a page of HTML."""
    print: str
    """The same for refusals with the same status, media type and body."""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> "Refusal":
        """That of an answer."""
        print_ = f"{status} {headers.get('Content-Type', '')} {hashlib.sha256(body).hexdigest()}"
        return cls(is_page(headers), print_)


@dataclass(slots=True)
class Experience:
    """What is known of a server's refusals; one a process."""

    proved: set[str] = field(default_factory=set)
    """Prints of those that were the server's own: they are believed the second time."""
    answers: Counter[str] = field(default_factory=Counter)
    """How many requests were answered well, by operation."""

    def doubt(self, operation: str) -> "Doubt":
        """Begin to doubt a refusal of an operation."""
        return Doubt(self, operation, asyncio.get_running_loop().time(), self.answers[operation])


@dataclass(slots=True)
class Doubt:
    """The doubt about one request's refusals, or about those of several files."""

    experience: Experience
    operation: str
    since: float
    """By the clock of the loop."""
    answers_before: int
    repeats: int = 0
    """How often the request was sent again."""

    def believes(self, refusal: Refusal, *, others: bool = False) -> bool:
        """Whether a refusal is believed now.

        Args:
            refusal: the latest.
            others: whether the server answers others of the kind well, as the caller knows.
        """
        if not self.repeats:
            return False
        if refusal.print in self.experience.proved:
            return True
        if asyncio.get_running_loop().time() - self.since < STRANGERS_S:
            return False
        answered = self.experience.answers[self.operation] - self.answers_before
        if refusal.page and not others and answered < OTHERS:
            return False
        self.experience.proved.add(refusal.print)
        return True

    def pause(self) -> float:
        """Count a repetition; returns the seconds before it."""
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.repeats, 10))
        self.repeats += 1
        return pause


def lacks(statement: Any, search: str) -> bool:
    """Whether a CapabilityStatement lists what a server offers, and a kind of search is not among it.

    Args:
        statement: the JSON of the answer to the request for it.
        search: `documents`, `export`, `export-patient` or `everything`.
    """
    rests = statement.get("rest") if isinstance(statement, dict) else None
    rests = [rest for rest in rests if isinstance(rest, dict)] if isinstance(rests, list) else []
    resources = [one for rest in rests for one in _list(rest, "resource")]
    if not resources:
        return False
    if search not in _OPERATIONS:
        return all(one.get("type") != "DocumentReference" for one in resources)
    operations = [one for place in (*rests, *resources) for one in _list(place, "operation")]
    wanted = _OPERATIONS[search]
    return not any(wanted in f"{one.get('name')} {one.get('definition')}".lower() for one in operations)


def _list(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    members = value.get(name)
    return [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []
