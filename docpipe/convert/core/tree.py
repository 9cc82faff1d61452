"""A neutral tree of elements and text, and how it flows into blocks.

HTML and the narrative of CDA are nearly the same language; both are brought into this tree and read once
here.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.blocks import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Preformatted,
    Table,
    clean,
    even,
    flat,
    tidy,
)

DEEPEST: Final = 90
"""Elements nested deeper than this flow into their ancestor at this depth; browsers stop at 512."""


@dataclass(slots=True)
class Node:
    """An element: its tag in lower case as HTML calls it, attributes, and children in order."""

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: "list[Node | str]" = field(default_factory=list)

    def find(self, *tags: str) -> "Iterator[Node]":
        """Descendants with one of the tags, in document order."""
        stack: list[Node | str] = [self]
        while stack:
            node = stack.pop()
            if isinstance(node, Node):
                if node.tag in tags and node is not self:
                    yield node
                stack.extend(reversed(node.children))

    def text(self) -> str:
        """All text within, blanks collapsed."""
        parts: list[str] = []
        stack: list[Node | str] = [self]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                parts.append(node)
            else:
                stack.extend(reversed(node.children))
        return " ".join(clean("".join(parts)).split())


_SILENT: Final = {
    "script", "style", "head", "template", "noscript", "object", "embed", "iframe", "applet", "svg", "math",
    "canvas", "audio", "video", "col", "colgroup", "meta", "link", "base", "param", "source", "track",
    "map", "area", "frame", "frameset", "title", "datalist",
}  # fmt: skip
_BLOCK: Final = {
    "p", "div", "section", "article", "header", "footer", "main", "aside", "nav", "address", "blockquote",
    "center", "dl", "dt", "dd", "fieldset", "form", "figure", "figcaption", "details", "summary", "hr",
    "body", "html", "legend", "caption", "option", "tr", "td", "th", "tbody", "thead", "tfoot", "li",
    "hgroup", "search", "dialog", "noframes",
}  # fmt: skip
_HEADING: Final = re.compile("h([1-6])")
SUPERSCRIPTS: Final = str.maketrans("0123456789+-()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾")
RAISED: Final = re.compile(r"[0-9+()-]{1,6}")
_WIDEST: Final = 200
"""Columns that a cell may claim to span."""


class Flow:
    """Reads a tree into blocks.

    Args:
        label: what stands for a picture, given its element; empty for nothing.
        keep_lines: whether newlines in text may be meant as such, as they are by writers of CDA who put
            typewritten notes into an element (a printer's newlines are followed by an indent).
    """

    def __init__(self, label: Callable[[Node], str] | None = None, *, keep_lines: bool = False) -> None:
        self._label = label or _alternative
        self._keep_lines = keep_lines

    def blocks(self, node: Node) -> tuple[Block, ...]:
        """The blocks of everything within the element."""
        out = _Out()
        self._children(node, out)
        out.end_paragraph()
        return tuple(out.blocks)

    def _children(self, node: Node, out: "_Out") -> None:
        before: Node | None = None
        for child in node.children:
            if isinstance(child, str):
                out.say(self._words(child))
                before = None
                continue
            if before is not None and before.tag == child.tag == "content":
                out.say(" ")  # two pieces of content that touch are two words
            self._element(child, out)
            before = child

    def _words(self, text: str) -> str:
        if self._keep_lines and text.strip().count("\n") > 1:
            lines = text.strip().replace("\r\n", "\n").split("\n")
            if not any(line[:1].isspace() for line in lines[1:]):
                return "\n".join(" ".join(line.split()) for line in lines)
        return re.sub(r"\s+", " ", text)

    def _element(self, node: Node, out: "_Out") -> None:
        tag = node.tag
        if tag in _SILENT:
            return
        if tag == "br":
            out.say("\n")
        elif found := _HEADING.fullmatch(tag):
            out.add(Heading(int(found[1]), node.text()))
        elif tag in {"ul", "ol", "menu", "dir"}:
            out.add(self._list(node))
        elif tag == "table":
            for block in self._table(node):
                out.add(block)
        elif tag in {"pre", "textarea", "listing", "xmp", "plaintext"}:
            out.add(Preformatted(clean(_raw(node))))
        elif tag in _BLOCK:
            out.end_paragraph()
            self._children(node, out)
            out.end_paragraph()
        else:
            self._inline(node, out)

    def _inline(self, node: Node, out: "_Out") -> None:
        match node.tag:
            case "img":
                if label := self._label(node):
                    out.say(f" [{label}] ")
            case "input":
                out.say(_field(node))
            case "sup":
                text = node.text()
                # 10 to the 9th must not become 109.
                out.say(text.translate(SUPERSCRIPTS) if RAISED.fullmatch(text) else text)
            case "q":
                out.say("“")
                self._children(node, out)
                out.say("”")
            case _:
                self._children(node, out)

    def _list(self, node: Node) -> Listing:
        items: list[tuple[Block, ...]] = []
        loose = Node("li")
        for child in node.children:
            if isinstance(child, Node) and child.tag == "li":
                items.append(self.blocks(child))
            elif isinstance(child, Node) and child.tag == "caption":
                items.insert(0, self.blocks(child))
            elif isinstance(child, Node) or child.strip():
                loose.children = [child]
                items.append(self.blocks(loose))
        try:
            start = int(node.attributes.get("start", "1"))
        except ValueError:
            start = 1
        full = tuple(item for item in items if item)
        return Listing(full, max(0, min(start, 99_999_999)) if node.tag == "ol" else None)

    def _table(self, node: Node) -> Iterator[Block]:
        parts = _Parts.of(node)
        for stray in parts.stray:
            yield from self.blocks(Node("div", {}, [stray]))
        rows = parts.head + parts.body
        if (
            node.attributes.get("role", "").lower() in {"presentation", "none"}
            or any(next(cell.find("table"), None) for row in rows for cell in row)
            or (not parts.head and max(map(len, rows), default=0) < 2)  # noqa: PLR2004 - one column only lays out
        ):
            for row in rows:
                for cell in row:
                    yield from self.blocks(cell)
            return
        width, head = _grid([[(self._cell(cell), cell) for cell in row] for row in parts.head])
        width_, body = _grid([[(self._cell(cell), cell) for cell in row] for row in parts.body])
        width = max(width, width_)
        body = [row for row in body if any(row)]
        if not parts.head:
            body = _without_gaps(even(body, width))
            width = max(map(len, body), default=0)
            if width == 1:  # what else there was, were gaps that lay it out
                yield from (Paragraph(row[0]) for row in body)
                return
        if width and (body or any(map(any, head))):
            yield Table(even(head, width), even(body, width))

    def _cell(self, cell: Node) -> str:
        return flat(self.blocks(cell))


class _Out:
    """Blocks so far, and the paragraph that is being said."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._said: list[str] = []

    def say(self, text: str) -> None:
        self._said.append(text)

    def end_paragraph(self) -> None:
        if text := tidy("".join(self._said)):
            self.blocks.append(Paragraph(text))
        self._said.clear()

    def add(self, block: Block) -> None:
        self.end_paragraph()
        match block:
            case Heading(text=text) | Preformatted(text=text) if not text.strip():
                return
            case Listing(items) if not items:
                return
        self.blocks.append(block)


@dataclass(slots=True)
class _Parts:
    """A table taken apart: the rows of its head and its body, and what stands where nothing should."""

    head: list[list[Node]] = field(default_factory=list)
    body: list[list[Node]] = field(default_factory=list)
    stray: list[Node | str] = field(default_factory=list)

    @classmethod
    def of(cls, table: Node) -> "_Parts":
        parts = cls()
        for child in table.children:
            parts._take(child, parts.body)
        if not parts.head and len(parts.body) > 1 and all(cell.tag == "th" for cell in parts.body[0]):
            parts.head.append(parts.body.pop(0))
        return parts

    def _take(self, child: Node | str, rows: list[list[Node]]) -> None:
        if isinstance(child, str):
            if child.strip():
                self.stray.append(child)
        elif child.tag in {"tbody", "tfoot", "thead"}:
            for inner in child.children:
                self._take(inner, self.head if child.tag == "thead" else rows)
        elif child.tag == "tr":
            row = []
            for cell in child.children:
                if isinstance(cell, Node) and cell.tag in {"td", "th"}:
                    row.append(cell)
                elif isinstance(cell, Node) or cell.strip():
                    self.stray.append(cell)
            rows.append(row)
        elif child.tag not in _SILENT:
            self.stray.append(child)


def _grid(rows: list[list[tuple[str, Node]]]) -> tuple[int, list[list[str]]]:
    """The rows with spans filled by empty cells: a text stands once, where it begins."""
    grid: list[list[str]] = []
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
        grid.append(line)
    return max(map(len, grid), default=0), grid


def _without_gaps(rows: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    """The rows without the columns that are empty in all of them."""
    used = [at for at, column in enumerate(zip(*rows, strict=True)) if any(column)]
    return [[row[at] for at in used] for row in rows]


def _span(cell: Node, which: str) -> int:
    text = cell.attributes.get(which, "1").strip()
    return min(max(int(text), 1), _WIDEST) if re.fullmatch("[0-9]{1,4}", text) else 1


def _alternative(node: Node) -> str:
    text = tidy(node.attributes.get("alt", ""))
    return f"picture: {text}" if text else ""


def _field(node: Node) -> str:
    """What a form shows of a field that was filled in."""
    kind = node.attributes.get("type", "text").lower()
    if kind in {"checkbox", "radio"}:
        return " ☑ " if "checked" in node.attributes else " ☐ "
    return "" if kind in {"hidden", "password"} else f" {node.attributes.get('value', '')} "


def _raw(node: Node) -> str:
    """All text within, as it stands."""
    parts: list[str] = []
    stack: list[Node | str] = [node]
    while stack:
        top = stack.pop()
        if isinstance(top, str):
            parts.append(top)
        elif top.tag == "br":
            parts.append("\n")
        elif top.tag not in _SILENT:
            stack.extend(reversed(top.children))
    return "".join(parts)
