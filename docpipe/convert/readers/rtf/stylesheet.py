"""The text properties of an RTF file's style sheet: struck out, hidden, raised (RTF 1.9.1, Style Sheet).

Writers repeat with each paragraph and passage what its style says; some leave that to the reader.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SHEET: Final = re.compile(rb"\\stylesheet\b")
_STYLE: Final = re.compile(rb"\{\s*(?:\\\*\s*)?\\(?:s|cs)([0-9]{1,5})\b([^{}]*)")
_WORD: Final = re.compile(rb"\\(strike|striked|v|super|sub|sbasedon)(-?[0-9]{1,5})?(?![a-z0-9])")
_LONGEST: Final = 1_000_000
_MOST_PARENTS: Final = 20


@dataclass(frozen=True, slots=True)
class Styled:
    """The text properties that a style sets."""

    struck: bool = False
    hidden: bool = False
    level: int = 0
    """1 for raised, -1 for lowered text."""


def sheet(data: bytes) -> dict[int, Styled]:
    """The styles of paragraphs and characters by number, those that set nothing left out."""
    begin = _SHEET.search(data)
    if begin is None:
        return {}
    end = begin.end() + _LONGEST
    given = {
        int(match[1]): {word: _number(value) for word, value in _WORD.findall(match[2])}
        for match in _STYLE.finditer(data, begin.end(), _end(data, begin.end(), end))
    }
    styles = {number: _styled(number, given) for number in given}
    return {number: styled for number, styled in styles.items() if styled != Styled()}


def _end(data: bytes, at: int, last: int) -> int:
    """Where the group that begins before a place ends."""
    depth = 1
    for brace in re.finditer(rb"\\.|[{}]", data[at:last], re.DOTALL):
        depth += {b"{": 1, b"}": -1}.get(brace[0], 0)
        if not depth:
            return at + brace.start()
    return last


def _number(value: bytes) -> int:
    return int(value) if value else 1


def _styled(number: int, given: Mapping[int, Mapping[bytes, int]]) -> Styled:
    words: dict[bytes, int] = {}
    at: int | None = number
    for _ in range(_MOST_PARENTS):
        own = given.get(-1 if at is None else at, {})
        words = {**own, **{word: value for word, value in words.items() if word != b"sbasedon"}}
        at = own.get(b"sbasedon")
        if at is None:
            break
    level = bool(words.get(b"super")) - bool(words.get(b"sub"))
    return Styled(bool(words.get(b"strike") or words.get(b"striked")), bool(words.get(b"v")), level)
