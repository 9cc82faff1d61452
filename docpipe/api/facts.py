"""What the API says of one activity of a run."""

from typing import Annotated

from msgspec import Meta, Struct

_Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]


class StepFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an activity is about and what came of it, without names and texts of documents.

    Each activity has some of the members; the others are left out.
    """

    document_id: str | None = None
    path: str | None = None
    """Of the document's file in the archive."""
    search_id: str | None = None
    task_id: str | None = None
    outcome: str | None = None
    """Of a conversion."""
    reason: str | None = None
    media_type: str | None = None
    reused: bool | None = None
    """Whether the document was stored before, and needed no conversion."""
    size: _Count | None = None
    """Of the archive, in bytes."""
    state: str | None = None
    """Of the archive: whether it was ready or had expired."""
    files: _Count | None = None
    """How many the archive has."""
