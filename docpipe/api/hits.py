"""Answers of the API to a full-text search."""

from msgspec import Struct


class Line(Struct, frozen=True, kw_only=True):
    """A line of text.md with what matches."""

    number: int
    """From 1."""
    text: str
    """At most 160 characters of it, without control characters."""
    marks: list[tuple[int, int]]
    """Where in `text` a match starts and ends, in code points, in order."""


class Hit(Struct, frozen=True, kw_only=True):
    """A document that matches."""

    patient_id: str
    document_id: str
    name: str
    title: str | None
    author: str | None
    date: str | None
    media_type: str | None
    lines: list[Line]
    """At most three; none where only title, name or author match."""


class Hits(Struct, frozen=True, kw_only=True):
    """The answer to a search."""

    total: int
    """Documents that match; where `more`, at least this many."""
    more: bool
    """Whether counting was stopped at `total`; hits are then the latest stored, else by title and date."""
    complete: bool
    """False where documents of an older docpipe may be missing in the index, until it is rebuilt."""
    hits: list[Hit]
