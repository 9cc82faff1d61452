"""What the service tells, as values. What a newer service tells besides is left out; new words stay texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Self

Json = Any

FINISHED: Final = frozenset({"completed", "completed_with_errors", "failed", "cancelled"})


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for."""

    kind: str
    """Such as `quota`, `outage` or `poll`."""
    what: str
    since: datetime | None
    until: datetime | None
    place: int | None
    """In line, 1 for the next."""
    told: str
    """A sentence for people."""

    @classmethod
    def of(cls, told: Mapping[str, Json]) -> Self:
        """From JSON."""
        return cls(
            told["kind"],
            told["what"],
            _time(told.get("since")),
            _time(told.get("until")),
            told.get("place"),
            told.get("told", ""),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A run. Times bear their zone, UTC."""

    run_id: str
    patient_id: str
    state: str
    """Such as `queued`, `running`, `completed`, `completed_with_errors`, `failed`, `cancelled`."""
    priority: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    task_id: str | None = None
    error: str | None = None
    retries: int = 0
    documents: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """How many files by outcome, so far."""
    files: int | None = None
    """How many there are in all, None while nobody knows."""
    activity: str | None = None
    """What it is at."""
    progress: float | None = None
    """Of the search, 0 to 1."""
    wait: Wait | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in FINISHED

    @classmethod
    def of(cls, told: Mapping[str, Json]) -> Self:
        """From JSON, also of a run that was just accepted."""
        doing = told.get("doing") or {}
        return cls(
            run_id=told["run_id"],
            patient_id=told["patient_id"],
            state=told["state"],
            priority=told.get("priority", 0),
            created_at=_time(told.get("created_at")),
            started_at=_time(told.get("started_at")),
            finished_at=_time(told.get("finished_at")),
            task_id=told.get("task_id"),
            error=told.get("error"),
            retries=told.get("retries", 0),
            documents=MappingProxyType(dict(told.get("documents") or {})),
            files=told.get("files"),
            activity=doing.get("activity"),
            progress=doing.get("progress"),
            wait=Wait.of(doing["wait"]) if doing.get("wait") else None,
        )


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the archive, and what became of it."""

    path: str
    document_id: str | None
    outcome: str | None
    """None while it is still to be converted."""
    reason: str | None
    title: str | None
    author: str | None
    date: str | None
    media_type: str | None
    pages: int | None
    words: int | None
    ocr: bool
    """Whether its text was read from pictures."""
    warnings: tuple[str, ...]
    derived_from: str | None
    size: int | None
    """Of the original, in bytes."""
    files: Mapping[str, str]
    """Addresses by name (`original`, `document.pdf`, `text.md`, `thumbnail.png`), for `Client.download`."""

    @classmethod
    def of(cls, told: Mapping[str, Json]) -> Self:
        """From JSON."""
        return cls(
            path=told["path"],
            document_id=told.get("document_id"),
            outcome=told.get("outcome"),
            reason=told.get("reason"),
            title=told.get("title"),
            author=told.get("author"),
            date=told.get("date"),
            media_type=told.get("media_type"),
            pages=told.get("pages"),
            words=told.get("words"),
            derived_from=told.get("derived_from"),
            size=told.get("size"),
            ocr=bool(told.get("ocr")),
            warnings=tuple(told.get("warnings") or ()),
            files=MappingProxyType(dict(told.get("files") or {})),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Something has changed."""

    name: str
    """`run`, `service`, `summary`, or `reset`: changes may have been missed, so load anew."""
    data: Json
    run: Run | None = None
    """Of `run`."""
