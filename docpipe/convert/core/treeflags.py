"""Colours that flag cells of a table, in words, where some cells have them and others do not."""

from collections.abc import Iterable

from docpipe.convert.core.colours import FAINT, VIVID, warm_colour
from docpipe.convert.core.treelook import declarations
from docpipe.convert.core.treenode import Node


def flags(rows: Iterable[Iterable[Node]]) -> dict[int, str]:
    """The names of colours of flagged cells, by the `id` of the cell; none where most cells are coloured."""
    named: dict[int, str] = {}
    count = 0
    for row in rows:
        cells = list(row)
        above = _shade(cells[0].above[-1]) if cells and cells[0].above else ""
        for at, cell in enumerate(cells):
            count += 1
            if colour := _of_cell(cell) or (above if at == 0 else ""):
                named[id(cell)] = colour
    return named if 2 * len(named) <= count else {}


def _of_cell(cell: Node) -> str:
    if not cell.text():
        return ""
    node = cell
    while True:
        if colour := _shade(node) or _ink(node):
            return colour
        inner = [child for child in node.children if not isinstance(child, str) or child.strip()]
        if len(inner) != 1 or isinstance(inner[0], str):
            return ""
        node = inner[0]


def _shade(node: Node) -> str:
    value = node.attributes.get("bgcolor", "").lower()
    for name, text in declarations(node.attributes.get("style", "")):
        if name in {"background", "background-color"}:
            value = text
    return warm_colour(value, FAINT)


def _ink(node: Node) -> str:
    value = node.attributes.get("color", "").lower() if node.tag == "font" else ""
    for name, text in declarations(node.attributes.get("style", "")):
        if name == "color":
            value = text
    return warm_colour(value, VIVID)
