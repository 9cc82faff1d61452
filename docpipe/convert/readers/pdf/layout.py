"""A PDF's page as blocks: columns of text one after the other, tables as tables, lines joined to paragraphs.

Rows whose columns are not clear stay preformatted lines.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from docpipe.convert.core.blocks import Block, Paragraph, clean
from docpipe.convert.core.direction import direction
from docpipe.convert.readers.pdf import grids as pdf_grids
from docpipe.convert.readers.pdf import tables as pdf_tables
from docpipe.convert.readers.pdf.rows import Row, Segment, is_even, rows
from docpipe.convert.readers.pdf.rules import Rules
from docpipe.convert.readers.pdf.upright import with_heads
from docpipe.convert.readers.pdf.words import Word
from docpipe.convert.readers.text.from_text import paragraphs

_LEAST_LINES: Final = 4
"""Of text in a column beside another."""
_WORDS: Final = 3.5
"""In a line of running text, on the average."""
_TRIES: Final = 6
"""Rows from which columns are looked for before a gap is given up."""
_SENTENCE: Final = 5
"""Words in a line that is full."""
_FILLED: Final = 0.6
"""How much of its column the usual line of running text fills."""
_STRETCHED: Final = 0.3
"""The share of lines of running text that may have wide gaps; a table has more."""
_GUTTER: Final = 0.8
"""The least gap between columns of text, in sizes of it."""
_ENDS: Final = (".", ";", ":")
_ITEM: Final = re.compile(r"([•▪▸◦‣·*\-\u2013\u2014☐☑☒✓✗○●◉]|\(?[0-9]{1,3}[.)]|\(?[A-Za-z][.)])(\s|$)")
"""What begins an item of a list."""

Interval = tuple[float, float]


def blocks(words: Sequence[Word], rules: Rules, turn: int) -> list[Block]:
    """The words of a page as blocks, `turn` being the quarter turns of upright text."""
    made: list[Block] = []
    words = with_heads(words, turn)
    turns = sorted({word.turn for word in words}, key=lambda each: (each != turn, each < 0, each))
    for each in turns:
        some = [word for word in words if word.turn == each]
        if each < 0:
            made.append(Paragraph(clean(_slanted(some))))
        else:
            made += _upright(some, rules.turned(each))
    return [block for block in made if not isinstance(block, Paragraph) or block.text.strip()]


def _slanted(words: list[Word]) -> str:
    """Text across the page, as stamps have it; its letters may have been drawn one by one."""
    text = words[0].text
    for before, word in pairwise(words):
        (x, y), (u, v) = before.middle, word.middle
        apart = math.hypot(x - u, y - v) > 0.85 * max(before.size, word.size)
        text += (" " if word.space and (apart or len(before.text + word.text) > 2) else "") + word.text  # noqa: PLR2004
    return text


def _upright(words: list[Word], rules: Rules) -> Iterator[Block]:
    grids, rest = pdf_grids.grids(words, rules)
    standing = [Row([Segment(grid.words, grid.block)]) for grid in grids]
    for row, grid in zip(standing, grids, strict=True):
        row.base = grid.top
    if not grids and is_even(rest):
        yield from paragraphs(clean(_typewritten(rest)))
        return
    listed = [*rows(rest, rules.down), *standing]
    yield from _columns(sorted(listed, key=lambda row: -row.base))


def _typewritten(words: list[Word]) -> str:
    """A page in a typewriter's font: each word in its column, each line on its own."""
    step = median((word.right - word.left) / len(word.text) for word in words)
    start = min(word.left for word in words)
    listed = rows(words)
    pitch = median([above.base - row.base for above, row in pairwise(listed)] or [1.0])
    lines: list[str] = []
    for number, row in enumerate(listed):
        if number and listed[number - 1].base - row.base > 1.5 * pitch:
            lines.append("")
        text = ""
        for segment in row.segments:
            column = round((segment.left - start) / step)
            text += " " * max(column - len(text), 1 if text else 0) + segment.text
        lines.append(text)
    return "\n".join(lines)


def _columns(listed: list[Row]) -> Iterator[Block]:
    """Rows as blocks; where text runs in columns, one column after the other."""
    plain: list[Row] = []
    at = 0
    tries = _TRIES if _may_have_columns(listed) else 0
    while at < len(listed):
        end, sides = _parted(listed, at) if tries else (len(listed), None)
        if sides is not None:
            yield from _flow(plain)
            plain = []
            for side in sides:
                yield from _columns(side)
            at, tries = end, _TRIES
        elif tries > 1 or end == at + 1:
            plain.append(listed[at])
            at, tries = at + 1, tries - (end > at + 1)
        else:  # these rows are no columns, wherever they are thought to begin
            plain += listed[at:end]
            at, tries = end, _TRIES * bool(tries)
    yield from _flow(plain)


def _may_have_columns(listed: Sequence[Row]) -> bool:
    """Whether some lines of several words keep to the left, and others to the right."""
    if not listed:
        return False
    left, right = min(row.left for row in listed), max(row.right for row in listed)
    third = (right - left) * 0.35
    lines = [segment for row in listed for segment in row.segments if len(segment.words) >= _WORDS]
    return (
        sum(line.right < right - third for line in lines) >= _LEAST_LINES
        and sum(line.left > left + third for line in lines) >= _LEAST_LINES
    )


def _parted(listed: Sequence[Row], first: int) -> tuple[int, tuple[list[Row], list[Row]] | None]:
    """The end of the rows from `first` on that leave a gap free; the rows of two columns if they are text."""
    lowest, highest = min(row.left for row in listed), max(row.right for row in listed)
    free: list[Interval] = [(lowest, highest)]
    usual = median(row.size for row in listed)
    end = first
    between: list[Interval] = []
    while end < len(listed):
        left = _common(free, _free(listed[end], lowest, highest), _GUTTER * min(usual, listed[end].size))
        ends = (
            min(row.left for row in listed[first : end + 1]),
            max(row.right for row in listed[first : end + 1]),
        )
        inner = [each for each in left if ends[0] < each[0] and each[1] < ends[1]]
        if not left or (between and not inner):
            break
        free, between, end = left, inner, end + 1
    for start, stop in between:
        middle = (start + stop) / 2
        sides = _sides(listed[first:end], middle)
        running = all(map(_is_running, sides))
        if _drawn_apart(sides) and (running or not _level(sides)):
            return end, sides
        if running and all(map(_is_prose, sides)):
            return end, sides
    return max(end, first + 1), None


def _sides(listed: Sequence[Row], middle: float) -> tuple[list[Row], list[Row]]:
    sides: tuple[list[Row], list[Row]] = ([], [])
    for row in listed:
        for side, some in (
            (0, [segment for segment in row.segments if segment.right <= middle]),
            (1, [segment for segment in row.segments if segment.right > middle]),
        ):
            if some:
                part = Row(some)
                if some[0].block is not None:
                    part.base = row.base
                sides[side].append(part)
    return sides


def _free(row: Row, left: float, right: float) -> list[Interval]:
    """Where a row has nothing, from the left end of the page's text to its right."""
    free = []
    for segment in row.segments:
        free.append((left, segment.left))
        left = max(left, segment.right)
    return [*free, (left, right)]


def _common(some: list[Interval], others: list[Interval], least: float) -> list[Interval]:
    both = [(max(a, c), min(b, d)) for a, b in some for c, d in others]
    return [(start, end) for start, end in both if end - start >= least]


def _is_running(side: list[Row]) -> bool:
    """Whether these rows are lines of running text, not cells."""
    lines = [row for row in side if row.block is None]
    if len(lines) < _LEAST_LINES:
        return False
    width = max(line.right for line in lines) - min(line.left for line in lines)
    words = [word.text for line in lines for segment in line.segments for word in segment.words]
    letters = sum(character.isalpha() for word in words for character in word)
    return (
        len(words) >= _WORDS * len(lines)
        and sum(len(line.segments) > 1 for line in lines) <= _STRETCHED * len(lines)
        and median(line.right - line.left for line in lines) >= _FILLED * width
        and letters >= 0.65 * sum(map(len, words))
    )


def _is_prose(side: list[Row]) -> bool:
    """Whether most lines continue the one before, evenly: cells of a table begin anew, or with a gap."""
    if len(side) < _PROSE:
        return False
    steps = [above.base - row.base for above, row in pairwise(side)]
    texts = [" ".join(segment.text for segment in row.segments).strip() for row in side]
    continued = sum(
        after[:1].islower() and not before.endswith(_SENTENCE_ENDS) for before, after in pairwise(texts)
    )
    return max(steps) <= _EVEN * median(steps) and 2 * continued >= len(steps)


_PROSE: Final = 5
_EVEN: Final = 1.3
"""How much farther apart than usual two lines of one paragraph may be."""
_SENTENCE_ENDS: Final = (".", ";", ":", "!", "?")


def _drawn_apart(sides: tuple[list[Row], list[Row]]) -> bool:
    """Whether one column was drawn before the other: cells are drawn row by row."""
    order = sorted(
        (segment.at, number) for number, side in enumerate(sides) for row in side for segment in row.segments
    )
    changes = sum(one != other for (_, one), (_, other) in pairwise(order))
    return changes <= 1 + len(order) / 20


def _level(sides: tuple[list[Row], list[Row]]) -> bool:
    """Whether many lines of the two sides have the same height, as cells of a table do."""
    if min(map(len, sides)) < 2 * _LEAST_LINES:
        return True
    heights = [row.base for row in sides[0]]
    same = sum(any(abs(row.base - height) <= 0.1 * row.size for height in heights) for row in sides[1])
    return 2 * same > min(map(len, sides))


def _flow(listed: list[Row]) -> Iterator[Block]:
    """Rows of one column: tables, complete blocks, and paragraphs."""
    single: list[Row] = []
    at = 0
    listed = list(_unstretched(listed))
    for below in range(1, len(listed)):
        if listed[below - 1].block is None and listed[below].block is None:
            listed[below - 1] = pdf_tables.headed(listed[below - 1], listed, below)
    margin = _margin(listed)
    while at < len(listed):
        row = listed[at]
        end = at + 1
        table: Block | None = row.block
        if table is None and len(row.segments) > 1:
            end, table = pdf_tables.aligned(listed, at)
        if table is None:
            single += listed[at:end]
        else:
            yield from _paragraphs(single, margin)
            single = []
            yield table
        at = end
    yield from _paragraphs(single, margin)


def _unstretched(listed: Sequence[Row]) -> Iterator[Row]:
    """The rows, those of justified text in one piece: their gaps are blanks that were widened."""
    for at, row in enumerate(listed):
        near = [listed[other] for other in (at - 1, at + 1) if 0 <= other < len(listed)]
        if len(row.segments) > 1 and any(_justified(row, other) for other in near):
            yield Row([Segment([word for segment in row.segments for word in segment.words])])
        else:
            yield row


def _justified(row: Row, near: Row) -> bool:
    """Whether a row begins and ends where a line of running text beside it does, with no gap of a column."""
    gaps = [(before.right, after.left) for before, after in pairwise(row.segments)]
    others = [(before.right, after.left) for before, after in pairwise(near.segments)]
    return (
        near.block is None
        and 2 * len(_common(gaps, others, 0.7 * row.size)) <= min(len(gaps), len(others))
        and sum(len(segment.words) for segment in near.segments) >= _SENTENCE
        and abs(near.right - row.right) <= 0.6 * row.size
        and abs(near.left - row.left) <= 2.5 * row.size
        and abs(near.base - row.base) <= 2 * row.size
        and max(end - start for start, end in gaps) <= 2.5 * row.size
    )


class _Margin:
    """Where lines end, and whether enough of them reach it to be broken for lack of space."""

    def __init__(self, left: float, right: float) -> None:
        self.left, self.right = left, right
        self.sure = False

    def full(self, row: Row, below: Row) -> bool:
        """Whether the first word of the row below had no room in this one."""
        words = [word for segment in row.segments for word in segment.words]
        after = [word for segment in below.segments for word in segment.words]
        if len(words) < _WORDS:
            return False
        if direction(row.segments[-1].text) == "R":
            first = max(after, key=lambda word: word.right)
            return row.left - (first.right - first.left) - 0.25 * row.size < self.left
        first = min(after, key=lambda word: word.left)
        return row.right + (first.right - first.left) + 0.25 * row.size > self.right


def _margin(listed: Sequence[Row]) -> _Margin:
    plain = [row for row in listed if row.block is None]
    margin = _Margin(
        min((row.left for row in plain), default=0), max((row.right for row in plain), default=0)
    )
    full = sum(margin.full(row, below) for row, below in pairwise(plain) if len(row.segments) == 1)
    margin.sure = full >= 3  # noqa: PLR2004 - the longest line alone always ends at the margin
    return margin


def _paragraphs(listed: list[Row], margin: _Margin) -> Iterator[Block]:
    """Rows as paragraphs, parted where the gap between lines is wider than usual or the size changes."""
    if not listed:
        return
    pitches = [
        above.base - row.base for above, row in pairwise(listed) if abs(above.size - row.size) < 1
    ] or [0.0]
    usual = median(pitches)
    part: list[Row] = []
    for row in listed:
        if part:
            above = part[-1]
            pitch = above.base - row.base
            size = max(above.size, row.size)
            wider = pitch > 1.25 * max(usual, size) and pitch > 1.6 * size
            if wider or pitch < 0 or size > 1.2 * min(above.size, row.size):
                yield Paragraph(_joined(part, margin))
                part = []
        part.append(row)
    yield Paragraph(_joined(part, margin))


def _joined(part: list[Row], margin: _Margin) -> str:
    """The lines of a paragraph, joined where they were broken for lack of space."""
    texts = ["   ".join(segment.text for segment in row.segments) for row in part]
    full = [margin.sure and margin.full(row, below) for row, below in pairwise(part)]
    if 2 * sum(full) < len(full):
        full = [False] * len(full)
    text = texts[0]
    for at, after in enumerate(texts[1:]):
        if part[at].segments[-1].words[-1].hyphen:  # the word may have had a hyphen of its own
            text += after
        elif not full[at] or _ITEM.match(after) or (text.endswith(_ENDS) and after[:1].isdigit()):
            text += "\n" + after
        else:
            text += " " + after
    return clean(text)
