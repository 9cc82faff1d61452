"""Cells of Word's tables: their texts in the columns of the grid, and those that a colour flags."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from docpipe.convert.core.blocks import Block, flat
from docpipe.convert.core.xmltree import Element
from docpipe.convert.readers.office.flags import few, flagged, heads, of_background
from docpipe.convert.readers.office.ooxml import attribute, down, whole

_MOST_COLUMNS: Final = 100


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that was read."""

    element: Element
    blocks: tuple[Block, ...]
    ink: str = ""
    """The colour of all of its text where that may flag it."""

    @property
    def colour(self) -> str:
        """The colour of its background or its text that may flag it, empty for none."""
        return of_background(attribute(down(self.element, "tcPr", "shd"), "fill")) or self.ink


def lines(rows: Sequence[Element], cells: Sequence[Sequence[Cell]], head: int) -> Iterator[list[str]]:
    """The texts of each row, with the colours of flagged cells below the heads where these are few."""
    named = [[(flat(cell.blocks), cell.colour) for cell in row] for row in cells]
    head = max(head, heads(named))
    flags = few(cell for row in named[head:] for cell in row)
    for at, row in enumerate(rows):
        yield list(_line(row, cells[at], flags=flags and at >= head))


def _line(row: Element, cells: Sequence[Cell], *, flags: bool) -> Iterator[str]:
    """The texts of a row, one a column of the grid: it may begin late, end early, and have wide cells."""
    yield from [""] * _columns(row, "gridBefore", "trPr")
    for cell in cells:
        yield flagged(flat(cell.blocks), cell.colour if flags else "")
        yield from [""] * (_columns(cell.element, "gridSpan", "tcPr") - 1)
    yield from [""] * _columns(row, "gridAfter", "trPr")


def _columns(element: Element, name: str, properties: str) -> int:
    return max(0, min(whole(attribute(down(element, properties, name), "val")), _MOST_COLUMNS))
