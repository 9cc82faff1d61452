"""What a set of fakes can be reported at the start."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fakes.faults import Fault
from fakes.fhiroptions import FhirOptions
from fakes.ledger import Seen
from fakes.quota import Rate

MIXES: Final = ("full", "tiny")
EXPIRES_IN: Final = ("number", "text", "missing", "absurd")
SEARCH_RATE: Final = Rate(10, 60.0)
STATUS_RATE: Final = Rate(10, 1.0)
TRACKER_RATE: Final = Rate(10, 1.0)


def parse_span(text: str) -> tuple[float, float]:
    """Read "1-4" (from 1 to 4 s) or "30" (exactly 30 s); ValueError otherwise."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text.strip())
    if match is None:
        raise ValueError(f'{text!r} is no span of seconds: write "1-4" or "30"')
    return float(match[1]), float(match[2] or match[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """How the fakes behave. Times are seconds; what is not given is as the contracts have it."""

    host: str = "127.0.0.1"
    docex_port: int = 0
    """0 takes any free port, for this one and the next two."""
    tracker_port: int = 0
    archive_port: int = 0
    docex_token: str | None = field(default=None, repr=False)
    tracker_token: str | None = field(default=None, repr=False)

    oauth2_port: int | None = None
    """Where an OAuth2 server listens whose tokens both services then ask for; None: there is none."""
    oauth2_client_id: str = "docpipe"
    oauth2_secret: str | None = field(default=None, repr=False)
    oauth2_keys: Path | None = None
    """The client's public keys, a set of JWKs: it may then show signed assertions."""
    oauth2_auth: str = "basic"
    """Where a secret has to be: `basic`, in a header, or `post`, in the form."""
    oauth2_refusal: int | None = None
    """The status of its refusals, in place of that of RFC 6749: some servers send 200."""
    oauth2_seconds: float = 300.0
    """How long a token is good."""
    oauth2_expires_in: str = "number"
    """How that is reported: one of `EXPIRES_IN`."""
    seed: int = 0

    search_rate: Rate | None = SEARCH_RATE
    status_rate: Rate | None = STATUS_RATE
    tracker_rate: Rate | None = TRACKER_RATE
    latency: float = 0.0
    """Of every request, half on the way in (before it counts as arrived) and half on the way back."""
    jitter: float = 0.0
    """At most this much more latency, drawn for each way on its own, half each."""

    search_seconds: tuple[float, float] = (1.0, 4.0)
    """A search takes a time between these, drawn from seed, patient and the patient's how-manieth search."""
    patient_seconds: Mapping[str, float] = field(default_factory=dict)
    """Patient id to the exact time that each of the patient's searches takes."""
    empty: frozenset[str] = frozenset({"P198"})
    """Patients without documents at the exchange: ready, without an archive."""
    failing: frozenset[str] = frozenset({"P199"})
    """Patients whose searches end as failed."""
    expiring: frozenset[str] = frozenset()
    """Patients whose first search ends as expired; the next one is fine."""
    search_lifetime: float = 86_400.0
    """So long after it is done a search answers 410, and twice as long after, 404."""
    link_seconds: float = 300.0
    """How long a link to an archive is good; each status answer makes a fresh one."""
    expired_link: int = 403
    """What an expired link answers: 403 or 410."""
    key_seconds: float | None = None
    """How long Idempotency-Keys are remembered, None for always."""

    absolute_urls: bool = False
    """Whether Location is an absolute address."""
    redirect: int | None = 307
    """How the exchange sends a download to the archive origin: 302, 303, 307, 308; None: straight links."""
    ranges: bool = True
    """Whether Range is honoured, or ignored (200 with the whole body)."""
    sparse: bool = False
    """Whether answers bear only what the contract requires: no size, digest, expiry, hints, documents."""
    unknown_state: str | None = None
    """A state that no client knows, reported in the last tenth of each search."""

    fhir: FhirOptions = field(default_factory=FhirOptions)
    """How the FHIR server behaves where that is not said above."""

    documents: Path | None = None
    """A folder whose files go into each archive, instead of documents made up."""
    mix: str = "full"
    """What is made up: "full" (every kind and every trap) or "tiny" (4 small texts, for load)."""

    faults: tuple[Fault, ...] = ()
    state: Path | None = None
    """Where searches, tasks, keys and reports survive the end of the process, SIGKILL too; None: nowhere."""
    wall_clock: Callable[[], float] = time.time
    """Asked once at the start; from there on the event loop's clock continues."""
    log: Callable[[Seen], None] | None = None
    """Called for each request when it has been answered, or dropped."""

    def __post_init__(self) -> None:
        low, high = self.search_seconds
        if not 0 <= low <= high:
            raise ValueError(f"search_seconds must rise from 0 or more, not {low} to {high}")
        if self.latency < 0 or self.jitter < 0:
            raise ValueError("latency and jitter cannot be negative")
        if self.mix not in MIXES:
            raise ValueError(f"mix must be one of {', '.join(MIXES)}, not {self.mix!r}")
        if self.redirect not in (None, 302, 303, 307, 308):
            raise ValueError(f"redirect must be 302, 303, 307, 308 or None, not {self.redirect}")
        if self.expired_link not in (403, 410):
            raise ValueError(f"expired_link must be 403 or 410, not {self.expired_link}")
        if self.oauth2_auth not in ("basic", "post"):
            raise ValueError(f"oauth2_auth must be basic or post, not {self.oauth2_auth!r}")
        if self.oauth2_expires_in not in EXPIRES_IN:
            raise ValueError(f"oauth2_expires_in must be one of {', '.join(EXPIRES_IN)}")
        if self.documents is not None and not self.documents.is_dir():
            raise ValueError(f"there is no folder {self.documents}")
