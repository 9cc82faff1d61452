"""Cells of a spreadsheet to blocks: tables where rows have columns, paragraphs where a line stands alone."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from docpipe.convert.core.blocks import Block, Paragraph, Table
from docpipe.convert.readers.office.flags import few, flagged
from docpipe.convert.readers.office.flags import heads as heads_by_colour

MOST_CELLS: Final = 1_500_000
"""Cells with text that are read of one file: what a worker's memory holds, with the text made of them."""
TOO_LARGE: Final = f"only the first {MOST_CELLS:,} cells are converted; the original has all"
HIDDEN: Final = "hidden sheets, rows or columns are included"
HIDDEN_ROW: Final = "(hidden row)"
HIDDEN_COLUMN: Final = "(hidden column)"


class Cell(NamedTuple):
    """A cell with text."""

    column: int
    """From 0."""
    text: str
    number: bool = False
    strong: bool = False
    """Whether all of it is bold."""
    flag: str = ""
    """The colour that may flag it: red, orange or yellow."""


def hidden_marked(cells: Sequence[Cell], *, row: bool, columns: set[int]) -> list[Cell]:
    """The cells of a row, marked where it is hidden or begins a hidden column, which leaves `columns`."""
    listed = list(cells)
    for at, cell in enumerate(listed):
        if cell.column in columns:
            columns.discard(cell.column)
            listed[at] = cell._replace(text=f"{cell.text} {HIDDEN_COLUMN}")
    if row and listed:
        listed[0] = listed[0]._replace(text=f"{listed[0].text} {HIDDEN_ROW}")
    return listed


@dataclass(slots=True)
class _Region:
    """Rows without an empty one between them, or that belong into one grid nevertheless."""

    rows: list[Sequence[Cell]] = field(default_factory=list)
    columns: set[int] = field(default_factory=set)
    first: int = 0
    """The number of its first row."""
    titles: list[Sequence[Cell]] = field(default_factory=list)
    """Rows of one cell above the first that has several."""

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        for row in rows:
            self.rows.append(row)
            self.columns.update(cell.column for cell in row)


def blocks_of(rows: Iterable[tuple[int, Sequence[Cell]]], heads: Collection[int] = ()) -> tuple[Block, ...]:
    """Tables and paragraphs of the rows of a sheet, which are numbered; `heads` are the rows that a file says
    are heads of tables.
    """
    blocks: list[Block] = []
    for region in _joined(_regions(rows), heads):
        blocks += [Paragraph(row[0].text) for row in region.titles]
        if len(region.columns) == 1:
            blocks += [Paragraph(row[0].text) for row in _with_flags(region.rows)]
            continue
        places = {column: at for at, column in enumerate(sorted(region.columns))}
        is_head = region.first in heads or _is_head(region.rows, len(places))
        at = 1 if len(region.rows) > 1 and is_head else 0
        plain = max(
            at, heads_by_colour([[(cell.text, cell.flag) for cell in row] for row in region.rows[:2]])
        )
        marked = [*region.rows[:plain], *_with_flags(region.rows[plain:])]
        lines = [_line(row, places) for row in marked]
        blocks.append(Table(tuple(lines[:at]), tuple(lines[at:])))
    return tuple(blocks)


def _regions(rows: Iterable[tuple[int, Sequence[Cell]]]) -> Iterator[_Region]:
    region = _Region()
    before = 0
    for number, cells in rows:
        if (region.rows or region.titles) and number > before + 1:
            yield _settled(region)
            region = _Region()
        if region.rows or len(cells) > 1:
            region.first = region.first if region.rows else number
            region.add([cells])
        else:
            region.titles.append(cells)
        before = number
    if region.rows or region.titles:
        yield _settled(region)


def _settled(region: _Region) -> _Region:
    """The region; where all its rows have one cell, they are its rows, and no titles of others."""
    if not region.rows:
        region.add(region.titles)
        region.titles = []
    return region


def _joined(regions: Iterable[_Region], heads: Collection[int]) -> Iterator[_Region]:
    """Regions within the columns of the one above as one: an empty row now and then does not end a table,
    and what stands below it must not lose its column. Lines in the first column alone may end a table.
    """
    grid: _Region | None = None
    lines: list[_Region] = []
    for region in regions:
        if grid is not None and _within(region, grid, heads):
            if region.columns == {min(grid.columns)}:
                lines.append(region)
                continue
            for each in (*lines, region):
                grid.add((*each.titles, *each.rows))
            lines = []
            continue
        yield from (each for each in (grid, *lines) if each is not None)
        grid, lines = region, []
    yield from (each for each in (grid, *lines) if each is not None)


def _within(region: _Region, grid: _Region, heads: Collection[int]) -> bool:
    return (
        len(grid.columns) > 1
        and region.columns.union(cell.column for row in region.titles for cell in row) <= grid.columns
        and region.first not in heads
        and not (len(region.rows) > 1 and _is_strong(region.rows[0]))
    )


def _with_flags(rows: Sequence[Sequence[Cell]]) -> Sequence[Sequence[Cell]]:
    """The rows with the colours of flagged cells in words, where these are few."""
    if not few((cell.text, cell.flag) for row in rows for cell in row):
        return rows
    return [[cell._replace(text=flagged(cell.text, cell.flag)) for cell in row] for row in rows]


def _line(row: Sequence[Cell], places: dict[int, int]) -> tuple[str, ...]:
    line = [""] * len(places)
    for cell in row:
        line[places[cell.column]] = cell.text
    return tuple(line)


def _is_strong(row: Sequence[Cell]) -> bool:
    return len(row) > 1 and all(cell.strong for cell in row)


def _is_head(rows: Sequence[Sequence[Cell]], width: int) -> bool:
    """Whether the first row names the columns: a text above each but one at most. It is bold where any row
    is; where none is, it has no amounts such as "5 mg".
    """
    row = rows[0]
    if len(row) < max(2, width - 1) or any(cell.number for cell in row):
        return False
    if _is_strong(row):
        return True
    if any(_is_strong(other) for other in rows[1:]):
        return False
    return not any(cell.text[0].isdigit() for cell in row)
