"""What stands between a PDF's words: blanks that are drawn, cells set side by side, letters set apart."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

from pypdfium2 import raw

from docpipe.convert.readers.pdf.words import Word

_WIDE: Final = 0.5
"""A blank is no wider than this, in sizes of the text, unless a line was stretched."""
_FARTHEST: Final = 1.0
_NARROW: Final = 0.05
"""The gap between parts of one word."""
_SAMPLED: Final = 40
_DRAWN: Final = 0.9
"""The share of blanks that are drawn in PDFs whose writers draw them."""
_LETTERS: Final = 4
"""The least letters of a heading that was set apart."""
_APART: Final = 0.95
_EVEN: Final = 0.12
"""How much the gaps between such letters may differ, in sizes of the text; those of columns differ more."""
_UNEQUAL: Final = 0.2
"""By how much their widths differ, so that equal gaps are no chance."""


def part(words: Sequence[Word], text: Any) -> list[Word]:
    """Join letters that were set apart, and find what was set beside other words without a blank.

    Args:
        words: those of a page in the order in which they are drawn.
        text: the text page that they are of.
    """
    beside = [_gap(before, word) for before, word in pairwise(words)]
    joined = _joined(words, beside, text)
    narrow = [at for at, gap in enumerate(beside) if gap is not None and 2 * _NARROW < gap < _WIDE]
    sample = narrow[:: max(1, len(narrow) // _SAMPLED)]
    drawn = sum(_is_drawn(words[at + 1], text) for at in sample)
    if drawn >= _DRAWN * len(sample):
        for word, gap in zip(words[1:], beside, strict=False):
            word.loose = gap is None or (gap >= _WIDE and not _is_drawn(word, text))
    return joined


def _gap(before: Word, word: Word) -> float | None:
    """What is between two words of a line, in sizes of the text; None where they are far from each other."""
    if word.turn != before.turn or abs(word.base - before.base) > 0.1 * word.size:
        return None
    gap = (word.left - before.right) / max(word.size, 0.1)
    return gap if -_WIDE <= gap <= _FARTHEST else None


def _is_drawn(word: Word, text: Any) -> bool:
    """Whether the blank before a word is in the PDF, and not pdfium's."""
    return word.first > 0 and raw.FPDFText_IsGenerated(text, word.first - 1) == 0


def _joined(words: Sequence[Word], beside: Sequence[float | None], text: Any) -> list[Word]:
    made: list[Word] = []
    at = 0
    while at < len(words):
        end = at + 1
        while end < len(words) and _is_letter(words[end]) and _is_letter(words[end - 1]):
            gap = beside[end - 1]
            if gap is None or not _NARROW < gap <= _APART or _is_drawn(words[end], text):
                break
            end += 1
        run = words[at:end]
        if len(run) >= _LETTERS and _is_even(run, [gap for gap in beside[at : end - 1] if gap is not None]):
            word = run[0]
            word.text = "".join(each.text for each in run)
            word.right = run[-1].right
            word.top, word.bottom = max(each.top for each in run), min(each.bottom for each in run)
            made.append(word)
        else:
            made += run
        at = end
    if len(made) < len(words):
        for number, word in enumerate(made):
            word.at = number
    return made


def _is_letter(word: Word) -> bool:
    return len(word.text) == 1 and word.text.isalpha()


def _is_even(run: Sequence[Word], gaps: Sequence[float]) -> bool:
    """Whether the gaps are equal though the letters are not equally wide."""
    widths = [(word.right - word.left) / word.size for word in run]
    usual = median(gaps)
    return max(widths) - min(widths) >= _UNEQUAL and all(abs(gap - usual) <= _EVEN for gap in gaps)
