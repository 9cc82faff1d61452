"""Marks of meaning within a block's text: struck out, inserted, bold, italic, raised and lowered.

A mark is a pair of noncharacters of Unicode (U+FDD0 to U+FDD7) around a passage; no text that is
exchanged has noncharacters. `spans` reads them whatever their order: a missing or doubled one loses no word.
Raised and lowered text has characters of its own in Unicode, or follows `^` and `_`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final


class Mark(Flag):
    """The marks that a passage may have."""

    NONE = 0
    STRUCK = auto()
    INSERTED = auto()
    BOLD = auto()
    ITALIC = auto()


@dataclass(frozen=True, slots=True)
class Span:
    """A passage with one set of marks."""

    text: str
    marks: Mark


_OPENING: Final = {
    Mark.STRUCK: "\ufdd0",
    Mark.INSERTED: "\ufdd2",
    Mark.BOLD: "\ufdd4",
    Mark.ITALIC: "\ufdd6",
}
_OPENS: Final = {sign: mark for mark, sign in _OPENING.items()}
_CLOSES: Final = {chr(ord(sign) + 1): mark for mark, sign in _OPENING.items()}
_SIGN: Final = re.compile("([\ufdd0-\ufdd7])")
_AROUND: Final = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)

SUPERSCRIPTS: Final = str.maketrans("0123456789+-\u2212=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
SUBSCRIPTS: Final = str.maketrans("0123456789+-\u2212=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_HIGH: Final = re.compile(r"[0-9+\-\u2212=()ni]+")
_LOW: Final = re.compile(r"[0-9+\-\u2212=()]+")
_LOW_MIXED: Final = re.compile(r"([0-9]+)([a-z])")
_ORDINAL: Final = re.compile(r"(?i:st|nd|rd|th|er|re|ème|os|as|tm|sm)|[®™©ªº°]+")
"""What is raised for looks alone: 1st, 2nd, 1er, a trade mark."""


def mark(text: str, marks: Mark) -> str:
    """The text with marks around each line of it but the blanks at its ends; blank text stays as it is."""
    if not marks or not text.strip():
        return text
    return "\n".join(_marked(line, marks) for line in text.split("\n"))


def _marked(line: str, marks: Mark) -> str:
    before, inner, after = _AROUND.fullmatch(line).groups()  # type: ignore[union-attr]  # matches any line
    if not inner:
        return line
    for each, sign in _OPENING.items():
        if each in marks:
            inner = f"{sign}{inner}{chr(ord(sign) + 1)}"
    return f"{before}{inner}{after}"


def struck(text: str) -> str:
    """Text that is struck out: superseded, wrong, deleted."""
    return mark(text, Mark.STRUCK)


def inserted(text: str) -> str:
    """Text that a tracked change inserts."""
    return mark(text, Mark.INSERTED)


def raised(text: str) -> str:
    """Text above the line: digits and signs as superscripts, ordinals as they are, others behind `^`."""
    return _shifted(text, "^", _HIGH, SUPERSCRIPTS)


def lowered(text: str) -> str:
    """Text below the line: digits and signs as subscripts (HbA₁c with its letter), others behind `_`."""
    if match := _LOW_MIXED.fullmatch(text):
        return match[1].translate(SUBSCRIPTS) + match[2]
    return _shifted(text, "_", _LOW, SUBSCRIPTS)


def _shifted(text: str, sign: str, fitting: re.Pattern[str], table: dict[int, int]) -> str:
    before, inner, after = _AROUND.fullmatch(text).groups()  # type: ignore[union-attr]  # matches any text
    if not inner or (sign == "^" and _ORDINAL.fullmatch(inner)):
        return text
    if fitting.fullmatch(plain(inner)):
        return f"{before}{inner.translate(table)}{after}"
    if len(inner) == 1:
        return f"{before}{sign}{inner}{after}"
    return f"{before}{sign}({inner}){after}"


def plain(text: str) -> str:
    """The text without its marks."""
    return _SIGN.sub("", text)


def literal(text: str) -> str:
    """The text where only characters can mark it: `~~` around what is struck out, and no other mark."""
    return "".join(
        f"~~{part.text}~~" if Mark.STRUCK in part.marks and part.text.strip() else part.text
        for part in spans(text)
    )


def spans(text: str) -> Iterator[Span]:
    """The passages of a text with their marks, neighbours of the same marks joined; no character is lost.

    A mark ends at the end of its line: a sign that nothing closes marks no more than that.
    """
    listed = list(_passages(text))
    joined: list[Span] = []
    for at, each in enumerate(listed):
        marks = each.marks
        after = listed[at + 1].marks if at + 1 < len(listed) else Mark.NONE
        if joined and not each.text.strip(" \t") and joined[-1].marks == after:
            marks = after  # a blank between two passages of the same marks
        if joined and joined[-1].marks == marks:
            joined[-1] = Span(joined[-1].text + each.text, marks)
        else:
            joined.append(Span(each.text, marks))
    yield from joined


def _passages(text: str) -> Iterator[Span]:
    marks = Mark.NONE
    for part in _SIGN.split(text):
        if part in _OPENS:
            marks |= _OPENS[part]
        elif part in _CLOSES:
            marks &= ~_CLOSES[part]
        else:
            for line in part.splitlines(keepends=True):
                yield Span(line, marks)
                if line.endswith("\n"):
                    marks = Mark.NONE


def only_part(text: str) -> str:
    """The text without bold and italic where they cover the whole of it, and so set nothing apart."""
    parts = [part for part in spans(text) if part.text.strip()]
    for each in (Mark.BOLD, Mark.ITALIC):
        if parts and all(each in part.marks for part in parts):
            text = text.replace(_OPENING[each], "").replace(chr(ord(_OPENING[each]) + 1), "")
    return text
