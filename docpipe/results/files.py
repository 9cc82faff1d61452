"""Results of activities on the files of an archive and their documents.

Checkpoints hold these values as JSON under the same names; a member that an older one lacks has its default,
and one that a newer one adds is left out.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

MISSING: Final = "The exchange lists it, but the archive does not hold it."
"""The reason of a member that stands for a document without a file; only a new search can bring it."""


MOST_EMBEDDED: Final = 1_500
"""Documents in documents that a run takes: each is some 25 KB of memory until the run ends."""


class Declared(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the source declares of a file; the document itself may contradict it."""

    media_type: str | None = None
    title: str | None = None
    author: str | None = None
    created: str | None = None
    custodian: str | None = None
    loinc: dict[str, str | None] | None = None
    """{"code", "display"} of the document's type."""
    warnings: list[str] = []


def merged(first: Declared, second: Declared) -> Declared:
    """What two sources declare of a file; where both do, the second counts."""
    known = {name: getattr(second, name) for name in second.__struct_fields__}
    return replace(first, **{name: value for name, value in known.items() if value not in (None, [])})


class Member(Struct, frozen=True, kw_only=True):
    """A file of the archive, or a document found in one."""

    path: str
    """Its name in the archive, with those of the archives and documents around it; never used as a path."""
    id: str | None = None
    """The first 16 hex digits of `sha256`."""
    size: int | None = None
    """Bytes."""
    sha256: str | None = None
    file: str | None = None
    """Where its bytes are, relative to the run's spool; None where they are not kept."""
    outcome: str | None = None
    """None while it is still to be converted."""
    reason: str | None = None
    duplicate_of: str | None = None
    """The path of the file with the same bytes that came first."""
    parent: str | None = None
    """The path of the archive that it was nested in."""
    derived_from: str | None = None
    """The id of the document that it was found in."""
    refetch: bool = False
    """Whether it could not be fetched, so that a retry fetches it again."""
    declared: Declared = field(name="told", default_factory=Declared)


def summed_up(path: str, parts: Sequence[Member], reason: str) -> Member:
    """One entry for documents that are not taken, refused: a line for each is what a limit is to prevent.

    Args:
        path: of the document that they are in.
        parts: the documents, one at least.
        reason: why they are refused.
    """
    return Member(
        path=f"{path}/(more documents, {len(parts):,})",
        size=sum(part.size or 0 for part in parts),
        outcome="refused",
        reason=reason,
        derived_from=parts[0].derived_from,
    )


class Converted(Struct, frozen=True, kw_only=True):
    """ConvertFile: what became of a document."""

    outcome: str
    reason: str | None = None
    media_type: str = ""
    extension: str = ""
    """Of the original, with its dot."""
    outputs: list[str] = []
    """The names of the readable forms."""
    metadata: dict[str, Any] = {}
    """As metadata.json has it."""
    embedded: list[Member] = []
    """The documents in it."""
    reused: bool = False
    """Whether it was stored before, so that nothing of it is in the spool."""
    seconds: float | None = None
    """In the worker; waiting for one is not among them."""


class Stored(Struct, frozen=True):
    """PutToStorage: where a document is, relative to the storage."""

    key: str


def item_of(number: int) -> str:
    """The item of a member of an archive, counted from 1: the name of its steps, and of its folder."""
    return f"{number:05d}"


class Archive(Struct, frozen=True, kw_only=True):
    """DocEx_DownloadAndExtract: what the exchange delivered, or that its search has expired meanwhile."""

    state: str
    """`ready` or `expired`."""
    size: int = 0
    """Bytes of the archive."""
    sha256: str | None = None
    members: list[Member] = []
    seconds: float | None = None
    """Of download and extraction; waiting for a place is not among them."""
    release: str | None = None
    """The address at which the exchange deletes what it keeps for the search."""

    @property
    def expired(self) -> bool:
        """Whether a new search is needed."""
        return self.state == "expired"


class Task(Struct, frozen=True):
    """TaskTracker_Create."""

    task_id: str


class Updated(Struct, frozen=True):
    """TaskTracker_UpdateStatus: the status that the task has, and what the tracker refused."""

    status: str | None
    problem: str | None


class Digest(Struct, frozen=True):
    """GenerateReport: the Markdown for the task, and where the full report is."""

    digest: str
    link: str


class Appended(Struct, frozen=True, kw_only=True):
    """TaskTracker_AppendReport: whether the report was appended, and what the tracker refused."""

    appended: bool
    problem: str | None
