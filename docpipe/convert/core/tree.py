"""A neutral tree of elements and text, and how it flows into blocks.

HTML and the narrative of CDA are nearly the same language; both are brought into this tree and read once
here.
"""

import re
from collections.abc import Callable, Iterator
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
from docpipe.convert.core.colours import UNKNOWN, flags_behind
from docpipe.convert.core.direction import as_drawn
from docpipe.convert.core.marks import plain
from docpipe.convert.core.treeflags import flags
from docpipe.convert.core.treelists import is_ordered, labels
from docpipe.convert.core.treelook import Look, shift, shifted, stands_apart
from docpipe.convert.core.treenode import AFTER, BEFORE, DEEPEST, SILENT, Node
from docpipe.convert.core.treeparts import choice, field, formula, gauge, state
from docpipe.convert.core.treetables import Parts, grid, is_layout, without_gaps

__all__ = ["DEEPEST", "HIDDEN", "Flow", "Node"]

_BLOCK: Final = {
    "p", "div", "section", "article", "header", "footer", "main", "aside", "nav", "address", "blockquote",
    "center", "dl", "dt", "dd", "fieldset", "form", "figure", "figcaption", "details", "summary", "hr",
    "body", "html", "legend", "caption", "option", "tr", "td", "th", "tbody", "thead", "tfoot", "li",
    "hgroup", "search", "dialog", "noframes",
}  # fmt: skip
_LARGE: Final = ("table", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6")
_GAP: Final = re.compile(r"\S(?: {2,}|\t)\S")
_HEADING: Final = re.compile("h([1-6])")
_AS_IT_STANDS: Final = {"pre", "textarea", "listing", "xmp", "plaintext"}
HIDDEN: Final = 'text that the page does not show is marked as "hidden"'
"""The warning for text that the page does not show."""


class Flow:
    """Reads a tree into blocks.

    Args:
        label: the replacement for a picture, given its element; empty for none.
        keep_lines: whether newlines in text may be meant as such, as they are by writers of CDA who put
            typewritten notes into an element (a printer's newlines are followed by an indent).
    """

    def __init__(self, label: Callable[[Node], str] | None = None, *, keep_lines: bool = False) -> None:
        self._label = label or _alternative
        self._keep_lines = keep_lines
        self._look = Look()
        self._labelled: frozenset[str] = frozenset()
        self.hid = False
        """Whether some text was marked as hidden."""

    def page(self, node: Node) -> tuple[Block, ...]:
        """The blocks of a whole page."""
        linked = any("stylesheet" in each.attributes.get("rel", "").lower() for each in node.find("link"))
        # Which colours sheets elsewhere give to the text, and to what is behind it, is not known.
        self._look = Look(letters=None, behind=UNKNOWN) if linked else Look()
        self._labelled = frozenset(each.attributes.get("for", "") for each in node.find("label"))
        return self.blocks(node)

    def blocks(self, node: Node) -> tuple[Block, ...]:
        """The blocks of everything within the element."""
        out = _Out()
        self._within(node, out)
        out.end_paragraph()
        self.hid = self.hid or out.hid
        return tuple(out.blocks)

    def _within(self, node: Node, out: "_Out") -> None:
        """The children of an element, in its look."""
        before = self._look
        for above in node.above:
            self._look = self._look.of(above.tag, above.attributes)
        self._look = self._look.of(node.tag, node.attributes)
        try:
            self._write(node.attributes.get(BEFORE, ""), out)
            self._children(node, out)
            self._write(node.attributes.get(AFTER, ""), out)
        finally:
            self._look = before

    def _children(self, node: Node, out: "_Out") -> None:
        before: Node | None = None
        for child in node.children:
            if isinstance(child, str):
                self._write(self._words(child), out)
                before = None
                continue
            if before is not None and before.tag == child.tag == "content":
                self._write(" ", out)  # two pieces of content that touch are two words
            self._element(child, out)
            before = child

    def _write(self, text: str, out: "_Out") -> None:
        look = self._look
        out.write(look.write(text), hidden=look.hidden, colour=look.colour)

    def _words(self, text: str) -> str:
        if self._look.spaces and text.strip():
            return re.sub(r"[^\S\n]+", " ", text.replace("\r\n", "\n"))
        if self._keep_lines and text.strip().count("\n") > 1:
            lines = text.strip().replace("\r\n", "\n").split("\n")
            if not any(line[:1].isspace() for line in lines[1:]):
                return "\n".join(" ".join(line.split()) for line in lines)
        return re.sub(r"\s+", " ", text)

    def _element(self, node: Node, out: "_Out") -> None:
        tag = node.tag
        if tag in SILENT:
            return
        if tag == "br":
            out.write("\n")
        elif match := _HEADING.fullmatch(tag):
            out.add(Heading(int(match[1]), self._line(node)))
        elif tag in {"ul", "ol", "menu", "dir", "table"}:
            for block in self._in_look(node, self._table if tag == "table" else self._list):
                out.add(block)
        elif tag in _AS_IT_STANDS or self._is_typed(node):
            out.add(Preformatted(self._line(node, as_it_stands=True)))
        elif tag in _BLOCK:
            out.end_paragraph()
            self._ticked(node, out)
            self._within(node, out)
            out.end_paragraph()
        else:
            gap = " " if stands_apart(node.attributes) and len(node.text()) > 1 else ""  # an initial is none
            out.write(gap)
            self._ticked(node, out)
            self._inline(node, out)
            out.write(gap)

    def _is_typed(self, node: Node) -> bool:
        """Whether an element has columns that are made with blanks, and its style keeps these."""
        if node.tag not in _BLOCK or self._look.of(node.tag, node.attributes).spaces != "all":
            return False
        text = "".join(child for child in node.children if isinstance(child, str)).strip()
        return _GAP.search(text) is not None and next(node.find(*_BLOCK, *_LARGE), None) is None

    def _ticked(self, node: Node, out: "_Out") -> None:
        if box := state(node):
            self._write(f" {box} ", out)

    def _in_look(self, node: Node, read: "Callable[[Node], Iterator[Block]]") -> list[Block]:
        before = self._look
        self._look = before.of(node.tag, node.attributes)
        try:
            return list(read(node))
        finally:
            self._look = before

    def _inline(self, node: Node, out: "_Out") -> None:  # noqa: C901, PLR0912 - a table: one tag, one line
        match node.tag:
            case "img":
                if label := self._label(node):
                    self._write(f" [{label}] ", out)
            case "input":
                self._write(field(node, self._labelled), out)
            case "select":
                self._write(choice(node, self._labelled), out)
            case "math":
                self._write(formula(node), out)
            case "meter" | "progress":
                self._write(f" {gauge(node)} ", out)
            case "svg":
                self._drawing(node, out)
            case "tspan" if {"x", "y", "dy"} & node.attributes.keys():
                out.write(" ")  # it is placed elsewhere
                self._within(node, out)
            case "q":
                self._write("“", out)
                self._within(node, out)
                self._write("”", out)
            case "button" | "output":
                out.write(" ")  # it has a frame or a place of its own
                self._within(node, out)
                out.write(" ")
            case "bdo" if direction := node.attributes.get("dir", "").strip().lower():
                inner = _Out()
                self._within(node, inner)
                out.write(as_drawn(inner.line(), direction))
            case "rt":
                self._write("(", out)
                self._within(node, out)
                self._write(")", out)
            case _:
                self._run(node, out)

    def _run(self, node: Node, out: "_Out") -> None:
        """An element within a line; a raised one is written as a whole: 10 to the 9th must not become 109."""
        if node.tag in {"sup", "sub", "super"} or {"style", "stylecode"} & node.attributes.keys():
            text = node.text()
            if text and (direction := shift(node.tag, node.attributes, text)):
                inner = _Out()
                self._within(node, inner)
                line = inner.line()
                out.write(shifted(line, direction))
                return
        self._within(node, out)

    def _drawing(self, node: Node, out: "_Out") -> None:
        """The texts of an SVG, each one as a line; its title where it has none."""
        inner = _Out()
        self._texts(node, inner)
        if text := tidy(inner.text()):
            self.hid = self.hid or inner.hid
            out.write(f"\n{text}\n")
        elif name := next((each.text() for each in node.find("title", "desc")), ""):
            out.write(f" [picture: {name}] ")

    def _texts(self, node: Node, out: "_Out") -> None:
        before = self._look
        self._look = before.of(node.tag, node.attributes)
        for child in node.children:
            if isinstance(child, str) or child.tag in {"title", "desc", "metadata", *SILENT}:
                continue
            if child.tag in {"text", "foreignobject"}:
                out.write(self._line(child) + "\n")
            else:
                self._texts(child, out)
        self._look = before

    def _line(self, node: Node, *, as_it_stands: bool = False) -> str:
        """The text of an element, in one line or with its own lines and blanks."""
        out = _Out()
        if as_it_stands:
            self._as_it_stands(node, out)
            self.hid = self.hid or out.hid
            return clean(out.text())
        self._within(node, out)
        self.hid = self.hid or out.hid
        return " ".join(out.line().split())

    def _as_it_stands(self, node: Node, out: "_Out") -> None:
        before = self._look
        self._look = before.of(node.tag, node.attributes)
        for child in node.children:
            if isinstance(child, str):
                self._write(child, out)
            elif child.tag == "br":
                out.write("\n")
            elif child.tag not in SILENT:
                self._as_it_stands(child, out)
        self._look = before

    def _list(self, node: Node) -> Iterator[Block]:
        items: list[list[Block]] = []
        elements: list[Node | None] = []
        for child in node.children:
            if isinstance(child, Node) and child.tag == "caption":
                yield from self.blocks(child)
            elif isinstance(child, Node) and child.tag == "li":
                items.append(list(self.blocks(child)))
                elements.append(child)
            elif loose := self.blocks(Node("li", {}, [child])):
                if items and isinstance(child, Node):  # it belongs to the item before, as browsers show it
                    items[-1] += loose
                else:
                    items.append(list(loose))
                    elements.append(None)
        kept = [at for at, item in enumerate(items) if item]
        start, names = labels(node, elements) if is_ordered(node, elements) else (None, ())
        if start is not None and not names and kept != list(range(len(kept))):
            names = tuple(f"{start + at}." for at in range(len(items)))  # an empty item counts, too
        yield Listing(tuple(tuple(items[at]) for at in kept), start, tuple(names[at] for at in kept if names))

    def _table(self, node: Node) -> Iterator[Block]:
        parts = Parts.of(node)
        for stray in parts.stray:
            yield from self.blocks(Node("div", {}, [stray]))
        rows = parts.head + parts.body
        if (
            is_layout(node, rows) or (not parts.head and max(map(len, rows), default=0) < 2)  # noqa: PLR2004 - one column only lays out
        ):
            for row in rows:
                for cell in row:
                    yield from self.blocks(cell)
            return
        flagged = flags(parts.body)
        width, head = grid([[(self._cell(cell), cell) for cell in row] for row in parts.head])
        width_, body = grid(
            [[(self._cell(cell, flagged.get(id(cell), "")), cell) for cell in row] for row in parts.body]
        )
        width = max(width, width_)
        body = [row for row in body if any(row)]
        if not parts.head:
            body = without_gaps(even(body, width))
            width = max(map(len, body), default=0)
            if width == 1:  # other columns only lay it out
                yield from (Paragraph(row[0]) for row in body)
                return
        if width and (body or any(map(any, head))):
            yield Table(even(head, width), even(body, width))

    def _cell(self, cell: Node, flag: str = "") -> str:
        text = flat(self.blocks(cell))
        return f"{text} [{flag}]" if text and flag else text


class _Out:
    """Blocks so far, and the runs of text of the paragraph that is being read."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.hid = False
        self._runs: list[tuple[str, bool]] = []
        self._colours: list[str] = []

    def write(self, text: str, *, hidden: bool = False, colour: str = "") -> None:
        if text:
            self._runs.append((text, hidden))
            self._colours.append("" if hidden else colour)

    def _flagged(self) -> list[tuple[str, bool]]:
        """The runs, with the names of colours behind passages that these flag."""
        if not any(self._colours):
            return self._runs
        texts = [text for text, _ in self._runs]
        flags = flags_behind([*zip(texts, self._colours, strict=True)])
        return [
            (f"{text.rstrip()} [{flag}]{text[len(text.rstrip()) :]}" if flag else text, hidden)
            for (text, hidden), flag in zip(self._runs, flags, strict=True)
        ]

    def text(self) -> str:
        """The runs so far, those that are hidden in brackets; they are taken."""
        out, pending = [], ""
        for text, hidden in self._flagged():
            if hidden or (pending and not text.strip()):
                pending += text
                continue
            out += [self._bracketed(pending), text]
            pending = ""
        out.append(self._bracketed(pending))
        self._runs.clear()
        self._colours.clear()
        return "".join(out)

    def _bracketed(self, text: str) -> str:
        inner = text.strip()
        if not plain(inner).strip():
            return text
        self.hid = True
        before, _, after = text.partition(inner)
        return f"{before}[hidden: {inner}]{after}"

    def line(self) -> str:
        """All blocks and runs as one text."""
        self.end_paragraph()
        return flat(self.blocks)

    def end_paragraph(self) -> None:
        if text := tidy(self.text()):
            self.blocks.append(Paragraph(text))

    def add(self, block: Block) -> None:
        self.end_paragraph()
        match block:
            case Heading(text=text) | Preformatted(text=text) if not text.strip():
                return
            case Listing(items) if not items:
                return
        self.blocks.append(block)


def _alternative(node: Node) -> str:
    text = tidy(node.attributes.get("alt", ""))
    return f"picture: {text}" if text else ""
