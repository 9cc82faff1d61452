"""A table of HTML or of a narrative taken apart: the rows of its head and body, and its grid."""

import re
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.treenode import SILENT, Node

_WIDEST: Final = 200
"""Columns that a cell may claim to span."""


@dataclass(slots=True)
class Parts:
    """The parts of a table: the rows of its head and its body, and content outside of cells."""

    head: list[list[Node]] = field(default_factory=list)
    body: list[list[Node]] = field(default_factory=list)
    stray: list[Node | str] = field(default_factory=list)

    @classmethod
    def of(cls, table: Node) -> "Parts":
        """The parts of a table's element."""
        parts = cls()
        foot: list[list[Node]] = []
        for child in table.children:
            below = isinstance(child, Node) and child.tag == "tfoot"
            parts._take(child, foot if below else parts.body, ())
        parts.body += foot  # it stands below whatever comes behind it
        if not parts.head and len(parts.body) > 1 and all(cell.tag == "th" for cell in parts.body[0]):
            parts.head.append(parts.body.pop(0))
        return parts

    def _take(self, child: Node | str, rows: list[list[Node]], above: tuple[Node, ...]) -> None:
        if isinstance(child, str):
            if child.strip():
                self.stray.append(child)
        elif child.tag in {"tbody", "tfoot", "thead"}:
            for inner in child.children:
                self._take(inner, self.head if child.tag == "thead" else rows, (*above, child))
        elif child.tag == "tr":
            row = []
            for cell in child.children:
                if isinstance(cell, Node) and cell.tag in {"td", "th"}:
                    cell.above = (*above, child)
                    row.append(cell)
                elif isinstance(cell, Node) or cell.strip():
                    self.stray.append(cell)
            rows.append(row)
        elif child.tag not in SILENT:
            self.stray.append(child)


def is_layout(table: Node, rows: list[list[Node]]) -> bool:
    """Whether a table only lays out its page: declared so, or with tables inside and without rows of data."""
    if table.attributes.get("role", "").lower() in {"presentation", "none"}:
        return True
    nested = [cell for row in rows for cell in row if next(cell.find("table"), None)]
    if not nested:
        return False
    full = sum(sum(bool(cell.text()) for cell in row) > 1 for row in rows)
    headed = any(cell.tag == "th" for row in rows for cell in row)
    return len(nested) > len(rows) or 2 * full <= len(rows) or not (headed or full > 1)


def grid(rows: list[list[tuple[str, Node]]]) -> tuple[int, list[list[str]]]:
    """The rows with spans filled by empty cells: a text appears once, where its cell begins."""
    lines: list[list[str]] = []
    below: dict[int, int] = {}  # column: rows that a cell above still covers
    for row in rows:
        line: list[str] = []

        def covered(line: list[str] = line) -> None:
            while below.get(len(line), 0) > 0:
                below[len(line)] -= 1
                line.append("")

        for text, cell in row:
            covered()
            down = _span(cell, "rowspan") - 1
            for at in range(_span(cell, "colspan")):
                if at and len(line) >= _WIDEST:
                    break
                if down:
                    below[len(line)] = down
                line.append("" if at else text)
        covered()
        lines.append(line)
    return max(map(len, lines), default=0), lines


def without_gaps(rows: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    """The rows without the columns that are empty in all of them."""
    used = [at for at, column in enumerate(zip(*rows, strict=True)) if any(column)]
    return [[row[at] for at in used] for row in rows]


def _span(cell: Node, which: str) -> int:
    text = cell.attributes.get(which, "1").strip()
    return min(max(int(text), 1), _WIDEST) if re.fullmatch("[0-9]{1,4}", text) else 1
