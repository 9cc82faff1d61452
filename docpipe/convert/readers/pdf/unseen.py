"""Text of a PDF's page that cannot be seen: in the colour of its paper, below a bar, clear, or too small.

Whether a word is seen is read from a picture of the page, which is drawn only where some may not be seen.
"""

import ctypes
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from pypdfium2 import raw

from docpipe.convert.core.legible import is_too_small
from docpipe.convert.readers.pdf.words import Box, Word, turned

HIDDEN: Final = 'text that the page does not show is marked as "hidden"'
_LIGHT: Final = 235
"""The least of red, green and blue of letters that white paper may hide."""
_CLEAR: Final = 8
"""Opacity, of 255, up to which letters leave no trace."""
_INVISIBLE: Final = frozenset({raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP})
_LABEL: Final = 200
"""Points; on less paper small letters are those of a label."""
_EVEN: Final = 12
"""Steps of 255 within which no eye sees letters."""
_MOST_PIXELS: Final = 2_000_000
_LEAST_PIXELS: Final = 3
_RUN: Final = 1.5
"""Sizes of the text within which hidden words are one passage."""


def mark(page: Any, words: Sequence[Word], text: Any, bars: Sequence[Box]) -> None:
    """Put words that cannot be seen into brackets, `[hidden: so]`.

    Args:
        page: the page.
        words: its words.
        text: the text page that they are of.
        bars: the dark areas of the page.
    """
    lettered = [word for word in words if any(map(str.isalnum, word.text))]
    small = [word for word in lettered if is_too_small(word.size) and min(page.get_size()) >= _LABEL]
    looks: dict[int | None, bool] = {}
    doubtful = [
        word
        for word in lettered
        if word.turn >= 0 and (_is_faint(word, text, looks) or (bars and _is_barred(word, bars)))
    ]
    if len(doubtful) == len(lettered):
        doubtful = [word for word in doubtful if not _is_invisible(word, text)]  # of OCR, or of signatures
    seen = _Picture(page) if doubtful else None
    hidden = {id(word) for word in small}
    hidden |= {id(word) for word in doubtful if seen is not None and seen.is_even(word)}
    for passage in _passages(words, hidden):
        passage[0].text = f"[hidden: {passage[0].text}"
        passage[-1].text += "]"


def _passages(words: Sequence[Word], hidden: set[int]) -> Iterator[list[Word]]:
    """Hidden words that follow each other on a line."""
    listed = [word for word in words if id(word) in hidden]
    if not listed:
        return
    passage = listed[:1]
    for before, word in pairwise(listed):
        near = word.turn == before.turn and abs(word.base - before.base) <= 0.5 * max(before.size, 1)
        if (
            not near
            or not -1 <= (word.left - before.right) / max(before.size, 1) <= _RUN
            or word.at != before.at + 1
        ):
            yield passage
            passage = []
        passage.append(word)
    yield passage


def _is_faint(word: Word, text: Any, looks: dict[int | None, bool]) -> bool:
    """Whether a word's colour or way of drawing may hide it; it is that of all words drawn in one go."""
    part = raw.FPDFText_GetTextObject(text, word.first)
    key = ctypes.addressof(part.contents) if part else None
    if key not in looks:
        red, green, blue, solid = parts = [ctypes.c_uint() for _ in range(4)]
        coloured = raw.FPDFText_GetFillColor(text, word.first, *map(ctypes.byref, parts))
        light = min(red.value, green.value, blue.value) >= _LIGHT
        looks[key] = bool(coloured and (solid.value <= _CLEAR or light)) or _is_invisible(word, text)
    return looks[key]


def _is_barred(word: Word, bars: Sequence[Box]) -> bool:
    """Whether a dark area may cover a word."""
    x, y = word.middle
    upright = (turned(bar, word.turn) for bar in bars)
    return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in upright)


def _is_invisible(word: Word, text: Any) -> bool:
    part = raw.FPDFText_GetTextObject(text, word.first)
    return bool(part) and raw.FPDFTextObj_GetTextRenderMode(part) in _INVISIBLE


class _Picture:
    """The page as it is seen, in shades of gray."""

    def __init__(self, page: Any) -> None:
        self._page = page
        wide, high = page.get_size()
        scale = min(1.5, math.sqrt(_MOST_PIXELS / max(wide * high, 1)))
        self._image = page.render(scale=scale, grayscale=True, may_draw_forms=False).to_pil().convert("L")

    def is_even(self, word: Word) -> bool:
        """Whether nothing is seen in the middle of a word's height, where all letters have ink."""
        high = word.top - word.bottom
        box = (word.left, word.bottom + 0.3 * high, word.right, word.bottom + 0.6 * high)
        left, bottom, right, top = turned(box, (4 - word.turn) % 4)
        places = [self._place(left, bottom), self._place(right, top)]
        across, down = sorted(place[0] for place in places), sorted(place[1] for place in places)
        area = (
            max(across[0], 0),
            max(down[0], 0),
            min(max(across[1], across[0] + 1), self._image.width),
            min(max(down[1], down[0] + 1), self._image.height),
        )
        if (
            max(area[2] - area[0], area[3] - area[1]) < _LEAST_PIXELS
            or area[0] >= area[2]
            or area[1] >= area[3]
        ):
            return False
        darkest, lightest = self._image.crop(area).getextrema()
        return bool(lightest - darkest <= _EVEN)

    def _place(self, x: float, y: float) -> tuple[int, int]:
        across, down = ctypes.c_int(), ctypes.c_int()
        wide, high = self._image.size
        raw.FPDF_PageToDevice(self._page, 0, 0, wide, high, 0, x, y, ctypes.byref(across), ctypes.byref(down))
        return across.value, down.value
