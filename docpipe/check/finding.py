"""Findings of checks, and what the checks examine."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docpipe.config.config import Config
from docpipe.model import Clock
from docpipe.storage import Storage
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document, as a manifest or its metadata describes it."""

    patient_id: str
    run_id: str | None
    """A run whose manifest names it, None where none does."""
    id: str
    path: str
    """Its name in the archive."""
    size: int
    sha256: str
    original: str
    """Name of the file with its bytes."""
    derived_from: str | None
    facts: dict[str, str]
    """What the source declares about it: media_type, title, author, created."""


@dataclass(frozen=True, slots=True)
class Remove:
    """A leftover, a file or a folder, that nothing needs."""

    path: Path


@dataclass(frozen=True, slots=True)
class RemoveStored:
    """A leftover in the storage, by its path there."""

    path: str


@dataclass(frozen=True, slots=True)
class Permit:
    """A file or folder with permissions that it should not have."""

    path: Path
    mode: int


@dataclass(frozen=True, slots=True)
class Reconversion:
    """A document whose original is right and whose readable forms, or a document within it, are lost."""

    document: Document
    spoiled: str | None = None
    """The metadata of a document within it whose own original is wrong: taken away first."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The metadata of a document whose original is lost: without it a later run stores the document anew."""

    metadata: str


Remedy = Remove | RemoveStored | Permit | Reconversion | GiveUp


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, or a remark about something sound."""

    check: str
    """Which check found it: database, state, log, storage, or a part as of `Fit`."""
    where: str
    problem: str
    cure: str
    wrong: bool = True
    """False for a remark."""
    remedy: Remedy | None = None
    """What `--repair` does about it."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A part that was tried and can be used."""

    check: str
    """Which check tried it: exchange, tracker, patients, storage, converters, OCR, disk, memory."""
    where: str
    evidence: str
    """What shows that it can be used."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What trials work on."""

    config: Config
    workers: Callable[[Config], Workers | InlineWorkers]
    """Makes the workers of a configuration."""
    clock: Clock = time.time
    progress: Callable[[str], None] = lambda _: None
    notify: bool = False
    """Whether one event is sent to the receiver of notifications."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is checked."""

    state: Path
    storage: Storage
    beside: bool
    """Whether another docpipe may be running."""
    progress: Callable[[str], None] = lambda _: None
    """Called often, with what is being checked now."""
    counts: Counter[str] = field(default_factory=Counter)
    """What was checked, by kind."""


def text(value: Any) -> str:
    """A name, fit for one line."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))[:200]
