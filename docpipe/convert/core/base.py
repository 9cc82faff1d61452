"""The input and the output of every reader: a source, and its content."""

import json
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from docpipe.convert.core.blocks import Block
from docpipe.errors import DocpipeError


class UnreadableError(DocpipeError):
    """The document cannot be read; the message is the reason, in a sentence that a nurse understands."""


class NothingToReadError(DocpipeError):
    """The document is sound but has no content to convert; it is stored as it is."""


class MissingExtraError(NothingToReadError):
    """The document needs a part of docpipe that is not installed; it is kept as it is."""

    def __init__(self, name: str, extra: str) -> None:
        """`name` as in "this is ...", with its article; `extra` is its name for pip."""
        super().__init__(f"This is {name}; install docpipe[{extra}] to have it converted.")
        self.extra = extra


class Siblings(Collection[str]):
    """Names that are read from a JSON file at the first access; few documents need them."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    @cached_property
    def _names(self) -> list[str]:
        return list(json.loads(Path(self._file).read_bytes())) if self._file else []

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


@dataclass(frozen=True, slots=True)
class Source:
    """One document to read. Its name and declared type come from the sender: hints, never trusted."""

    path: Path
    media_type: str
    name: str = ""
    declared: str | None = None
    siblings: Collection[str] = ()
    """Names of the members of the same archive."""

    began: float = field(default_factory=time.monotonic)
    """When the conversion began, of the clock time.monotonic."""
    seconds: float = 300.0
    """How long the conversion may take."""
    languages: tuple[str, ...] = ("eng",)
    """Of what is read by OCR, as tesseract names them; none where it is not wanted."""
    places: Path | None = None
    """A file with the number of processes that may read pages at present; one where it is not there."""

    def data(self) -> bytes:
        """The whole document."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Facts:
    """Metadata that the document itself contains. Dates are ISO 8601, as precise as in the document."""

    title: str | None = None
    date: str | None = None
    author: str | None = None
    custodian: str | None = None
    loinc: Mapping[str, str | None] | None = None
    """{"code", "display"} of the document's type."""
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """A document inside of another. Its name is for people; it never becomes a path."""

    name: str
    declared: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a document, as a reader returns it."""

    blocks: tuple[Block, ...]
    pdf: Path | bytes | None = None
    """The document as a PDF, None where it is to be set from the blocks."""
    bare: bool = False
    """Whether `pdf` is a picture on pages without the name of the patient; each gets a line above it."""
    facts: Facts = field(default_factory=Facts)
    embedded: tuple[Embedded, ...] = ()
    warnings: tuple[str, ...] = ()
    undrawn: tuple[str, ...] = ()
    """Warnings that hold only where the PDF is set from the blocks: of what it does not show then."""
    claimed: str | None = None
    """The PDF/A level the original claims, such as `PDF/A-1b`."""
    proven: str | None = None
    """The PDF/A level that `pdf` was checked against and met."""
    libraries: tuple[str, ...] = ()
    """The distributions that did the reading; a program's name has its version after a blank."""
    ocr_pages: tuple[int, ...] = ()
    """The pages, from 1, whose text was read by OCR."""


SCANNED = "scanned pages were not read"
"""The warning for pages that are pictures of text."""


def each_once(warnings: Iterator[str] | list[str]) -> tuple[str, ...]:
    """The warnings in their order, each one once."""
    return tuple(dict.fromkeys(warnings))
