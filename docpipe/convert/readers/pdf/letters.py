"""Letters and digits that were set apart, by letter spacing, are words and numbers again.

A browser that prints places each of them by itself; no blank is drawn. What tells them from columns of single
characters is that the gaps between them are equal though they are not equally wide.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from docpipe.convert.readers.pdf.rows import BOXES
from docpipe.convert.readers.pdf.words import Word

_LETTERS: Final = 4
"""The least letters of a word that shows that a line was set apart."""
_NARROW: Final = 0.05
_APART: Final = 0.95
"""The gaps between characters set apart, in sizes of the text; a wider one parts columns."""
_EVEN: Final = 0.12
"""How much the gaps between letters of a word may differ; those of columns differ more."""
_UNEQUAL: Final = 0.2
"""By how much their widths differ, so that equal gaps are no chance."""
_BLANK: Final = 0.2
"""By how much a blank between such words is wider than the gaps between their letters."""
_ALIKE: Final = 0.05
"""By how much the gaps and steps of characters that are set alike differ."""
_EQUAL: Final = 0.02
"""By how much they differ between lines, so that it is no chance."""
_NUMBER: Final = re.compile(r"[<>\u2264\u2265+\u2212-]?[0-9]+[.,][0-9]+%?")

_Run = list[Word]


def joined(
    words: Sequence[Word], beside: Sequence[float | None], is_drawn: Callable[[Word], bool]
) -> list[Word]:
    """The words of a page, those of which the letters were set apart in one piece.

    Args:
        words: those of a page in the order in which they are drawn.
        beside: the gap before each but the first, in sizes of the text, None where it is on another line.
        is_drawn: whether the blank before a word is in the PDF.
    """
    chains = [_parts(chain) for chain in _chains(words, beside, is_drawn)]
    proofs = [
        (chain[0][0], _usual(chain)) for chain in chains if any(map(_is_word, chain)) and _is_uneven(chain)
    ]
    starts: dict[int, _Run] = {}
    for chain in chains:
        for run in chain:
            if len(run) > 1 and _is_proven(run, chain, proofs):
                starts[id(run[0])] = run
    if not starts:
        return list(words)
    made: list[Word] = []
    skipped = 0
    for word in words:
        if skipped:
            skipped -= 1
            continue
        if start := starts.get(id(word)):
            skipped = len(start) - 1
            _join(start)
        made.append(word)
    for number, word in enumerate(made):
        word.at = number
    return made


def _join(run: _Run) -> None:
    """Make the first of these words all of them."""
    word = run[0]
    word.text = "".join(each.text for each in run)
    word.right, word.hyphen = run[-1].right, run[-1].hyphen
    word.top, word.bottom = max(each.top for each in run), min(each.bottom for each in run)


def _chains(
    words: Sequence[Word], beside: Sequence[float | None], is_drawn: Callable[[Word], bool]
) -> list[_Run]:
    """Single characters side by side, with no drawn blank and no wide gap between them."""
    chains: list[_Run] = []
    for before, word, gap in zip(words, words[1:], beside, strict=False):
        if len(before.text) != 1 or len(word.text) != 1 or {before.text, word.text} & BOXES:
            continue
        alike = before.struck == word.struck and abs(word.size - before.size) <= _EVEN * before.size
        if gap is None or not alike or not _NARROW < gap <= _APART or is_drawn(word):
            continue
        if chains and chains[-1][-1] is before:
            chains[-1].append(word)
        else:
            chains.append([before, word])
    return chains


def _parts(chain: _Run) -> list[_Run]:
    """The words of a line set apart: the gaps between them are wider than those within; none for columns."""
    gaps = _gaps(chain)
    usual = median(gaps)
    if any(gap < usual - _EVEN or usual + _EVEN < gap < usual + _BLANK for gap in gaps):
        usual = min(gaps)  # of a few words of one or two letters
    if any(usual + _EVEN < gap < usual + _BLANK for gap in gaps):
        return [[word] for word in chain]
    runs = [[chain[0]]]
    for word, gap in zip(chain[1:], gaps, strict=True):
        if gap > usual + _EVEN:
            runs.append([])
        runs[-1].append(word)
    return runs


def _gaps(run: _Run) -> list[float]:
    return [(word.left - before.right) / max(word.size, 0.1) for before, word in pairwise(run)]


def _usual(chain: list[_Run]) -> float:
    """The usual gap within the words of a chain."""
    return median([gap for run in chain for gap in _gaps(run)] or [0.0])


def _is_word(run: _Run) -> bool:
    """Whether this is a word or a number with equal gaps between letters that are not equally wide."""
    text = "".join(word.text for word in run)
    widths = [(word.right - word.left) / max(word.size, 0.1) for word in run]
    if len(run) < _LETTERS or max(widths) - min(widths) < _UNEQUAL:
        return False
    return text.isalpha() or (_NUMBER.fullmatch(text) is not None and _spread(_gaps(run)) <= _ALIKE)


def _is_uneven(chain: list[_Run]) -> bool:
    """Whether the steps from one character to the next are not equal, as those of columns are."""
    words = [word for run in chain for word in run]
    sizes = words[0].size
    lefts = [(after.left - word.left) / sizes for word, after in pairwise(words)]
    rights = [(after.right - word.right) / sizes for word, after in pairwise(words)]
    middles = [(left + right) / 2 for left, right in zip(lefts, rights, strict=True)]
    return min(map(_spread, (lefts, middles, rights))) > _ALIKE


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _is_proven(run: _Run, chain: list[_Run], proofs: Sequence[tuple[Word, float]]) -> bool:
    """Whether a word on its line has the same gaps; for a number, one elsewhere on the page will do."""
    text, gap = "".join(word.text for word in run), median(_gaps(run))
    for word, usual in proofs:
        same = word.turn == run[0].turn and abs(word.size - run[0].size) <= _ALIKE * word.size
        level = abs(word.base - run[0].base) <= _EVEN * word.size
        own = word is chain[0][0]
        if own or (same and level and abs(usual - gap) <= _ALIKE):
            return True
        if same and abs(usual - gap) <= _EQUAL and _NUMBER.fullmatch(text):
            return True
    return False
