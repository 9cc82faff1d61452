"""Heads of columns that are set sideways, to save space, become a row of heads above their columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from docpipe.convert.readers.pdf.rows import Segment, rows
from docpipe.convert.readers.pdf.words import Box, Word, turned

_LEAST: Final = 2
"""Heads beside each other, and columns that have something below theirs."""
_LONGEST: Final = 8
"""Words of a head."""
_LEADING: Final = 0.25
"""The greatest gap between lines of one head, in sizes of the text."""
_OVERLAP: Final = 0.5
"""By how much lines may overlap."""
_BELOW: Final = 3.5
"""The greatest distance of a column's first value from its head, in sizes of the text."""
_HALF: Final = 0.3
"""Half of the width that a head takes of its row, in sizes of the text: it parts it from the next one."""


def with_heads(words: Sequence[Word], turn: int) -> list[Word]:
    """The words of a page, heads that are set sideways as words of a row above their columns.

    Args:
        words: those of the page.
        turn: the quarter turns of upright text.
    """
    kept = list(words)
    for sideways in ((turn + 1) % 4, (turn + 3) % 4):
        some = [word for word in words if word.turn == sideways]
        if len(some) < _LEAST:
            continue
        standing = [word for word in words if word.turn == turn]
        for band in _bands(_heads(some, turn)):
            if sum(_has_column(head, standing) for head in band) >= _LEAST:
                used = {id(word) for head in band for word in head.words}
                kept = [word for word in kept if id(word) not in used]
                kept += _row(band, standing, turn)
    return kept


class _Head:
    """One head: its words line by line, and its box as the page stands upright."""

    def __init__(self, line: Segment, turn: int) -> None:
        self.texts = [line.text]
        self.words = list(line.words)
        self.size = line.size
        first = line.words[0]
        box = (
            line.left,
            min(word.bottom for word in line.words),
            line.right,
            max(word.top for word in line.words),
        )
        self.box: Box = turned(box, (turn - first.turn) % 4)

    def take(self, other: "_Head", *, before: bool) -> None:
        """Add another line."""
        self.texts = [*other.texts, *self.texts] if before else [*self.texts, *other.texts]
        self.words += other.words
        one, two = self.box, other.box
        self.box = min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3])


def _heads(words: Sequence[Word], turn: int) -> list[_Head]:
    """Text that is set sideways, from left to right; lines that follow each other closely are one head."""
    lines = [_Head(segment, turn) for row in rows(words) for segment in row.segments]
    made: list[_Head] = []
    downwards = (words[0].turn - turn) % 4 == 3  # noqa: PLR2004 - its first line is at the right
    for line in sorted(lines, key=lambda line: (line.box[0], -line.box[1])):
        above = next((head for head in reversed(made) if _is_next(head, line)), None)
        if above is None:
            made.append(line)
        else:
            above.take(line, before=downwards)
    return [head for head in made if len(head.words) <= _LONGEST]


def _is_next(head: _Head, line: _Head) -> bool:
    gap = (line.box[0] - head.box[2]) / head.size
    return -_OVERLAP <= gap <= _LEADING and _overlap(head.box, line.box)


def _overlap(one: Box, other: Box) -> bool:
    """Whether two boxes are beside each other: half of the lower one's height at least."""
    both = min(one[3], other[3]) - max(one[1], other[1])
    return both >= 0.5 * min(one[3] - one[1], other[3] - other[1])


def _bands(heads: Sequence[_Head]) -> Iterator[list[_Head]]:
    """Heads that are beside each other."""
    left = list(heads)
    while left:
        tallest = max(left, key=lambda head: head.box[3] - head.box[1])
        band = [head for head in left if _overlap(head.box, tallest.box)]
        left = [head for head in left if head not in band]
        if len(band) >= _LEAST:
            yield band


def _has_column(head: _Head, standing: Sequence[Word]) -> bool:
    """Whether something is close below a head, between whose ends its middle is, or nearly so."""
    middle = (head.box[0] + head.box[2]) / 2
    far = 4 * _BELOW * head.size  # the first rows of a column may be blank
    return any(
        0 < head.box[1] - word.base <= far and word.left - head.size <= middle <= word.right + head.size
        for word in standing
    )


def _row(band: Sequence[_Head], standing: Sequence[Word], turn: int) -> Iterator[Word]:
    """The words of a row of heads, on the line of the upright ones among them."""
    bottom, top = min(head.box[1] for head in band), max(head.box[3] for head in band)
    size = max(head.size for head in band)
    base = bottom + 0.2 * size
    within = [word for word in standing if bottom - 0.3 * size <= word.base <= top]
    if within and max(word.base for word in within) - min(word.base for word in within) <= 0.2 * size:
        for word in within:  # a head that stands upright may be at the top of its cell
            down = word.base - base
            word.base, word.bottom, word.top = base, word.bottom - down, word.top - down
    else:
        base = min((word.base for word in within), default=base)
    for head in band:
        middle = (head.box[0] + head.box[2]) / 2
        yield replace(
            head.words[0],
            text=" ".join(head.texts),
            left=middle - _HALF * head.size,
            right=middle + _HALF * head.size,
            bottom=base - 0.2 * head.size,
            top=base + 0.8 * head.size,
            base=base,
            turn=turn,
            space=True,
            newline=True,
            hyphen=False,
        )
