"""The facts that a report is made from, and the contents of `report.json` and `manifest.json`.

A file that is not kept has only the members that `OF_EVERY_FILE` names.
"""

from typing import Any, Final

from msgspec import Struct, field

OF_EVERY_FILE: Final = (
    *("path", "id", "size", "sha256", "outcome", "reason"),
    *("duplicate_of", "parent", "derived_from"),
)


class Entry(Struct, frozen=True, kw_only=True):
    """A file of the archive, or a document found in one, with its outcome."""

    path: str
    """Its name in the archive, with those of the archives and documents around it."""
    id: str | None
    size: int | None
    sha256: str | None
    outcome: str
    reason: str | None
    duplicate_of: str | None
    parent: str | None
    """The path of the archive that it was nested in."""
    derived_from: str | None
    """The id of the document that it was found in."""
    media_type: str | None = None
    title: str | None = None
    author: str | None = None
    date: str | None = None
    custodian: str | None = None
    loinc: dict[str, Any] | None = None
    language: str | None = None
    pages: int | None = None
    words: int | None = None
    ocr: bool | None = None
    warnings: list[str] = []
    key: str | None = None
    """Where it is, relative to the storage; None where it is not kept."""
    original: str | None = None
    outputs: list[str] = []
    reused: bool | None = None
    """Whether it was stored before this run."""


def plain_entries(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries as JSON has them: without the members that a file which is not kept cannot have."""
    return [
        entry if entry["original"] else {name: entry[name] for name in OF_EVERY_FILE} for entry in entries
    ]


class RunFacts(Struct, frozen=True, kw_only=True):
    """The run itself. Times are ISO 8601."""

    run_id: str
    patient_id: str
    task_id: str
    state: str = ""
    """Known once the documents are stored, or the run was stopped."""
    started: str
    finished: str = ""
    """When the report is written."""
    error: str | None = None
    """What stopped the whole run."""
    problem: str | None = None
    """What the TaskTracker refused."""


class PatientFacts(Struct, frozen=True, kw_only=True):
    """The row of the patients database."""

    id: str
    given: str
    family: str
    birth_date: str
    sex: str
    postal_code: str = ""


class ArchiveFacts(Struct, frozen=True, kw_only=True):
    """What the exchange delivered; without a SHA-256 where there was nothing to deliver."""

    size: int
    sha256: str | None


class PastActivity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An activity in the timeline of the run."""

    activity: str
    item: str
    attempts: int
    started: str
    finished: str | None
    outcome: str
    polls: list[str] = []
    """When a search was polled."""

    @property
    def end(self) -> str:
        """When it finished, or else started."""
        return self.finished or self.started


class PastWait(Struct, frozen=True, kw_only=True):
    """What the run waited for."""

    activity: str
    kind: str
    what: str
    since: str
    until: str


class History(Struct, frozen=True, kw_only=True):
    """The activities and waits of a run so far."""

    started: str
    timeline: list[PastActivity]
    waits: list[PastWait]


class Mention(Struct, frozen=True, kw_only=True):
    """A document that is new, or gone."""

    path: str
    id: str | None
    title: str
    date: str | None
    key: str | None
    original: str | None


class Changes(Struct, frozen=True, kw_only=True):
    """What has changed at the exchange since the last retrieval."""

    since: str
    """When that ended, ISO 8601."""
    since_run: str
    """Its run."""
    new: list[Mention]
    """What no earlier run has."""
    gone: list[Mention]
    """What the exchange no longer has; it stays in the storage."""


class Facts(Struct, frozen=True, kw_only=True):
    """What a report is made from."""

    run: RunFacts
    patient: PatientFacts | None
    archive: ArchiveFacts | None
    documents: list[Entry]
    counts: dict[str, int] = {}
    timeline: list[PastActivity] = []
    waits: list[PastWait] = []
    changes: Changes | None = None
    """None where nothing was retrieved before."""


class Finding(Struct, frozen=True, kw_only=True):
    """A file that somebody has to look at, and why: as the manifest has it, and in plain words."""

    path: str
    id: str | None
    title: str
    outcome: str
    reason: str
    plain: str
    advice: str
    key: str | None
    original: str | None


class Report(Struct, frozen=True, kw_only=True):
    """report.json."""

    schema: str = field(name="$schema")
    schema_version: int
    run: RunFacts
    patient: PatientFacts | None
    archive: ArchiveFacts | None
    counts: dict[str, int]
    problems: list[Finding]
    not_read: list[Finding]
    to_check: list[Finding]
    documents: list[Entry]
    timeline: list[PastActivity]
    waits: list[PastWait]
    changes: Changes | None = None
    """None where nothing was retrieved before, and in reports of an older docpipe."""


class Manifest(Struct, frozen=True, kw_only=True):
    """manifest.json."""

    schema_version: int
    run: RunFacts
    counts: dict[str, int]
    archive: ArchiveFacts | None
    files: list[Entry]
