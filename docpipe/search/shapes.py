"""What is indexed, and the answer to a search."""

from typing import Final

from msgspec import Struct

from docpipe.api.hits import Hit, Hits, Line

__all__ = ["Hit", "Hits", "Line", "Text"]

INDEXED: Final = 8 * 2**20
"""Bytes of a text that are searched, since they are held in memory; a thousand pages have some 3 MiB."""


class Text(Struct, frozen=True, kw_only=True):
    """A document as the index takes it."""

    document_id: str
    name: str
    """Its name in the archive."""
    text: str = ""
    """The content of text.md, empty where there is none."""
    title: str | None = None
    author: str | None = None
    date: str | None = None
    media_type: str | None = None
