"""Tables in plain text whose cells are parted by tabs or by bars."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from docpipe.convert.core.blocks import Table, even, tidy

_TAB_WIDTH: Final = 8
_LEAST_LINES: Final = 2
_RULE: Final = re.compile(r"[\s|+:=-]*")
_BARS: Final = 2


def table(paragraph: str) -> Table | None:
    """The lines as a table, None where blanks or tab stops lay them out, or nothing does."""
    lines = [line for line in paragraph.split("\n") if line.strip()]
    if len(lines) < _LEAST_LINES:
        return None
    if all("\t" in line for line in lines):
        rows = [line.split("\t") for line in lines]
        return None if _lines_up(rows) else _as_table(rows)
    if all("|" in line for line in lines):
        rows = [_between_bars(line) for line in lines if not _RULE.fullmatch(line)]
        counts = {len(row) for row in rows}
        if len(rows) >= _LEAST_LINES and len(counts) == 1 and counts.pop() > _BARS:
            return _as_table(rows)
    return None


def split(paragraph: str) -> Iterator[str | Table]:
    """A paragraph's tables, and the lines between them."""
    lines = paragraph.strip("\n").split("\n")
    for sign in ("\t", "|"):
        pieces: list[str | Table] = []
        for has, run in groupby(lines, key=lambda line, sign=sign: sign in line):  # type: ignore[misc]
            text = "\n".join(run)
            pieces.append((table(text) if has else None) or text)
        if any(isinstance(piece, Table) for piece in pieces):
            yield from pieces
            return
    yield paragraph


def _as_table(rows: list[list[str]]) -> Table:
    cells = even([tidy(cell) for cell in row] for row in rows)
    return Table(cells[:1], cells[1:])


def _between_bars(line: str) -> list[str]:
    line = line.strip()
    if line.startswith("|") and line.endswith("|") and len(line) > 1:
        line = line[1:-1]
    return line.split("|")


def _lines_up(rows: list[list[str]]) -> bool:
    """Whether tab stops of 8 put the cells below each other, as typed; else tabs count cells.

    Where words are longer than a tab stop the cells of one column begin at different stops. Then a cell's
    column is the number of tabs before it: on paper it would stand below another head.
    """
    starts: list[dict[int, int]] = []
    for row in rows:
        at, filled = 0, {}
        for number, cell in enumerate(row):
            if cell.strip():
                filled[number] = at
            at = (at + len(cell)) // _TAB_WIDTH * _TAB_WIDTH + _TAB_WIDTH
        starts.append(filled)
    by_number: dict[int, set[int]] = {}
    for filled in starts:
        for number, at in filled.items():
            by_number.setdefault(number, set()).add(at)
    if all(len(places) == 1 for places in by_number.values()):
        return True
    if len({len(row) for row in rows}) == 1 or all(_is_dense(row) for row in rows):
        return False
    places = {at for filled in starts for at in filled.values()}
    return len(places) <= max(map(len, starts))


def _is_dense(row: list[str]) -> bool:
    """Whether a row has no empty cell before its last filled one."""
    filled = [number for number, cell in enumerate(row) if cell.strip()]
    return filled == list(range(len(filled)))
