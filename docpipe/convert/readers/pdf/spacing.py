"""What stands between a PDF's words: blanks that are drawn, cells set side by side, letters set apart."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from pypdfium2 import raw

from docpipe.convert.core.direction import direction
from docpipe.convert.readers.pdf.letters import joined
from docpipe.convert.readers.pdf.rows import BOXES
from docpipe.convert.readers.pdf.words import Word

_WIDE: Final = 0.5
"""A blank is no wider than this, in sizes of the text, unless a line was stretched."""
_FARTHEST: Final = 1.0
_NARROW: Final = 0.05
"""The gap between parts of one word."""
_SAMPLED: Final = 40
_DRAWN: Final = 0.9
"""The share of blanks that are drawn in PDFs whose writers draw them."""
_TOUCHING: Final = 0.1
"""The least gap that is a blank, between words on one line."""
_LEVEL: Final = 0.1
"""By how much the lines and the sizes of pieces of a word differ at most, in sizes of the text."""


def part(words: Sequence[Word], text: Any) -> list[Word]:
    """Join letters that were set apart, and find what was set beside other words without a blank.

    Args:
        words: those of a page in the order in which they are drawn.
        text: the text page that they are of.
    """
    beside = [_gap(before, word) for before, word in pairwise(words)]
    made = joined(words, beside, lambda word: _is_drawn(word, text))
    narrow = [at for at, gap in enumerate(beside) if gap is not None and 2 * _NARROW < gap < _WIDE]
    sample = narrow[:: max(1, len(narrow) // _SAMPLED)]
    drawn = sum(_is_drawn(words[at + 1], text) for at in sample)
    if drawn >= _DRAWN * len(sample):
        for word, gap in zip(words[1:], beside, strict=False):
            word.loose = gap is None or (gap >= _WIDE and not _is_drawn(word, text))
    return made


def whole(words: Sequence[Word]) -> list[Word]:
    """The words of a page, those whose letters were drawn one by one in one piece.

    Columns are found by words: a letter that counts as one begins a column where another row has a cell.
    """
    made: list[Word] = []
    last = -1
    for word in sorted(words, key=lambda word: word.at):
        at, last = last, word.at
        if made and at == word.at - 1 and _is_piece(made[-1], word):
            _take(made[-1], word)
        else:
            word.at = made[-1].at + (word.at > at) if made else 0
            made.append(word)
    ways = [direction(word.text) for word in made]
    if ways.count("R") > ways.count("L"):
        for word in made:
            word.leftwards = True
    return made


def _is_piece(before: Word, word: Word) -> bool:
    """Whether a word is a further piece of the one before, which it touches with no blank between them."""
    level = word.turn == before.turn and abs(word.base - before.base) <= _LEVEL * word.size
    same = word.struck == before.struck and abs(word.size - before.size) <= _LEVEL * before.size
    blank = word.hyphen or before.hyphen or (word.space and not word.newline)
    if not level or not same or blank or {before.text, word.text} & BOXES:
        return False
    gap = (word.left - before.right) / max(word.size, 0.1)
    ways = {direction(before.text), direction(word.text)}
    if ways == {"R"}:
        gap = max(gap, (before.left - word.right) / max(word.size, 0.1))
        return -_TOUCHING < gap < 2 * _TOUCHING
    return "R" not in ways and -_TOUCHING < gap < _TOUCHING


def _take(before: Word, word: Word) -> None:
    """Add a piece to the word before it, at the side at which it is read."""
    leftwards = direction(word.text) == "R" and word.left < before.left
    rightwards = direction(word.text) == "R" and not leftwards
    before.text = word.text + before.text if rightwards else before.text + word.text
    before.left, before.right = min(before.left, word.left), max(before.right, word.right)
    before.bottom, before.top = min(before.bottom, word.bottom), max(before.top, word.top)


def _gap(before: Word, word: Word) -> float | None:
    """What is between two words of a line, in sizes of the text; None where they are far from each other."""
    if word.turn != before.turn or abs(word.base - before.base) > 0.1 * word.size:
        return None
    gap = (word.left - before.right) / max(word.size, 0.1)
    return gap if -_WIDE <= gap <= _FARTHEST else None


def _is_drawn(word: Word, text: Any) -> bool:
    """Whether the blank before a word is in the PDF, and not pdfium's."""
    return word.first > 0 and raw.FPDFText_IsGenerated(text, word.first - 1) == 0
