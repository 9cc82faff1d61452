"""Tables of a PDF whose cells are framed by drawn lines."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from docpipe.convert.core.blocks import Table, clean
from docpipe.convert.readers.pdf.heads import split_head
from docpipe.convert.readers.pdf.rows import Row, rows
from docpipe.convert.readers.pdf.rules import Rule, Rules
from docpipe.convert.readers.pdf.words import Word

_NEAR: Final = 2.5
"""Points within which lines meet."""
_PADDING: Final = 3.0
"""Points between a text and the end of its cell."""
_MOST_CROSSINGS: Final = 60_000
_MOST_COLUMNS: Final = 14
_LEAST_FILLED: Final = 0.2
"""The share of cells with text below which a grid is a form or a drawing."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A framed table, its words, and the height at which it begins."""

    block: Table
    words: list[Word]
    top: float


def grids(words: Sequence[Word], rules: Rules) -> tuple[list[Grid], list[Word]]:
    """Framed tables, and the words outside of them."""
    made: list[Grid] = []
    rest = list(words)
    if len(rules.across) * len(rules.down) > _MOST_CROSSINGS:
        return [], rest
    for across, down in _frames(rules):
        frame = _Frame(across, down)
        if len(frame.xs) < 3 or len(frame.ys) < 3:  # noqa: PLR2004 - a frame, and no cells
            continue
        inner = [word for word in rest if frame.holds(word)]
        if inner and (table := frame.table(inner)) is not None:
            made.append(Grid(table, inner, frame.ys[-1]))
            taken = set(map(id, inner))
            rest = [word for word in rest if id(word) not in taken]
    return made, rest


def _frames(rules: Rules) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """Lines that cross or touch each other, as one frame each."""
    left = set(range(len(rules.down)))
    open_across = set(range(len(rules.across)))
    while left:
        across: set[int] = set()
        down = {left.pop()}
        fresh = set(down)
        while fresh:
            met = {
                number
                for number in open_across
                if any(_cross(rules.across[number], rules.down[other]) for other in fresh)
            }
            across |= met
            open_across -= met
            fresh = {
                number
                for number in left
                if any(_cross(rules.across[other], rules.down[number]) for other in met)
            }
            left -= fresh
            down |= fresh
        if len(across) > 1 and len(down) > 1:
            yield [rules.across[number] for number in across], [rules.down[number] for number in down]


def _cross(across: Rule, down: Rule) -> bool:
    return (
        across.start - _NEAR <= down.at <= across.end + _NEAR
        and down.start - _NEAR <= across.at <= down.end + _NEAR
    )


def _places(values: Iterable[float]) -> list[float]:
    """The values in order, those that are nearly the same as one."""
    places: list[float] = []
    for value in sorted(values):
        if not places or value - places[-1] > _NEAR:
            places.append(value)
    return places


class _Frame:
    """Lines that part cells."""

    def __init__(self, across: list[Rule], down: list[Rule]) -> None:
        self.across, self.down = across, down
        self.xs = _places(rule.at for rule in down)
        self.ys = _places(rule.at for rule in across)

    def holds(self, word: Word) -> bool:
        """Whether a word is within the frame."""
        x, y = word.middle
        return self.xs[0] < x < self.xs[-1] and self.ys[0] < y < self.ys[-1]

    def table(self, words: Sequence[Word]) -> Table | None:
        """The words in their cells; None for what is no table."""
        cells: dict[tuple[int, int], list[Word]] = {}
        for word in words:
            x, y = word.middle
            cells.setdefault(
                self._cell(bisect_right(self.ys, y) - 1, bisect_right(self.xs, x) - 1), []
            ).append(word)
        columns = sorted({column for _, column in cells})
        if not 1 < len(columns) <= _MOST_COLUMNS:
            return None
        lines: list[tuple[str, ...]] = []
        for band in sorted({band for band, _ in cells}, reverse=True):
            inner = {column: rows(cells.get((band, column), ())) for column in columns}
            lines += _lines(inner, {column: self._end(band, column) for column in columns})
        filled = sum(bool(cell) for line in lines for cell in line)
        if filled < _LEAST_FILLED * len(lines) * len(columns):
            return None
        return split_head(lines)

    def _cell(self, band: int, column: int) -> tuple[int, int]:
        """The first cell, from the upper left, of those that no line parts."""
        while column and not self._wall(self.down, self.xs[column], self.ys[band], self.ys[band + 1]):
            column -= 1
        while band + 2 < len(self.ys) and not self._wall(
            self.across, self.ys[band + 1], self.xs[column], self.xs[column + 1]
        ):
            band += 1
        return band, column

    def _end(self, band: int, column: int) -> float:
        """Where a cell ends at the right."""
        column += 1
        while column + 1 < len(self.xs) and not self._wall(
            self.down, self.xs[column], self.ys[band], self.ys[band + 1]
        ):
            column += 1
        return self.xs[column]

    @staticmethod
    def _wall(lines: list[Rule], at: float, start: float, end: float) -> bool:
        middle = (start + end) / 2
        return any(abs(line.at - at) <= _NEAR and line.start < middle < line.end for line in lines)


def _lines(cells: dict[int, list[Row]], ends: dict[int, float]) -> Iterator[tuple[str, ...]]:
    """The rows of a band between lines: one, or as many as its text has lines that are no broken ones."""
    if _is_one(cells, ends):
        yield tuple(_text(listed, ends[column]) for column, listed in cells.items())
        return
    heights: list[float] = []
    for row in sorted((row for listed in cells.values() for row in listed), key=lambda row: -row.base):
        if not heights or heights[-1] - row.base > 0.4 * row.size:
            heights.append(row.base)
    for height in heights:
        yield tuple(
            "\n".join(_row(row) for row in listed if abs(height - row.base) <= 0.4 * row.size)
            for listed in cells.values()
        )


def _is_one(cells: dict[int, list[Row]], ends: dict[int, float]) -> bool:
    """Whether the band is one row: all lines of cells side by side were broken for lack of space."""
    several = [(listed, ends[column]) for column, listed in cells.items() if len(listed) > 1]
    if len(several) < 2:  # noqa: PLR2004
        return True
    return all(_full(above, below, end) for listed, end in several for above, below in pairwise(listed))


def _full(row: Row, below: Row, end: float) -> bool:
    first = below.segments[0].words[0]
    return row.right + (first.right - first.left) + 0.3 * row.size > end - _PADDING


def _text(listed: list[Row], end: float) -> str:
    """The lines of a cell, joined where they were broken for lack of space."""
    text = ""
    for at, row in enumerate(listed):
        if at:
            text += " " if _full(listed[at - 1], row, end) else "\n"
        text += _row(row)
    return clean(text)


def _row(row: Row) -> str:
    return clean("  ".join(segment.text for segment in row.segments))
