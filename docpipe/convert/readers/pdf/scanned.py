"""What OCR read of a page as blocks, laid out by the places of its words as a digital page is."""

from statistics import median

from docpipe.convert.core.blocks import Block
from docpipe.convert.ocr.reading import Line, Reading
from docpipe.convert.readers.pdf import layout
from docpipe.convert.readers.pdf.rules import Rules
from docpipe.convert.readers.pdf.words import Word

_AROUND = 2
"""Words on either side whose lower ends a word's own is compared with: some letters reach below the line."""
_ALIKE = 1.45
"""Lines whose heights differ by less than this factor have text of one size."""


def blocks(reading: Reading) -> list[Block]:
    """The words that were read, laid out; pixels serve as points."""
    lines = list(reading.lines())
    sizes = [_size(line) for line in lines]
    usual = median(sizes) if sizes else 0.0
    words: list[Word] = []
    for line, size in zip(lines, sizes, strict=True):
        alike = usual / _ALIKE <= size <= usual * _ALIKE  # a line without high letters is no smaller
        words += _words(line, usual if alike else size, len(words))
    return layout.blocks(words, Rules(), 0)


def _size(line: Line) -> float:
    """The height of a line's higher words."""
    heights = sorted(word.bottom - word.top for word in line)
    return heights[3 * len(heights) // 4]


def _words(line: Line, size: float, first: int) -> list[Word]:
    made = []
    for at, word in enumerate(line):
        near = line[max(0, at - _AROUND) : at + _AROUND + 1]
        base = -median(each.bottom for each in near)
        box = (word.left, -word.bottom, word.right, -word.top)
        made.append(Word(word.text, *box, base, size, first + at, 0, newline=not at))
    return made
