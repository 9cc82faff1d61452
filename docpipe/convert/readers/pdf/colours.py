"""Colours that flag words of a PDF's page, in words: a red potassium must not look like any other."""

import ctypes
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from pypdfium2 import raw

from docpipe.convert.core.colours import VIVID, warm_colour
from docpipe.convert.readers.pdf.rules import Paper
from docpipe.convert.readers.pdf.words import Word, turned

_GAP: Final = 1.2
"""Sizes of the text from which a gap parts passages."""
_ROW: Final = 0.4
"""Sizes of the text within which the bases of words of one line are."""
_ABOVE: Final = 3.0
"""Sizes of the text within which the line above is."""
_Coloured = tuple[Word, str]


def flag(words: Sequence[Word], page: Any, papers: Sequence[Paper]) -> None:
    """Add the names of colours to the words that they flag, `page` being the text page they are of.

    A colour flags where most of the page has none, and where it does not have a line for itself: a heading or
    a notice says what it says. Nor does the head of a table flag, which is the first line on its paper.
    """
    colours = _inks(words, page)
    if papers:
        colours |= {at: colour for at, word in enumerate(words) if (colour := _behind(word, papers))}
    coloured = sum(len(words[at].text) for at in colours)
    if not coloured or 2 * coloured > sum(len(word.text) for word in words):
        return
    named = [(word, colours.get(at, "")) for at, word in enumerate(words) if word.turn >= 0]
    for turn in {word.turn for word, _ in named}:
        above: list[list[_Coloured]] = []
        for line in _lines([each for each in named if each[0].turn == turn]):
            passages = list(_passages(line))
            whole = len({colour for _, colour in line}) == 1
            if not whole or (len(passages) > 1 and _is_row(line, above)):
                for passage in passages:
                    _name(passage)
            above = passages


def _name(passage: list[_Coloured]) -> None:
    word, colour = passage[-1]
    if colour and any(letter.isalnum() for each, _ in passage for letter in each.text):
        word.text += f" [{colour}]"


def _is_row(line: list[_Coloured], above: list[list[_Coloured]]) -> bool:
    """Whether a line of several passages in one colour stands below a line of several without it."""
    word, colour = line[0]
    return (
        len(above) > 1
        and above[0][0][0].base - word.base <= _ABOVE * word.size
        and not all(other == colour for passage in above for _, other in passage)
    )


def _lines(named: list[_Coloured]) -> Iterator[list[_Coloured]]:
    """The words by lines from the top, each from the left."""
    line: list[_Coloured] = []
    for each in sorted(named, key=lambda each: (-each[0].base, each[0].left)):
        if line and line[0][0].base - each[0].base > _ROW * max(line[0][0].size, 1):
            yield sorted(line, key=lambda each: each[0].left)
            line = []
        line.append(each)
    if line:
        yield sorted(line, key=lambda each: each[0].left)


def _passages(line: list[_Coloured]) -> Iterator[list[_Coloured]]:
    """Words of one colour without a wide gap between them."""
    for _, run in groupby(line, key=lambda each: each[1]):
        passage: list[_Coloured] = []
        for each in run:
            if passage and each[0].left - passage[-1][0].right > _GAP * each[0].size:
                yield passage
                passage = []
            passage.append(each)
        yield passage


def _behind(word: Word, papers: Sequence[Paper]) -> str:
    if word.turn < 0:
        return ""
    x, y = word.middle
    for box, colour in papers:
        left, bottom, right, top = turned(box, word.turn)
        if left <= x <= right and bottom <= y <= top:
            return colour
    return ""


def _inks(words: Sequence[Word], page: Any) -> dict[int, str]:
    """The colours of words' first letters that may flag them, by their places: a call to pdfium a word."""
    red, green, blue, solid = parts = [ctypes.c_uint() for _ in range(4)]
    into, colour_of, of = [ctypes.byref(part) for part in parts], raw.FPDFText_GetFillColor, page.raw
    colours: dict[int, str] = {}
    for at, word in enumerate(words):
        colour_of(of, word.first, *into)
        value = red.value
        if value and solid.value and value > green.value and value > blue.value:  # as all warm colours
            code = f"#{value:02x}{green.value:02x}{blue.value:02x}"
            if colour := warm_colour(code, VIVID):
                colours[at] = colour
    return colours
