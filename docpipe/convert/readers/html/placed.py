"""Tables that a page makes of elements with places of their own (`position: absolute`)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from docpipe.convert.core.treelook import declarations
from docpipe.convert.core.treenode import Node

_LENGTH: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]*)?|\.[0-9]+)(px|pt|em|rem|in|cm|mm|%)?")
_PIXELS: Final = {
    "px": 1, "": 1, "pt": 4 / 3, "em": 16, "rem": 16, "in": 96, "cm": 37.8, "mm": 3.78, "%": 8,
}  # fmt: skip
_SAME_LINE: Final = 4
"""Pixels within which elements are in one line."""
_SAME_COLUMN: Final = 40
"""Pixels within which they begin in one column, unless they are in one line: numbers may end at one place."""
_LONGEST: Final = 30
"""Characters of the usual cell; longer ones are lines of running text."""
_FEWEST: Final = 4
_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class _Cell:
    top: float
    left: float
    node: Node


def with_placed(children: Sequence[Node | str]) -> list[Node | str]:
    """The children of an element; those with places of their own as a table, where they are in lines and
    columns.
    """
    made = list(children)
    cells = [cell for child in made if isinstance(child, Node) and (cell := _placed(child))]
    if not _FEWEST <= len(cells) <= _MOST or median(len(cell.node.text()) for cell in cells) > _LONGEST:
        return made
    lines = _lines(cells)
    if sum(len(line) > 1 for line in lines) < 2:  # noqa: PLR2004 - one line is no table
        return made
    starts = _columns(lines)
    table = Node("table", {}, [_row(line, starts) for line in lines])
    placed = {id(cell.node) for cell in cells}
    at = next(at for at, child in enumerate(made) if id(child) in placed)
    rest = [child for child in made[at:] if id(child) not in placed]
    return [*made[:at], table, *rest]


def _placed(node: Node) -> _Cell | None:
    """A short element with a place; none for those elsewhere or nowhere on the page."""
    style = node.attributes.get("style", "")
    if "absolute" not in style:
        return None
    styles = dict(declarations(style))
    top, left = _pixels(styles, "top"), _pixels(styles, "left")
    if styles.get("position") != "absolute" or top is None or left is None or not node.text():
        return None
    return None if next(node.find("table", "ul", "ol", "pre"), None) else _Cell(top, left, node)


def _pixels(styles: Mapping[str, str], name: str) -> float | None:
    match = _LENGTH.fullmatch(styles.get(name, ""))
    return float(match[1]) * _PIXELS[match[2] or ""] if match else None


def _lines(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """The cells by lines from the top, each from the left."""
    lines: list[list[_Cell]] = []
    for cell in sorted(cells, key=lambda each: each.top):
        if lines and cell.top - lines[-1][0].top <= _SAME_LINE:
            lines[-1].append(cell)
        else:
            lines.append([cell])
    return [sorted(line, key=lambda each: each.left) for line in lines]


def _columns(lines: Sequence[Sequence[_Cell]]) -> list[float]:
    """Where the columns begin: cells of one line are in different ones."""
    starts: list[float] = []
    taken: set[int] = set()
    for left, line in sorted((cell.left, at) for at, cells in enumerate(lines) for cell in cells):
        if starts and left - starts[-1] <= _SAME_COLUMN and line not in taken:
            taken.add(line)
        else:
            starts.append(left)
            taken = {line}
    return starts


def _row(line: Sequence[_Cell], starts: Sequence[float]) -> Node:
    row: list[Node | str] = [Node("td") for _ in starts]
    for cell in line:
        column = max(at for at, start in enumerate(starts) if start <= cell.left)
        before = row[column]
        row[column] = Node("td", {}, [*(before.children if isinstance(before, Node) else ()), cell.node])
    return Node("tr", {}, row)
