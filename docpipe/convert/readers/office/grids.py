"""Which tables of a text are tables, and which only lay out a page."""

from collections.abc import Sequence
from typing import Final

from docpipe.convert.core.blocks import Block, Heading, Table, texts

_LONGEST_CELL: Final = 2_000
"""Characters of a cell with a table in it beyond which it is a part of the page, and no cell."""


def laid_out(rows: Sequence[Sequence[Sequence[Block]]]) -> bool:
    """Whether a table only lays out a page: it has one column, or a cell with a table in it is long or has
    headings. Any other table within a cell stays there, since its place says what it belongs to.
    """
    if max((sum(1 for cell in row) for row in rows), default=0) < 2:  # noqa: PLR2004 - columns
        return True
    if all(sum(map(bool, row)) < 2 for row in rows) and _nesting(rows):  # noqa: PLR2004 - columns
        return True
    return any(
        any(isinstance(block, Heading) for block in cell) or sum(map(len, texts(cell))) > _LONGEST_CELL
        for row in rows
        for cell in row
        if _nesting([[cell]])
    )


def _nesting(rows: Sequence[Sequence[Sequence[Block]]]) -> bool:
    return any(isinstance(block, Table) for row in rows for cell in row for block in cell)
