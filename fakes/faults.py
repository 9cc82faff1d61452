"""Faults as data: which operation, which answer, how often, from when to when.

Answers:

    503 (any of 400 to 599)  problem+json with that status
    html200, html502, ...    an HTML page with that status, as proxies send
    plain404, ...            that status with a line of text, as default backends of an ingress send
    away302, ...             a redirect to another origin, as in maintenance
    empty502, ...            that status without a body
    fhir503, ...             that status with a FHIR OperationOutcome that calls it transient
    fhirbad500, ...          likewise, with one that does not
    reset                    the connection is reset (RST) without an answer, and without an effect
    close                    likewise, but closed properly
    hang                     no answer and no effect; closed after `seconds`, if given
    delay                    `seconds` pass before the effect and the answer
    late                     the effect, then the answer `seconds` later
    lost                     the effect, then the connection is closed without an answer
    truncate                 the answer is cut in the middle of its body, or of its head where that is all
    corrupt                  one bit of the body is flipped, or of the address of a redirect
    slow                     the body takes `seconds` to arrive, or the head where that is all
    forget                   every Idempotency-Key is forgotten before the request is handled, as usual
    revoke                   every token of the OAuth2 server is revoked before the request is handled
    remake                   410 for a link, while the search runs once more, for `seconds`
    swapped                  the effect, then the latest answer of the operation about another subject
    cached                   the first answer of the operation about another subject, without an effect
    unfiltered               what the request asks for is overlooked: all that there is is listed

Some answers fit some operations alone: there is no key to forget where nothing is created (`Fault`).
"""

import math
import random
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fakes.clock import http_date
from fakes.quota import matches

OPERATIONS: Final = (
    "docex.search",  # POST /v1/searches
    "docex.status",  # GET /v1/searches/{id}
    "docex.delete",  # DELETE /v1/searches/{id}
    "docex.link",  # GET /v1/archives/{name}, which redirects
    "docex.archive",  # the download itself, at the archive's own origin ("docex.*" means it, too)
    "fhir.patient",  # GET /fhir/Patient and /fhir/Patient/{id}
    "fhir.search",  # any request that finds documents: DocumentReference, $export, $everything
    "fhir.status",  # GET /fhir/jobs/{job}
    "fhir.delete",  # DELETE /fhir/jobs/{job}
    "fhir.page",  # a further page of a Bundle or a manifest
    "fhir.file",  # a file of a manifest, at the server or at an origin of its own
    "fhir.binary",  # GET /fhir/Binary/{binary}, likewise
    "tracker.create",  # POST /v1/tasks
    "tracker.find",  # GET /v1/tasks?external_ref=
    "tracker.get",  # GET /v1/tasks/{id}
    "tracker.update",  # PATCH /v1/tasks/{id}
    "tracker.report",  # POST /v1/tasks/{id}/reports
    "oauth2.token",  # POST /token
)
WORDS: Final = (
    "reset",
    "close",
    "hang",
    "delay",
    "late",
    "lost",
    "truncate",
    "corrupt",
    "slow",
    "forget",
    "revoke",
    "remake",
    "swapped",
    "cached",
    "unfiltered",
)
_MIXES: Final = ("swapped", "cached")
_TIMED: Final = ("delay", "late", "slow", "remake")
_RETRY_FORMS: Final = ("date", "epoch", "epoch_ms")
_FIELDS: Final = {
    "from": ("since", float),
    "since": ("since", float),
    "until": ("until", float),
    "times": ("times", int),
    "probability": ("probability", float),
    "seconds": ("seconds", float),
    "patient": ("patient", str),
    "retry_after": ("retry_after", str),
}
_SERVER_ERROR: Final = range(400, 600)
_LISTS: Final = ("tracker.find", "fhir.patient", "fhir.search", "fhir.status", "fhir.page", "fhir.file")
_NO_EFFECT: Final = {
    "forget": ("docex.archive", *(one for one in OPERATIONS if one.startswith(("fhir.", "oauth2.")))),
    "remake": tuple(one for one in OPERATIONS if one != "docex.link"),
    "unfiltered": tuple(one for one in OPERATIONS if one not in _LISTS),
    "swapped": ("docex.delete", "oauth2.token"),  # all get the same answer
    "corrupt": ("docex.delete",),  # which has neither body nor address
}
"""Answers, and the operations at which they would be no fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong on purpose; ValueError where it makes no sense."""

    operation: str
    """An operation (`OPERATIONS`), a glob ("docex.*"), or several with "|" between."""
    answer: str
    """See the module."""
    times: int | None = None
    """How often, None for always."""
    probability: float = 1.0
    """Of each matching request to meet it."""
    since: float = 0.0
    """Seconds after the start of the servers, or after the fault was added; `from` in texts."""
    until: float = math.inf
    patient: str | None = None
    """Only requests about this patient: the search's; for tasks, a word of the title or the external_ref."""
    retry_after: str | None = None
    """A Retry-After to send: as it is, or "date:30", "epoch:30", "epoch_ms:30" for in 30 s in those forms."""
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not any(matches(operation, self.operation) for operation in OPERATIONS):
            raise ValueError(f"no operation matches {self.operation!r}: there are {', '.join(OPERATIONS)}")
        none = _NO_EFFECT.get(self.answer, ())
        if all(operation in none for operation in OPERATIONS if matches(operation, self.operation)):
            raise ValueError(f"{self.answer} is no fault at {self.operation}")
        page = re.fullmatch(r"(html|plain|away|empty|fhir|fhirbad)([1-5]\d\d)", self.answer)
        known = self.answer in WORDS or (
            int(page[2]) >= 200  # noqa: PLR2004 - 1xx are no answers
            if page
            else self.answer.isdecimal() and int(self.answer) in _SERVER_ERROR
        )
        if not known:
            answers = ", ".join(WORDS)
            raise ValueError(f"{self.answer!r} is no answer: 400 to 599, html503, empty502, {answers}")
        if self.answer in _TIMED and self.seconds is None:
            raise ValueError(f"{self.answer} needs seconds=")
        form, _, moment = (self.retry_after or "").partition(":")
        if form in _RETRY_FORMS and not re.fullmatch(r"\d+(\.\d+)?", moment):
            raise ValueError(f"retry_after={self.retry_after!r} lacks its seconds, as in {form}:30")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if not 0 < self.probability <= 1:
            raise ValueError("probability must be above 0 and at most 1")
        if self.seconds is not None and self.seconds < 0:
            raise ValueError("seconds cannot be negative")
        if self.until <= self.since:
            raise ValueError(f"until ({self.until:g}) must be after from ({self.since:g})")

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read "docex.search 503 from=10 until=70 times=5"; ValueError says what is wrong."""
        words = shlex.split(text)
        if len(words) < 2 or "=" in words[0] or "=" in words[1]:  # noqa: PLR2004 - operation and answer
            raise ValueError(f'{text!r}: a fault begins with operation and answer, as in "docex.search 503"')
        pairs = [word.partition("=") for word in words[2:]]
        return cls.of(
            {"operation": words[0], "answer": words[1], **{name: value for name, _, value in pairs}}
        )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Fault":
        """Read a mapping with the fields' names (`from` may stand for `since`); ValueError as above."""
        given: dict[str, Any] = {}
        for name, value in values.items():
            if name in ("operation", "answer"):
                given[name] = str(value)
                continue
            if name not in _FIELDS:
                raise ValueError(f"a fault has no {name!r}: it has {', '.join(_FIELDS)}")
            target, kind = _FIELDS[name]
            try:
                given[target] = None if value is None else kind(value)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}={value!r} is no number") from error
        if missing := {"operation", "answer"} - given.keys():
            raise ValueError(f"a fault needs {' and '.join(sorted(missing))}")
        return cls(**given)

    def retry_header(self, epoch: float) -> dict[str, str]:
        """The Retry-After header, none where none is wanted. `epoch` is now."""
        if self.retry_after is None:
            return {}
        form, _, seconds = self.retry_after.partition(":")
        if form == "date":
            return {"Retry-After": http_date(math.ceil(epoch + float(seconds)))}
        if form == "epoch":
            return {"Retry-After": str(math.ceil(epoch + float(seconds)))}
        if form == "epoch_ms":
            return {"Retry-After": str(math.ceil((epoch + float(seconds)) * 1000))}
        return {"Retry-After": self.retry_after}


@dataclass(slots=True)
class _Armed:
    fault: Fault
    start: float
    left: float


@dataclass(slots=True)
class Faults:
    """The faults in force."""

    rng: random.Random
    _armed: list[_Armed] = field(default_factory=list)

    def add(self, fault: Fault, start: float) -> None:
        """Put a fault in force; its times count from `start` (the loop's time)."""
        self._armed.append(_Armed(fault, start, math.inf if fault.times is None else fault.times))

    def add_all(self, faults: Iterable[Fault], start: float) -> None:
        """Put several in force; where more than one fits a request, it meets the first."""
        for fault in faults:
            self.add(fault, start)

    def clear(self) -> None:
        """Let everything work again."""
        self._armed.clear()

    @property
    def mixes(self) -> bool:
        """Whether answers are to be kept, to be sent to others."""
        return any(armed.fault.answer in _MIXES for armed in self._armed)

    def meet(self, operation: str, now: float, subjects: Callable[[], Collection[str]]) -> Fault | None:
        """The fault that this request meets; it counts as having happened."""
        for armed in self._armed:
            fault = armed.fault
            if (
                armed.left > 0
                and armed.start + fault.since <= now < armed.start + fault.until
                and matches(operation, fault.operation)
                and (fault.patient is None or fault.patient in subjects())
                and (fault.probability == 1 or self.rng.random() < fault.probability)
            ):
                armed.left -= 1
                return fault
        return None
