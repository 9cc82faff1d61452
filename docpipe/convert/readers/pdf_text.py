"""The text of a PDF's pages as pdfium reads it, and which of them have none."""

import ctypes
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import pypdfium2
from pypdfium2 import raw

from docpipe.convert.core.blocks import tidy

_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
_WORD: Final = re.compile(r"\w+")
_SIGNS: Final = str.maketrans(
    dict.fromkeys((*range(9), *range(14, 32), *range(127, 160)), " ")
    | {2: "-", 0xFFFE: "-", 0xAD: "-"}  # what pdfium gives for a hyphen at the end of a line
)
"""Control characters in a PDF's text stand between words, where a font had no better name for a gap."""
_STAMP_WORDS: Final = 25
"""Words that may stand on a picture without being its text: headers of faxes, stamps, page numbers."""
_COVERED: Final = 0.6
"""The share of a page that a picture covers to be a scan."""
_SAMPLED: Final = 100
"""Characters of a page that are asked whether their font knows them."""
_PRIVATE: Final = (0xE000, 0xF8FF)
_SYMBOLS: Final = (0xF020, 0xF0FF)
_INVISIBLE: Final = 3
_NOTES: Final = frozenset(
    {
        raw.FPDF_ANNOT_TEXT,
        raw.FPDF_ANNOT_FREETEXT,
        raw.FPDF_ANNOT_LINE,
        raw.FPDF_ANNOT_SQUARE,
        raw.FPDF_ANNOT_CIRCLE,
        raw.FPDF_ANNOT_POLYGON,
        raw.FPDF_ANNOT_POLYLINE,
        raw.FPDF_ANNOT_HIGHLIGHT,
        raw.FPDF_ANNOT_UNDERLINE,
        raw.FPDF_ANNOT_SQUIGGLY,
        raw.FPDF_ANNOT_STRIKEOUT,
        raw.FPDF_ANNOT_STAMP,
        raw.FPDF_ANNOT_CARET,
        raw.FPDF_ANNOT_INK,
        raw.FPDF_ANNOT_FILEATTACHMENT,
    }
)
_HIDDEN: Final = raw.FPDF_ANNOT_FLAG_HIDDEN
_MOST_NOTES: Final = 1_000


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
        """Pages that OCR may know more of."""
        return frozenset({cls.PICTURE, cls.STAMPED, cls.GARBLED})


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `at` is its index, `boxes` is where its text stands: left, bottom, right, top."""

    at: int
    state: State
    text: str = ""
    boxes: tuple[Box, ...] = ()
    notes: tuple[str, ...] = ()


def pages(document: pypdfium2.PdfDocument) -> list[Page]:
    """Every page of a document."""
    if document.get_formtype() != raw.FORMTYPE_NONE:
        document.init_forms()
    found = []
    for at in range(len(document)):
        try:
            found.append(_page(document, at))
        except (pypdfium2.PdfiumError, ValueError):
            found.append(Page(at, State.BROKEN))
    return found


def _page(document: pypdfium2.PdfDocument, at: int) -> Page:
    page: Any = document[at]
    words: Any = None
    try:
        plain = ""
        notes: tuple[str, ...] = ()
        if raw.FPDFPage_GetAnnotCount(page) > 0:
            plain, notes = _plain(page), _notes(page)
            # What was filled in or written on top becomes part of the page.
            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
            page.close()
            page = document[at]
        words = page.get_textpage()
        text = words.get_text_range().translate(_SIGNS)
        if plain:
            shown = tidy(text)
            notes = tuple(note for note in notes if note.partition(": ")[2] not in shown)  # FreeText is shown
            # Flattening has lost text of odd pages: then the page is read as it was.
            text = plain if Counter(_WORD.findall(plain)) - Counter(_WORD.findall(text)) else text
        state, boxes = _judged(page, words, text)
    finally:
        if words is not None:
            words.close()
        page.close()
    return Page(at, state, tidy(text) if _LETTER_OR_DIGIT.search(text) else "", boxes, notes)


def _plain(page: Any) -> str:
    """The text of a page without what lies on top of it."""
    words = page.get_textpage()
    try:
        return str(words.get_text_range()).translate(_SIGNS)
    finally:
        words.close()


def _judged(page: Any, words: Any, text: str) -> tuple[State, tuple[Box, ...]]:
    """What the text is worth, and where it stands if that matters."""
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
    """Whether a picture covers most of the page, and no text lies invisibly over it as OCR leaves it."""
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


def _notes(page: Any) -> tuple[str, ...]:
    """What people wrote into notes, which a page shows only when it is asked to."""
    found = []
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST_NOTES)):
        note = raw.FPDFPage_GetAnnot(page, number)
        if not note:
            continue
        try:
            if raw.FPDFAnnot_GetSubtype(note) in _NOTES and not raw.FPDFAnnot_GetFlags(note) & _HIDDEN:
                text, author = (tidy(_string(note, key)) for key in (b"Contents", b"T"))
                if _LETTER_OR_DIGIT.search(text):
                    found.append(f"Note by {author}: {text}" if author else f"Note: {text}")
        finally:
            raw.FPDFPage_CloseAnnot(note)
    return tuple(dict.fromkeys(found))


def _string(note: Any, key: bytes) -> str:
    size = raw.FPDFAnnot_GetStringValue(note, key, None, 0)
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAnnot_GetStringValue(note, key, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw[: max(0, size - 2)].decode("utf-16-le", "replace")
