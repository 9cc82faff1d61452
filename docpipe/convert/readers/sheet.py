"""Cells of a spreadsheet to blocks: tables where rows have columns, paragraphs where a line stands alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from docpipe.convert.core.blocks import Block, Paragraph, Table

MOST_CELLS: Final = 1_500_000
"""Cells with text that are read of one file: what a worker's memory holds, with the text made of them."""
TOO_LARGE: Final = f"only the first {MOST_CELLS:,} cells are shown; the original has all"
Cell = tuple[int, str, bool]
"""Column from 0, text, and whether it is a number."""


@dataclass(slots=True)
class _Region:
    """Rows without an empty one between them."""

    rows: list[list[Cell]]

    @property
    def columns(self) -> list[int]:
        return sorted({column for row in self.rows for column, _, _ in row})


def blocks_of(rows: Iterable[tuple[int, list[Cell]]]) -> tuple[Block, ...]:
    """Tables and paragraphs of the rows of a sheet, which are numbered; empty rows part tables."""
    blocks: list[Block] = []
    for region in _joined(_regions(rows)):
        columns = region.columns
        if len(columns) == 1:
            blocks += [Paragraph(row[0][1]) for row in region.rows]
            continue
        while len(region.rows) > 1 and len(region.rows[0]) == 1:  # titles above a table
            blocks.append(Paragraph(region.rows.pop(0)[0][1]))
        places = {column: at for at, column in enumerate(region.columns)}
        lines = [_line(row, places) for row in region.rows]
        heads = 1 if len(lines) > 1 and _is_head(region.rows[0], len(places)) else 0
        blocks.append(Table(tuple(lines[:heads]), tuple(lines[heads:])))
    return tuple(blocks)


def _regions(rows: Iterable[tuple[int, list[Cell]]]) -> Iterator[_Region]:
    region = _Region([])
    before = 0
    for number, cells in rows:
        if region.rows and number > before + 1:
            yield region
            region = _Region([])
        region.rows.append(cells)
        before = number
    if region.rows:
        yield region


def _joined(regions: Iterable[_Region]) -> Iterator[_Region]:
    """Regions of the same columns as one: an empty row now and then does not end a table."""
    waiting: _Region | None = None
    for region in regions:
        if waiting is not None and len(region.columns) > 1 and waiting.columns == region.columns:
            waiting.rows += region.rows
            continue
        if waiting is not None:
            yield waiting
        waiting = region
    if waiting is not None:
        yield waiting


def _line(row: Sequence[Cell], places: dict[int, int]) -> tuple[str, ...]:
    line = [""] * len(places)
    for column, text, _ in row:
        line[places[column]] = text
    return tuple(line)


def _is_head(row: Sequence[Cell], width: int) -> bool:
    """Whether a row names the columns: a text above each but one at most."""
    return len(row) >= max(2, width - 1) and not any(number for _, _, number in row)
