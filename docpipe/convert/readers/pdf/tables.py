"""Tables of a PDF without frames: rows whose cells are aligned.

Columns are separated by white space in all rows. Where a row does not fit into them, the rows stay
preformatted lines, and nothing is put below a head that is not above it on the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Final

from docpipe.convert.core.blocks import Block, Preformatted, clean
from docpipe.convert.core.marks import plain
from docpipe.convert.readers.pdf.heads import split_head
from docpipe.convert.readers.pdf.rows import Row, Segment
from docpipe.convert.readers.pdf.words import Word

_FARTHEST: Final = 3.5
"""Lines between rows of one table are no higher, in sizes of the text."""
_MOST_SINGLE: Final = 4
"""Rows of one cell in a row within a table."""
_PROSE: Final = 8
"""A row of more words across columns is a sentence."""
_EDGE: Final = 0.45
"""Edges so near are one, in sizes of the text."""
_HEADS: Final = 3
"""The least heads of a line without wide gaps."""
_HEAD_GAP: Final = 0.32
"""The least gap between them, in sizes of the text, where a column has no value."""
_BETWEEN: Final = 2
"""Blanks between columns of preformatted text."""


def aligned(listed: Sequence[Row], first: int) -> tuple[int, Block | None]:
    """The end of the rows from `first` on that are a table, and the table; one row alone is none."""
    end = _end(listed, first)
    some = listed[first:end]
    if sum(len(row.segments) > 1 for row in some) < 2:  # noqa: PLR2004
        return first + 1, None
    cells = _Columns(some).cells()
    return end, _preformatted(some) if cells is None else split_head(cells)


def headed(row: Row, listed: Sequence[Row], first: int) -> Row:
    """A row above those from `first` on, parted where its words are heads that stand close to each other.

    Each column below has to have one: it begins, ends or has its middle where its values do.
    """
    words = row.segments[0].words
    near = listed[first].base + _FARTHEST * row.size > row.base
    if len(row.segments) > 1 or len(words) < _HEADS or len(listed[first].segments) < _HEADS or not near:
        return row
    columns = _Columns(listed[first : _end(listed, first)]).columns
    heads = [any(_is_aligned(Segment([word]), column) for column in columns) for word in words]
    if sum(heads) < len(columns) or len(columns) < _HEADS:
        return row
    parts = [[words[0]]]
    for at, (before, word) in enumerate(pairwise(words)):
        if (heads[at] and heads[at + 1]) or word.left - before.right > _HEAD_GAP * row.size:
            parts.append([])
        parts[-1].append(word)
    return Row([Segment(part) for part in parts]) if len(parts) >= len(columns) else row


def _end(listed: Sequence[Row], first: int) -> int:
    """The end of the rows that follow each other closely and have cells below each other."""
    end = last = first + 1
    while end < len(listed):
        row, above = listed[end], listed[end - 1]
        gap = above.base - row.base
        if row.block is not None or gap > _FARTHEST * max(row.size, above.size):
            break
        some = listed[first:last]
        pitch = _pitch(some)
        if len(row.segments) > 1:
            # Lines between them, or a gap, part tables whose columns have nothing in common.
            wide = end > last or gap > 1.3 * pitch
            if wide and not _fits(row, some):
                break
            last = end + 1
        elif end - last >= _MOST_SINGLE:
            break
        elif end == last and _continues(row, gap, pitch, some):
            last = end + 1
        end += 1
    return last


def _pitch(some: Sequence[Row]) -> float:
    """The usual distance between rows."""
    return median([above.base - row.base for above, row in pairwise(some)] or [some[0].size * 1.5])


def _fits(row: Row, some: Sequence[Row]) -> bool:
    """Whether a row's cells but the first begin, end or have their middle where others do."""
    parts = [segment for other in some if len(other.segments) > 1 for segment in other.segments[1:]]
    column = _Column(0, 0, parts)
    return any(_is_aligned(segment, column) for segment in row.segments[1:])


def _continues(row: Row, gap: float, pitch: float, some: Sequence[Row]) -> bool:
    """Whether a row of one cell continues those above: it is below one of them, and close."""
    only = row.segments[0]
    multiple = next(other for other in reversed(some) if len(other.segments) > 1)
    under = sum(other.left < only.right and only.left < other.right for other in multiple.segments)
    return under == 1 and gap <= 1.25 * pitch and len(only.words) <= _PROSE


@dataclass(slots=True)
class _Column:
    """What stands below each other."""

    left: float
    right: float
    parts: list[Segment] = field(default_factory=list)

    def meets(self, left: float, right: float) -> bool:
        return left < self.right and self.left < right

    def take(self, segment: Segment) -> None:
        self.left, self.right = min(self.left, segment.left), max(self.right, segment.right)
        self.parts.append(segment)


class _Columns:
    """The columns of rows, and each row's cells."""

    def __init__(self, listed: Sequence[Row]) -> None:
        self._rows = [list(row.segments) for row in listed]
        self._columns: list[_Column] = []
        self._sure = True
        self._find()

    @property
    def columns(self) -> Sequence[_Column]:
        """From left to right; none where that is not clear."""
        return self._columns if self._sure else ()

    def cells(self) -> list[tuple[str, ...]] | None:
        """The rows with a text for each column; None where that is not clear."""
        if not self._sure or len(self._columns) < 2:  # noqa: PLR2004
            return None
        lines: list[tuple[str, ...]] = []
        for row in self._rows:
            line = [""] * len(self._columns)
            for segment in row:
                at = next(
                    at for at, column in enumerate(self._columns) if column.meets(segment.left, segment.right)
                )
                if line[at]:
                    return None
                line[at] = clean(segment.text)
            lines.append(tuple(line))
        return lines

    def _find(self) -> None:
        """Columns from the narrowest segments to the widest; what would join two is parted or spans them."""
        late: list[tuple[list[Segment], Segment]] = []
        each = [(row, segment) for row in self._rows if len(row) > 1 for segment in row]
        for row, segment in sorted(each, key=lambda pair: pair[1].right - pair[1].left):
            if not self._put(segment):
                late.append((row, segment))
        self._columns.sort(key=lambda column: column.left)
        for row, segment in late:
            parts = self._split(segment)
            if parts is None:
                self._sure = False
                return
            at = row.index(segment)
            row[at : at + 1] = parts
            for part in parts:
                self._put(part)
        for row in self._rows:
            if len(row) == 1:
                self._single(row[0])
        self._columns.sort(key=lambda column: column.left)
        self._merge()

    def _single(self, segment: Segment) -> None:
        """A row of one cell: below a column, or a line that spans several from the first on."""
        met = [at for at, column in enumerate(self._columns) if column.meets(segment.left, segment.right)]
        if len(met) == 1:
            self._columns[met[0]].take(segment)
        elif not met or met[0] != 0:
            self._sure = False

    def _put(self, segment: Segment) -> bool:
        """Whether a segment has its place in one column, or begins one."""
        met = [column for column in self._columns if column.meets(segment.left, segment.right)]
        if len(met) > 1:
            return False
        if met:
            met[0].take(segment)
        else:
            self._columns.append(_Column(segment.left, segment.right, [segment]))
        return True

    def _split(self, segment: Segment) -> list[Segment] | None:
        """A segment below several columns, split at words that begin or end where those do."""
        parts: list[tuple[_Column, list[Word]]] = []
        for word in sorted(segment.words, key=lambda word: word.left):
            met = [column for column in self._columns if column.meets(word.left, word.right)]
            if len(met) > 1:
                return None
            if parts and (not met or met[0] is parts[-1][0]):
                parts[-1][1].append(word)
            elif met:
                parts.append((met[0], [word]))
            else:
                return None
        made = [Segment(words) for _, words in parts]
        fits = all(_is_aligned(part, column) for part, (column, _) in zip(made, parts, strict=True))
        return made if fits and len(made) > 1 else None

    def _merge(self) -> None:
        """Move a head that is beside its values, not above them, to their column."""
        at = 0
        while at + 1 < len(self._columns):
            one, other = self._columns[at : at + 2]
            if self._is_head(one) != self._is_head(other) and self._nearest(at):
                for part in other.parts:
                    one.take(part)
                del self._columns[at + 1]
            at += 1

    def _is_head(self, column: _Column) -> bool:
        return len(column.parts) == 1 and column.parts[0] in self._rows[0]

    def _nearest(self, at: int) -> bool:
        """Whether no other column is as near to these two as they are to each other, and no row has both."""
        one, other = self._columns[at : at + 2]
        gap = other.left - one.right
        before = one.left - self._columns[at - 1].right if at else gap * 2 + 1
        after = self._columns[at + 2].left - other.right if at + 2 < len(self._columns) else gap * 2 + 1
        both = any(
            any(part in row for part in one.parts) and any(part in row for part in other.parts)
            for row in self._rows
        )
        return not both and 2 * gap < min(before, after)


def _is_aligned(part: Segment, column: _Column) -> bool:
    """Whether a part begins, ends or has its middle where others of the column do."""
    near = _EDGE * part.size
    middle = part.left + part.right
    return any(
        abs(other.left - part.left) <= near
        or abs(other.right - part.right) <= near
        or abs(other.left + other.right - middle) <= near
        for other in column.parts
    )


def _preformatted(some: Sequence[Row]) -> Preformatted:
    """Rows as lines whose gaps line up: what begins in one place begins in one column."""
    segments = [segment for row in some for segment in row.segments]
    size = min(row.size for row in some)
    edges: list[float] = []
    for left in sorted(segment.left for segment in segments):
        if not edges or left - edges[-1] > _EDGE * size:
            edges.append(left)
    widths = [(segment.right - segment.left) / max(1, len(plain(segment.text))) for segment in segments]
    step = max(sorted(widths)[len(widths) // 4], 0.2 * size)
    place = {id(segment): _place(edges, segment.left) for segment in segments}
    starts: list[int] = []
    for at, edge in enumerate(edges):
        start = starts[-1] + max(1, round((edge - edges[at - 1]) / step)) if at else 0
        for row in some:
            for before, segment in pairwise(row.segments):
                if place[id(segment)] == at and place[id(before)] < at:
                    start = max(start, starts[place[id(before)]] + len(plain(before.text)) + _BETWEEN)
        starts.append(start)
    return Preformatted(clean("\n".join(_lines(some, place, starts))))


def _place(edges: Sequence[float], left: float) -> int:
    return max(at for at, edge in enumerate(edges) if edge <= left)


def _lines(some: Sequence[Row], place: dict[int, int], starts: Sequence[int]) -> Iterator[str]:
    for row in some:
        text, width = "", 0
        for segment in row.segments:
            gap = max(starts[place[id(segment)]] - width, 1 if width else 0)
            text += " " * gap + segment.text
            width += gap + len(plain(segment.text))
        yield text
