"""Tables that a page makes of floats: rows of elements side by side, each row ended by `clear`."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from docpipe.convert.core.treelook import declarations
from docpipe.convert.core.treenode import Node

_LONGEST: Final = 60
"""Characters of a cell; longer ones are columns of a page."""
_MEANT: Final = re.compile("float|clear|margin-left")
_LARGE: Final = ("table", "ul", "ol", "dl", "pre", "h1", "h2", "h3", "h4", "h5", "h6")


def with_floated(children: Sequence[Node | str]) -> list[Node | str]:
    """The children of an element; rows of floats among them as a table, where each has as many cells."""
    if not any(_floats(_styles(child)) for child in children if isinstance(child, Node)):
        return list(children)
    made: list[Node | str] = []
    run = _Run()
    for child in children:
        if not run.takes(child):
            made += run.taken()
            run = _Run()
            if not run.takes(child):
                made.append(child)
    return [*made, *run.taken()]


class _Run:
    """Neighbours that are floats and what ends their rows."""

    def __init__(self) -> None:
        self._children: list[Node | str] = []
        self._rows: list[list[Node]] = []
        self._ended = True

    def takes(self, child: Node | str) -> bool:
        """Whether a child belongs to the rows; it is taken."""
        if isinstance(child, str):
            fits = not child.strip() and bool(self._children)
        else:
            fits = self._takes(child, _styles(child))
        if fits:
            self._children.append(child)
        return fits

    def _takes(self, child: Node, styles: Mapping[str, str]) -> bool:
        clears = _clears(child, styles)
        if _floats(styles):
            if clears or self._ended:
                self._rows.append([])
            self._rows[-1].append(child)
            self._ended = False
            return True
        if clears and not child.text():
            self._ended = True
            return bool(self._rows)
        if self._ended or clears or "margin-left" not in styles:
            return False
        self._rows[-1].append(child)  # the last one of a row fills it, beside the floats
        self._ended = True
        return True

    def taken(self) -> list[Node | str]:
        """The table of the rows, or the children as they are where these are none."""
        widths = {len(row) for row in self._rows}
        cells = [cell for row in self._rows for cell in row]
        if len(self._rows) < 2 or len(widths) > 1 or widths == {1} or not all(map(_is_short, cells)):  # noqa: PLR2004 - one row is a line of words
            return self._children
        rows: list[Node | str] = [
            Node("tr", {}, [Node("td", {}, [cell]) for cell in row]) for row in self._rows
        ]
        return [Node("table", {}, rows)]


def _styles(node: Node) -> Mapping[str, str]:
    style = node.attributes.get("style", "")
    return dict(declarations(style)) if _MEANT.search(style) else {}


def _floats(styles: Mapping[str, str]) -> bool:
    return styles.get("float") == "left"


def _clears(node: Node, styles: Mapping[str, str]) -> bool:
    old = node.attributes.get("clear", "").lower() if node.tag == "br" else ""
    return styles.get("clear") in {"both", "left"} or old in {"all", "both", "left"}


def _is_short(cell: Node) -> bool:
    return len(cell.text()) <= _LONGEST and next(cell.find(*_LARGE), None) is None
