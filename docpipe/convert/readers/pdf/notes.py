"""Annotations of a PDF's page: notes, which a viewer opens on demand, and struck-out text."""

import ctypes
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lxml import etree
from pypdfium2 import raw

from docpipe.convert.core.blocks import tidy
from docpipe.convert.readers.pdf.rules import Rules
from docpipe.convert.readers.pdf.words import Box, Word, turned

_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
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
_NAME: Final = re.compile("[A-Z]?[a-z]+")
_HIDDEN: Final = raw.FPDF_ANNOT_FLAG_HIDDEN
_MOST_NOTES: Final = 1_000
_LONGEST: Final = 100_000
"""Characters of a note in rich text."""
_THROUGH: Final = (0.12, 0.55)
"""Where a line is that strikes text out, in sizes of the text above its base."""
_COVERED: Final = 0.6
"""The share of a word that a line crosses to strike it out."""
_OWN: Final = 0.4
"""The share of a line that is upon words if it is drawn to strike them out."""


def notes(page: Any) -> tuple[str, ...]:
    """What is written in notes that are not hidden, with their authors."""
    written = []
    for note in _annotations(page):
        if raw.FPDFAnnot_GetSubtype(note) in _NOTES and not raw.FPDFAnnot_GetFlags(note) & _HIDDEN:
            text, author = tidy(_string(note, b"Contents")), tidy(_string(note, b"T"))
            if not _LETTER_OR_DIGIT.search(text):
                text = _rich(_string(note, b"RC")) or _stamp(note)
            if _LETTER_OR_DIGIT.search(text):
                written.append(f"Note by {author}: {text}" if author else f"Note: {text}")
    return tuple(dict.fromkeys(written))


def _stamp(note: Any) -> str:
    """The text of a stamp without one of its own, from its name, such as `NotApproved`."""
    if raw.FPDFAnnot_GetSubtype(note) != raw.FPDF_ANNOT_STAMP:
        return ""
    return " ".join(_NAME.findall(_string(note, b"Name"))).lower()


def strokes(page: Any) -> tuple[Box, ...]:
    """Where text is struck out by annotations."""
    boxes: list[Box] = []
    quad = raw.FS_QUADPOINTSF()
    for note in _annotations(page):
        strikes = raw.FPDFAnnot_GetSubtype(note) == raw.FPDF_ANNOT_STRIKEOUT
        if not strikes or raw.FPDFAnnot_GetFlags(note) & _HIDDEN:
            continue
        for number in range(raw.FPDFAnnot_CountAttachmentPoints(note)):
            if raw.FPDFAnnot_GetAttachmentPoints(note, number, ctypes.byref(quad)):
                across, up = (quad.x1, quad.x2, quad.x3, quad.x4), (quad.y1, quad.y2, quad.y3, quad.y4)
                boxes.append((min(across), min(up), max(across), max(up)))
    return tuple(boxes)


def _annotations(page: Any) -> Iterator[Any]:
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST_NOTES)):
        note = raw.FPDFPage_GetAnnot(page, number)
        if not note:
            continue
        try:
            yield note
        finally:
            raw.FPDFPage_CloseAnnot(note)


def _string(note: Any, key: bytes) -> str:
    size = raw.FPDFAnnot_GetStringValue(note, key, None, 0)
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAnnot_GetStringValue(note, key, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw[: max(0, size - 2)].decode("utf-16-le", "replace")


def _rich(xml: str) -> str:
    """The text of a note in rich text, a paragraph on each line."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)
    try:
        body = etree.fromstring(xml[:_LONGEST].encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return ""
    lines = [""]
    for element in body.iter() if body is not None else ():
        if isinstance(element.tag, str) and etree.QName(element).localname in {"p", "br", "div"}:
            lines.append("")
        lines[-1] += element.text or "" if isinstance(element.tag, str) else ""
        if element is not body:
            lines[-1] += element.tail or ""
    return tidy("\n".join(lines))


def strike(words: Sequence[Word], rules: Rules, boxes: Sequence[Box]) -> None:
    """Mark the words that a drawn line or an annotation strikes out."""
    for turn in {word.turn for word in words if word.turn >= 0}:
        some = [word for word in words if word.turn == turn]
        for rule in rules.turned(turn).across:
            crossed = [
                word
                for word in some
                if _THROUGH[0] * word.size < rule.at - word.base < _THROUGH[1] * word.size
                and _common(word, rule.start, rule.end) >= _COVERED * (word.right - word.left)
            ]
            length = sum(_common(word, rule.start, rule.end) for word in crossed)
            if length >= _OWN * (rule.end - rule.start):
                for word in crossed:
                    word.struck = True
        for left, bottom, right, top in (turned(box, turn) for box in boxes):
            for word in some:
                x, y = word.middle
                word.struck = word.struck or (left <= x <= right and bottom <= y <= top)


def _common(word: Word, start: float, end: float) -> float:
    return max(0.0, min(word.right, end) - max(word.left, start))


def within(words: Sequence[Word], box: Box) -> list[Word]:
    """The words whose middle is within `box`, the visible part of the page."""
    kept = []
    for word in words:
        left, bottom, right, top = turned(box, max(0, word.turn))
        x, y = word.middle
        if left - 1 <= x <= right + 1 and bottom - 1 <= y <= top + 1:
            kept.append(word)
    return kept
