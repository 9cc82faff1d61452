"""The input of a simulation: patients, services, and means."""

import random
from dataclasses import dataclass, field
from typing import Final

from docpipe.checkpoints import Grant
from docpipe.config.config import Config
from docpipe.model import Rate

DEFAULT_SEARCH_S: Final = (120.0, 1800.0)
DEFAULT_DOCUMENTS: Final = (20.0, 20.0)
DEFAULT_CONVERT_S: Final = (0.5, 0.5)
DEFAULT_DOCUMENT_B: Final = 500_000
BANDWIDTH: Final = 20e6
"""Bytes a second from the exchange to the extracted files, where it is unknown."""

Span = tuple[float, float]
"""Anything from the one to the other, evenly."""


@dataclass(frozen=True, slots=True)
class Case:
    """A patient, as the world holds it."""

    search_s: float
    """How long the exchange searches."""
    archive_b: int
    download_s: float
    """Of the archive, and to extract it."""
    convert_s: tuple[float, ...]
    """Of each document, in a worker."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Where patients are drawn from: whole ones of the history, with what is given in its place."""

    history: tuple[Case, ...] = ()
    search_s: Span | None = None
    documents: Span | None = None
    convert_s: Span | None = None
    archive_b: Span | None = None
    bandwidth: float | None = None

    def draw(self, rng: random.Random, past: Case | None) -> Case:
        """A patient, after one of the history where there is one."""
        search_s = self.search_s or (None if past else DEFAULT_SEARCH_S)
        number = self.documents or (None if past else DEFAULT_DOCUMENTS)
        convert_s = past.convert_s if past else ()
        if number is not None:
            wanted = round(rng.uniform(*number))
            known = convert_s or (sum(DEFAULT_CONVERT_S) / 2,)
            convert_s = tuple(rng.choice(known) for _ in range(wanted))
        if self.convert_s is not None:
            convert_s = tuple(rng.uniform(*self.convert_s) for _ in convert_s)
        size, download_s = self._archive(rng, past, len(convert_s))
        return Case(
            search_s=rng.uniform(*search_s) if search_s else past.search_s if past else 0.0,
            archive_b=size,
            download_s=download_s,
            convert_s=convert_s,
        )

    def _archive(self, rng: random.Random, past: Case | None, documents: int) -> tuple[int, float]:
        if self.archive_b is not None:
            size = round(rng.uniform(*self.archive_b))
        elif past is not None:
            size = past.archive_b
        else:
            size = documents * DEFAULT_DOCUMENT_B
        if past is not None and self.archive_b is None and self.bandwidth is None:
            return size, past.download_s
        return size, size / (self.bandwidth or BANDWIDTH)


@dataclass(frozen=True, slots=True)
class Outage:
    """A time when a service is down. Seconds from the start."""

    service: str
    seconds: float
    start: float | None = None
    """None: in the middle of the time that all would take without it."""

    def within(self, now: float) -> bool:
        """Whether it is on."""
        return self.start is not None and self.start <= now < self.start + self.seconds


@dataclass(frozen=True, slots=True)
class Given:
    """The values that the user gives. None: that of the history, or of the configuration."""

    patients: int = 0
    search_s: Span | None = None
    documents: Span | None = None
    convert_s: Span | None = None
    archive_b: Span | None = None
    bandwidth: float | None = None
    latency_s: float | None = None
    workers: int | None = None
    downloads: int | None = None
    rates: dict[str, Rate | None] = field(default_factory=dict)
    """By the quota's name."""
    outages: tuple[Outage, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Before:
    """What is in the state folder already."""

    queued: int = 0
    """Unfinished runs that have not searched yet."""
    searched: tuple[float, ...] = ()
    """How long ago each of the others had its search accepted."""
    grants: tuple[tuple[str, Grant], ...] = ()
    """What was spent of quotas, with the wall clock's time until now in place of the wall clock's."""
    alive: float | None = None
    """How long ago the last process was alive."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that a forecast depends on."""

    patients: int
    config: Config
    """Its rates and limits; its addresses are not used."""
    workers: int
    mix: Mix = field(default_factory=Mix)
    threads: int = 6
    """What writes to the disk at the same time."""
    latency_s: float = 0.05
    """Of a request and its answer."""
    store_s: float = 0.01
    """To store a document."""
    report_s: float = 0.02
    row_s: float = 0.002
    """To look a patient up."""
    start_s: float = 0.5
    """Until the workers are there, from the first conversion on."""
    reports_progress: bool = True
    """Whether the exchange reports the progress of searches."""
    ask_after: float | None = None
    """The delay before the first poll that it asks for, in seconds."""
    outages: tuple[Outage, ...] = ()
    before: Before = field(default_factory=Before)
    seed: int = 0
