"""Rows and grids that style sheets or roles lay out (CSS Flexbox, CSS Grid, WAI-ARIA), as tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from docpipe.convert.core.treelook import declarations
from docpipe.convert.core.treenode import Node
from docpipe.convert.readers.html.floated import with_floated
from docpipe.convert.readers.html.placed import with_placed

_LONGEST: Final = 300
"""Characters of a cell; longer ones are columns of a page."""
_MOST_COLUMNS: Final = 60
_LARGE: Final = (
    "table",
    "ul",
    "ol",
    "dl",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "form",
    "section",
    "nav",
)
"""What no cell of a row contains, but a part of a page does."""
_TRACK: Final = re.compile(
    r"repeat\(\s*([0-9]{1,2})\s*,((?:[^()]|\([^()]*\))*)\)|(?:[\w-]+\([^()]*\)|[^\s()]+)"
)
_LAID_OUT: Final = re.compile("grid|flex|contents|inline-|float")
_SPAN: Final = re.compile(
    r"(?:([0-9]{1,2})\s*(?:/\s*(?:span\s+([0-9]{1,2})|([0-9]{1,2})))?|span\s+([0-9]{1,2}))"
)
_NEUTRAL: Final = frozenset(
    {"div", "span", "section", "article", "p", "label", "a", "main", "dl", "form", "body"}
)


def with_tables(node: Node) -> Node:
    """The tree, changed: where rows or a grid of short texts are laid out, they are a table."""
    for child in _nodes(node):
        with_tables(child)
    if node.tag not in _NEUTRAL:
        return node
    styles = _styles(node)
    columns = _columns(styles) if styles.get("display") in _GRIDS else 0
    if columns > 1 and (rows := _placed(node, columns)):
        node.children = [Node("table", {}, [*rows])]
    elif not columns:
        node.children = list(_joined(with_placed(with_floated(node.children))))
    return node


_GRIDS: Final = frozenset({"grid", "inline-grid"})


def _nodes(node: Node) -> list[Node]:
    return [child for child in node.children if isinstance(child, Node)]


def _styles(node: Node) -> Mapping[str, str]:
    style = node.attributes.get("style", "")
    return dict(declarations(style)) if _LAID_OUT.search(style) else {}


def _columns(styles: Mapping[str, str]) -> int:
    """How many columns a grid has, 0 where that depends on the window or is not written."""
    tracks = styles.get("grid-template-columns") or styles.get("grid-template", "").partition("/")[2]
    count = 0
    for match in _TRACK.finditer(re.sub(r"\[[^\]]*\]", " ", tracks)):
        if match[0].startswith("repeat(") and not match[1]:
            return 0
        count += (
            int(match[1]) * len(_TRACK.findall(match[2])) if match[1] else match[0] not in {"none", "subgrid"}
        )
    return count if count <= _MOST_COLUMNS else 0


def _placed(grid: Node, columns: int) -> list[Node]:
    """The rows of a grid, none where it is no table."""
    cells = _cells(grid)
    if len(cells) <= columns or not _are_short(cells):  # one row is no table
        return []
    rows: list[list[Node]] = [[]]
    at = 0
    for cell in cells:
        start, wide = _place(cell, columns)
        if (at if start is None else start) + wide > columns or (start is not None and start < at):
            rows.append([])
            at = 0
        rows[-1] += [Node("td") for _ in range((at if start is None else start) - at)]
        rows[-1].append(Node("td", {**cell.attributes, "colspan": str(wide)}, cell.children))
        at = (at if start is None else start) + wide
    return [Node("tr", {}, [*row]) for row in rows]


def _cells(grid: Node) -> list[Node]:
    """The cells of a grid: its elements, and those of elements that only hold them together."""
    cells: list[Node] = []
    for child in _nodes(grid):
        cells += _cells(child) if _styles(child).get("display") == "contents" else [child]
    return cells


def _place(cell: Node, columns: int) -> tuple[int | None, int]:
    """The column of a cell, from 0, None for the next one, and how many columns it covers."""
    styles = _styles(cell)
    column = styles.get("grid-column") or styles.get("grid-column-start", "")
    if column.replace(" ", "") == "1/-1":
        return 0, columns
    match = _SPAN.fullmatch(column.strip())
    if match is None:
        return None, 1
    start = int(match[1]) - 1 if match[1] else None
    wide = int(match[2] or match[4] or 0) or (int(match[3]) - int(match[1]) if match[3] else 1)
    wide = min(max(wide, 1), columns)
    return (start if start is None or 0 <= start <= columns - wide else None), wide


def _joined(children: Sequence[Node | str]) -> Iterator[Node | str]:
    """The children of an element, neighbours that are rows of as many cells joined to a table."""
    pending: list[Node] = []
    width = 0
    for child in children:
        if isinstance(child, str) and not child.strip():
            if not pending:
                yield child
            continue
        cells = _row(child) if isinstance(child, Node) else []
        if pending and len(cells) != width:
            yield from _table(pending)
            pending = []
        if cells and isinstance(child, Node):
            pending.append(child)
            width = len(cells)
        else:
            yield child
    yield from _table(pending)


def _table(rows: list[Node]) -> list[Node]:
    if len(rows) < 2:  # noqa: PLR2004 - one row is a line of words
        for row in rows:
            row.children = [part for cell in row.children for part in (cell, " ")]
        return rows
    made = [
        Node("tr", row.attributes, [Node("td", cell.attributes, [cell]) for cell in _nodes(row)])
        for row in rows
    ]
    return [Node("table", {}, [*made])]


def _row(node: Node) -> list[Node]:
    """The cells of an element that lays them out in one row, none for any other."""
    styles = _styles(node)
    display = styles.get("display", "")
    cells = _nodes(node)
    if display in {"flex", "inline-flex"}:
        flow = styles.get("flex-direction", "") + styles.get("flex-flow", "")
        fitting = "column" not in flow
    else:
        fitting = display in _GRIDS and (
            _columns(styles) >= len(cells) or "subgrid" in styles.get("grid-template-columns", "")
        )
        fitting = fitting or (len(cells) > 1 and all(_is_beside(_styles(cell)) for cell in cells))
    loose = any(isinstance(child, str) and child.strip() for child in node.children)
    return cells if fitting and not loose and len(cells) > 1 and _are_short(cells) else []


def _is_beside(styles: Mapping[str, str]) -> bool:
    """Whether an element with these styles stands beside others, in a column of its own."""
    apart = styles.get("display") in {"inline-block", "inline-table"} or styles.get("float") == "left"
    return apart and bool({"width", "min-width"} & styles.keys())


def _are_short(cells: Sequence[Node]) -> bool:
    return all(
        cell.tag not in _LARGE and next(cell.find(*_LARGE), None) is None and len(cell.text()) <= _LONGEST
        for cell in cells
    )
