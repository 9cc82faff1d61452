"""The text of a PDF's pages, laid out by the boxes of its words, and which of them have none."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import pypdfium2
from pypdfium2 import raw

from docpipe.convert.core.blocks import Block, flat, tidy
from docpipe.convert.readers.pdf import boxes as pdf_boxes
from docpipe.convert.readers.pdf import colours, layout, spacing, unseen
from docpipe.convert.readers.pdf import fields as pdf_fields
from docpipe.convert.readers.pdf import notes as pdf_notes
from docpipe.convert.readers.pdf import rules as pdf_rules
from docpipe.convert.readers.pdf import words as pdf_words
from docpipe.convert.readers.pdf.fields import Field
from docpipe.convert.readers.pdf.words import SIGNS

_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
_WORD: Final = re.compile(r"\w+")
_STAMP_WORDS: Final = 25
"""The most words on a picture that are not its text: headers of faxes, stamps, page numbers."""
_COVERED: Final = 0.6
"""The share of a page that a picture covers to be a scan."""
_SAMPLED: Final = 100
"""Characters of a page that are checked for a mapping in their font."""
_PRIVATE: Final = (0xE000, 0xF8FF)
_SYMBOLS: Final = (0xF020, 0xF0FF)
_INVISIBLE: Final = 3


class State(StrEnum):
    """What a page's text is worth."""

    TEXT = "text"
    """It is the page's text, or the page is blank."""
    PICTURE = "picture"
    """The page shows something, but has no text."""
    STAMPED = "stamped"
    """A few words stand on a picture that covers the page."""
    GARBLED = "garbled"
    """Its characters are unknown to their fonts."""
    BROKEN = "broken"
    """The page cannot be opened."""

    @classmethod
    def to_read(cls) -> frozenset["State"]:
        """Pages that OCR may improve."""
        return frozenset({cls.PICTURE, cls.STAMPED, cls.GARBLED})


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `at` is its index, `boxes` are those of its text: left, bottom, right, top."""

    at: int
    state: State
    blocks: tuple[Block, ...] = ()
    boxes: tuple[Box, ...] = ()
    notes: tuple[str, ...] = ()
    beyond: bool = False
    """Whether there is text outside of the visible page."""

    @property
    def text(self) -> str:
        """Its text as plain lines."""
        return flat(self.blocks)


Fields = Mapping[int, tuple[Field, ...]]


def pages(document: pypdfium2.PdfDocument, fields: Fields = MappingProxyType({})) -> list[Page]:
    """Every page of a document, `fields` being those of its form by the index of their page."""
    if document.get_formtype() != raw.FORMTYPE_NONE:
        document.init_forms()
    read = []
    for at in range(len(document)):
        try:
            read.append(_page(document, at, fields.get(at, ())))
        except (pypdfium2.PdfiumError, ValueError):
            read.append(Page(at, State.BROKEN))
    return read


def _page(document: pypdfium2.PdfDocument, at: int, fields: tuple[Field, ...]) -> Page:
    page: Any = document[at]
    words: Any = None
    try:
        plain: tuple[str, _Laid] | None = None
        notes: tuple[str, ...] = ()
        strokes: tuple[Box, ...] = ()
        if raw.FPDFPage_GetAnnotCount(page) > 0:
            _without(page, fields)
            notes, strokes = pdf_notes.notes(page), pdf_notes.strokes(page)
            plain = _plain(page, fields, strokes)
            # What was filled in or written on top becomes part of the page.
            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
            page.close()
            page = document[at]
        words = page.get_textpage()
        text = words.get_text_range().translate(SIGNS)
        laid = _blocks(page, words, fields, strokes)
        if plain is not None:
            page_text = tidy(text)
            notes = tuple(
                note for note in notes if note.partition(": ")[2] not in page_text
            )  # FreeText is visible
            # Flattening has lost text of odd pages: then the page is read as it was.
            if Counter(_WORD.findall(plain[0])) - Counter(_WORD.findall(text)):
                text, laid = plain
        state, boxes = _judged(page, words, text)
        if state in {State.PICTURE, State.STAMPED}:
            boxes += tuple(field.box for field in fields)
    finally:
        if words is not None:
            words.close()
        page.close()
    blocks = laid[0] if fields or _LETTER_OR_DIGIT.search(text) else ()
    return Page(at, state, blocks, boxes, notes, laid[1])


_Laid = tuple[tuple[Block, ...], bool]
"""Blocks, and whether there was more outside of the page."""


def _without(page: Any, fields: tuple[Field, ...]) -> None:
    """Take from the page, as it is in memory, the fields whose values are known."""
    for at in sorted((field.at for field in fields), reverse=True):
        raw.FPDFPage_RemoveAnnot(page, at)


def _blocks(page: Any, words: Any, fields: tuple[Field, ...], strokes: tuple[Box, ...]) -> _Laid:
    """The text of a page and the values of its fields, laid out."""
    turn = page.get_rotation() // 90
    drawn = spacing.part(pdf_words.words(words), words)
    listed = pdf_notes.within(drawn, page.get_bbox())
    beyond = len(listed) < len(drawn)
    listed = pdf_boxes.placed(page, listed, turn)
    rules = pdf_rules.rules(page)
    unseen.mark(page, listed, words, rules.bars)
    colours.flag(listed, words, rules.papers)
    listed += pdf_fields.placed(fields, listed, turn)
    pdf_notes.strike(listed, rules, strokes)
    return tuple(layout.blocks(spacing.whole(listed), rules, turn)), beyond


def _plain(page: Any, fields: tuple[Field, ...], strokes: tuple[Box, ...]) -> tuple[str, _Laid]:
    """The text of a page without what is on top of it."""
    words = page.get_textpage()
    try:
        return words.get_text_range().translate(SIGNS), _blocks(page, words, fields, strokes)
    finally:
        words.close()


def _judged(page: Any, words: Any, text: str) -> tuple[State, tuple[Box, ...]]:
    """The state of the page's text, and its boxes where OCR needs them."""
    if not _LETTER_OR_DIGIT.search(text):
        return (State.PICTURE if raw.FPDFPage_CountObjects(page) > 0 else State.TEXT), ()
    if _is_garbled(words):
        return State.GARBLED, ()
    if len(text.split()) >= _STAMP_WORDS or not _is_scan(page):
        return State.TEXT, ()
    return State.STAMPED, tuple(words.get_rect(number) for number in range(words.count_rects()))


def _is_garbled(words: Any) -> bool:
    """Whether most of a sample of characters are numbers of shapes rather than letters."""
    count = words.count_chars()
    unknown = known = 0
    for number in range(0, count, max(1, count // _SAMPLED)):
        sign = raw.FPDFText_GetUnicode(words, number)
        if raw.FPDFText_IsGenerated(words, number) == 1 or sign in {0x20, 0xA0, 0x0A, 0x0D}:
            continue
        private = _PRIVATE[0] <= sign <= _PRIVATE[1] and not _SYMBOLS[0] <= sign <= _SYMBOLS[1]
        if private or sign == 0xFFFD or raw.FPDFText_HasUnicodeMapError(words, number) == 1:  # noqa: PLR2004
            unknown += 1
        else:
            known += 1
    return unknown > known


def _is_scan(page: Any) -> bool:
    """Whether a picture covers most of the page, and no text is invisibly over it as OCR leaves it."""
    left, bottom, right, top = page.get_bbox()
    covered = 0.0
    for part in page.get_objects(max_depth=1):
        if part.type == raw.FPDF_PAGEOBJ_TEXT:
            if raw.FPDFTextObj_GetTextRenderMode(part) == _INVISIBLE:
                return False
        elif part.type == raw.FPDF_PAGEOBJ_IMAGE or (part.type == raw.FPDF_PAGEOBJ_FORM and _has_image(part)):
            a, b, c, d = part.get_bounds()
            covered += max(0.0, min(c, right) - max(a, left)) * max(0.0, min(d, top) - max(b, bottom))
    return bool(covered >= _COVERED * (right - left) * (top - bottom))


def _has_image(form: Any) -> bool:
    return any(
        raw.FPDFPageObj_GetType(raw.FPDFFormObj_GetObject(form, number)) == raw.FPDF_PAGEOBJ_IMAGE
        for number in range(raw.FPDFFormObj_CountObjects(form))
    )
