"""A Bundle in a file, read entry by entry: of a page, one resource is in memory at a time.

Python's reader of JSON takes ten to fifty times the size of a text that is made for it. Here the text is only
gone through for its brackets and strings, to find where each entry begins and ends.
"""

import contextlib
import mmap
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.resources import Bundle, Entry, Resource, resources
from docpipe.sources.fhir.vocabulary import json_value

LARGE: Final = 2**20
"""Bytes of an entry within which a list of entries is looked for before it is read as a whole."""
_AT_ONCE: Final = 8 * 2**20
"""Bytes of the file that stay in memory while it is gone through."""
_SKIP: Final = re.compile(
    rb'(?:[^"\[\]{}]{1,4096}+|"[^"\\]{0,65536}+(?:\\.[^"\\]{0,4096}+){0,32}"){0,64}', re.DOTALL
)
"""Anything but brackets, with whole strings. Each part is bounded, and gives nothing back."""
_INSIDE: Final = re.compile(rb"(?:[^\"\\]{1,65536}+|\\.){0,64}", re.DOTALL)
_OPENING: Final = b"[{"
_CLOSING: Final = b"]}"
_QUOTE: Final = 0x22
MOST_ENTRIES: Final = 100_000
"""Of one page; a run takes 10,000 files."""
_MOST_BRACKETS: Final = 8_000_000
"""Of one page: to go through them takes some seconds."""
_MOST_REST: Final = 16 * 2**20
"""Bytes of an object without its entries."""
_KEY: Final = 64
"""Bytes before a bracket in which the name of its member is looked for, blanks included."""
_NOTHING: Final = b"{}"


class Span(NamedTuple):
    """Where an object is in the text."""

    start: int
    end: int


class _Brackets:
    """The brackets of a JSON text that are in no string, one after the other."""

    def __init__(self, text: mmap.mmap, span: Span) -> None:
        self._text = text
        self._end = span.end
        self._at = self._kept = span.start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Place and sign of each.

        Raises:
            ValueError: a string does not end, or there are too many.
        """
        text, end, number = self._text, self._end, 0
        while (at := self._skipped()) < end:
            if text[at] == _QUOTE:
                self._at = self._after_string(at + 1)
            elif text[at] in _OPENING or text[at] in _CLOSING:
                if (number := number + 1) > _MOST_BRACKETS:
                    raise ValueError("too many brackets")
                yield at, text[at]
                self._at = at + 1

    def _skipped(self) -> int:
        """The next place that is not skipped; what lies before it need not stay in memory."""
        match = _SKIP.match(self._text, self._at, self._end)
        self._at = match.end() if match else self._end
        if self._at - self._kept > _AT_ONCE:
            self._forget()
        return self._at

    def _after_string(self, at: int) -> int:
        while at < self._end:
            match = _INSIDE.match(self._text, at, self._end)
            after = match.end() if match else at
            if after < self._end and self._text[after] == _QUOTE:
                return after + 1
            if after == at:
                break
            at = self._at = after
            if at - self._kept > _AT_ONCE:
                self._forget()
        raise ValueError("a string without an end")

    def _forget(self) -> None:
        self._text.madvise(mmap.MADV_DONTNEED)
        self._kept = self._at


class Listing:
    """A Bundle, or any other JSON object, without its entries in memory.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested deeper than Python's stack.
    """

    def __init__(self, text: mmap.mmap, span: Span) -> None:
        self._text = text
        rest, self._spans = _split(text, span, b"entry")
        self.head: Resource = _object(rest)
        """The members of the object, with an empty list in place of its entries."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """That of a file.

        Raises:
            ValueError: the file is no JSON object.
            RecursionError: it is nested deeper than Python's stack.
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # ValueError where it is empty
        start = text.find(b"{", 0, LARGE)
        if start < 0 or text[:start].lstrip(b"\xef\xbb\xbf").strip():
            raise ValueError("no JSON object")
        return cls(text, Span(start, len(text)))

    @property
    def bundle(self) -> Bundle | None:
        """What it says of itself, without entries; None where it is no Bundle."""
        return struct_of(Bundle, self.head) if self.head.get("resourceType") == "Bundle" else None

    @property
    def matches(self) -> int:
        """How many of its entries are matches; OperationOutcomes and included resources are none."""
        return sum(1 if entry is None else Bundle(entry=[entry]).matches for entry, _ in self.entries())

    def entries(self) -> Iterator["tuple[Entry | None, Listing | None]"]:
        """Each entry; with the Bundle in it, where that is a searchset too large to be read as a whole.

        None stands for an entry that cannot be read.
        """
        for span in self._places():
            try:
                yield self._searchset_at(span) or (self._whole(span), None)
            except (ValueError, RecursionError):
                yield None, None

    def _whole(self, span: Span) -> Entry:
        return struct_of(Entry, json_value(self._text[span.start : span.end])) or Entry()

    def _searchset_at(self, span: Span) -> "tuple[Entry, Listing] | None":
        """An entry of more than LARGE bytes with the searchset in it; None where there is none."""
        if span.end - span.start <= LARGE:
            return None
        with contextlib.suppress(ValueError):  # such as one large document
            entry, inner = self._parts(span)
            if inner is not None and (bundle := inner.bundle) is not None and bundle.type == "searchset":
                return entry, inner
        return None

    def parts(self) -> Iterator["tuple[Entry, Listing | None]"]:
        """Each entry without its resource, and that; those that cannot be read are left out."""
        for span in self._places():
            with contextlib.suppress(ValueError, RecursionError):
                yield self._parts(span)

    def resources(self) -> Iterator[tuple[Resource, str]]:
        """As `resources.resources`; an empty one for each entry that cannot be read."""
        for entry, inner in self.entries():
            if inner is not None:
                yield from inner.resources()
            elif entry is None:
                yield {}, ""
            else:
                yield from resources(Bundle(entry=[entry]))

    def _places(self) -> Iterator[Span]:
        return map(Span, self._spans[::2], self._spans[1::2])

    def _parts(self, span: Span) -> "tuple[Entry, Listing | None]":
        rest, spans = _split(self._text, span, b"resource")
        resource = Listing(self._text, Span(*spans[:2])) if spans else None
        return struct_of(Entry, _object(rest)) or Entry(), resource


def _object(raw: bytes) -> Resource:
    value = json_value(raw)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 -- of the text, as for any other that is none
    return value


def _split(text: mmap.mmap, span: Span, name: bytes) -> tuple[bytes, "array[int]"]:
    """Cut the objects out of one member of an object, which is an object itself or a list of them.

    Returns:
        The text of the rest, and where each object starts and ends.

    Raises:
        ValueError: the brackets do not fit, or something follows the object.
    """
    key = re.compile(rb'(?<!\\)"' + name + rb'"[ \t\r\n]*:[ \t\r\n]*\Z')
    rest, kept = bytearray(), span.start
    spans, opened = array("q"), bytearray()
    inside, start = 0, 0  # the depth of the member's objects, 0 outside of it
    for at, sign in _Brackets(text, span):
        if sign in _OPENING:
            opened.append(sign)
            if len(opened) == 2 and not inside and key.search(text[max(at - _KEY, span.start) : at]):  # noqa: PLR2004 -- a member
                rest += _within(text, kept, at)
                inside = 2 if sign == _OPENING[1] else 3
            if inside and len(opened) == inside and sign == _OPENING[1]:
                start = at
            continue
        if not opened or opened.pop() != sign - 2:
            raise ValueError("brackets that do not fit")
        if inside and len(opened) == inside - 1 and sign == _CLOSING[1]:
            _append(spans, Span(start, at + 1))
        if inside and len(opened) == 1:
            rest, inside, kept = rest + (b"[]" if inside == 3 else _NOTHING), 0, at + 1  # noqa: PLR2004 -- a list
        if not opened:
            if _within(text, at + 1, span.end).strip():
                raise ValueError("something follows the object")
            return bytes(rest + _within(text, kept, at + 1)), spans
    raise ValueError("an object without an end")


def _append(spans: "array[int]", span: Span) -> None:
    if len(spans) >= 2 * MOST_ENTRIES:
        raise ValueError("too many entries")
    spans.extend(span)


def _within(text: mmap.mmap, start: int, end: int) -> bytes:
    if end - start > _MOST_REST:
        raise ValueError("too large without its entries")
    return text[start:end]
