"""OpenDocument's content to blocks (ODF 1.3, part 3): text, lists, tables, notes; by local names."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Table, clean, even, flat, tidy
from docpipe.convert.core.tree import RAISED, SUPERSCRIPTS
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.docx import attribute, down

_SILENT: Final = frozenset(
    {
        "tracked-changes", "change", "change-start", "change-end", "bookmark", "bookmark-start",
        "bookmark-end", "reference-mark-start", "reference-mark-end", "annotation-end", "note-citation",
        "ruby-text", "soft-page-break", "sequence-decls", "variable-decls", "user-field-decls", "forms",
        "scripts", "event-listeners", "binary-data", "index-title-template", "table-of-content-source",
        "alphabetical-index-source", "illustration-index-source", "table-index-source", "object-index-source",
        "user-index-source", "bibliography-source", "shapes-decls", "glue-point", "list-header-mark",
        "table-columns", "table-column", "table-header-columns", "table-column-group", "calculation-settings",
        "dde-connection-decls", "hidden-paragraph", "meta",
    }
)  # fmt: skip
_MOST_REPEATED: Final = 200
_MOST_COLUMNS: Final = 16_384
Row = tuple[int, list[tuple[int, str, bool]]]


@dataclass(slots=True)
class Notes:
    """What stands beside the text, in the order it is referred to."""

    notes: list[tuple[Block, ...]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    objects: int = 0
    """Charts, drawings and the like that are not shown."""


class Styles:
    """What styles say: which lists are numbered, which text is raised or hidden, which tables are hidden."""

    def __init__(self, *roots: Element | None) -> None:
        self._numbered: dict[tuple[str, int], int] = {}
        self._raised: set[str] = set()
        self._hidden: set[str] = set()
        self._parents: dict[str, str] = {}
        self._outline: dict[str, int] = {}
        for root in roots:
            for element in root.iter("{*}list-style", "{*}style") if root is not None else ():
                if local(element) == "list-style":
                    self._add_list(element)
                else:
                    self._add(element)

    def _add_list(self, element: Element) -> None:
        name = attribute(element, "name") or ""
        for level in element:
            at = attribute(level, "level") or ""
            if local(level) == "list-level-style-number" and at.isdigit() and attribute(level, "num-format"):
                start = attribute(level, "start-value") or "1"
                self._numbered[name, int(at)] = int(start[:6]) if start.isdigit() else 1

    def _add(self, element: Element) -> None:
        name = attribute(element, "name") or ""
        text = down(element, "text-properties")
        if (attribute(text, "text-position") or "").startswith("super"):
            self._raised.add(name)
        if (
            attribute(text, "display") == "none"
            or attribute(down(element, "table-properties"), "display") == "false"
        ):
            self._hidden.add(name)
        self._parents[name] = attribute(element, "parent-style-name") or ""
        level = attribute(element, "default-outline-level") or ""
        if level.isdigit() and attribute(element, "family") == "paragraph":
            self._outline[name] = int(level)

    def start(self, style: str, level: int) -> int | None:
        """The first number of a list, None for bullets."""
        return self._numbered.get((style, level))

    def raised(self, style: str | None) -> bool:
        """Whether text of a style stands raised."""
        return style in self._raised

    def hidden(self, style: str | None) -> bool:
        """Whether what has a style is not shown."""
        return style in self._hidden

    def is_title(self, style: str | None) -> bool:
        """Whether a paragraph of a style is the document's title."""
        seen = 0
        while style and seen < 20:  # noqa: PLR2004 - no style has so many parents
            if style == "Title":
                return True
            style, seen = self._parents.get(style), seen + 1
        return False


class Body:
    """Reads content: the body, a header, a note, a cell, a text box."""

    def __init__(self, styles: Styles, notes: Notes) -> None:
        self._styles = styles
        self.notes = notes
        self._counts: dict[str, int] = {}

    def blocks(self, element: Element) -> tuple[Block, ...]:
        """The blocks within an element."""
        out: list[Block] = []
        for inner in element:
            out += self._block(inner)
        return tuple(out)

    def _block(self, element: Element) -> Iterator[Block]:
        name = local(element)
        if name in _SILENT or self._is_off(element):
            return
        match name:
            case "p" | "h":
                yield from self._paragraph(element)
            case "list":
                listing = self._list(element, 1, "")
                if listing is not None and all(
                    isinstance(block, Heading) for item in listing.items for block in item
                ):
                    yield from (block for item in listing.items for block in item)  # numbered headings
                elif listing is not None:
                    yield listing
            case "table":
                yield from self.table(element)
            case "annotation":
                self._comment(element)
            case "numbered-paragraph":
                yield from self.blocks(element)
            case _:
                yield from self._drawn(element) if name in _DRAWN else self.blocks(element)

    def _is_off(self, element: Element) -> bool:
        return attribute(element, "display") == "none" or (
            local(element) == "section" and self._styles.hidden(attribute(element, "style-name"))
        )

    def _paragraph(self, element: Element) -> Iterator[Block]:
        said: list[str] = []
        boxes: list[Block] = []
        self._text(element, said, boxes)
        text = tidy("".join(said))
        if text:
            level = attribute(element, "outline-level") or "1"
            if local(element) == "h":
                yield Heading(int(level) if level.isdigit() else 1, " ".join(text.split()))
            elif self._styles.is_title(attribute(element, "style-name")):
                yield Heading(1, " ".join(text.split()))
            else:
                yield Paragraph(text)
        yield from boxes

    def _text(self, element: Element, said: list[str], boxes: list[Block]) -> None:
        said.append(clean(_blanks(element.text)))
        for inner in element:
            name = local(inner)
            if name not in _SILENT and not self._is_off(inner):
                self._inline(inner, name, said, boxes)
            said.append(clean(_blanks(inner.tail)))

    def _inline(self, element: Element, name: str, said: list[str], boxes: list[Block]) -> None:
        match name:
            case "s":
                count = attribute(element, "c") or "1"
                said.append(" " * (min(int(count), 1000) if count.isdigit() else 1))
            case "tab":
                said.append("\t")
            case "line-break":
                said.append("\n")
            case "note":
                body = down(element, "note-body")
                self.notes.notes.append(())
                number = len(self.notes.notes)
                said.append(f" [{number}]")
                if body is not None:
                    self.notes.notes[number - 1] = self.blocks(body)
            case "annotation":
                self._comment(element)
            case "span":
                self._span(element, said, boxes)
            case _ if name in _DRAWN or (name == "a" and any(local(each) == "frame" for each in element)):
                boxes += self._drawn(element)
            case _:
                self._text(element, said, boxes)

    def _span(self, element: Element, said: list[str], boxes: list[Block]) -> None:
        style = attribute(element, "style-name")
        if self._styles.hidden(style):
            return
        inner: list[str] = []
        self._text(element, inner, boxes)
        text = "".join(inner)
        raised = self._styles.raised(style) and RAISED.fullmatch(text)
        said.append(text.translate(SUPERSCRIPTS) if raised else text)

    def drawn(self, element: Element) -> Iterator[Block]:
        """The blocks of a shape on a slide."""
        return self._block(element)

    def _drawn(self, element: Element) -> Iterator[Block]:
        """The texts of a frame or shape; a picture's description where it has one."""
        kinds = {local(inner) for inner in element}
        if kinds & {"object", "object-ole", "plugin", "applet"} and "text-box" not in kinds:
            self.notes.objects += 1
        elif "image" in kinds and "text-box" not in kinds:
            told = next((inner.text for inner in element if local(inner) == "desc" and inner.text), None)
            if told := tidy(told or ""):
                yield Paragraph(f"[picture: {told}]")
            return
        for inner in element:
            if local(inner) not in {"desc", "title", "image", "object-ole"}:
                yield from self._block(inner)

    def _comment(self, element: Element) -> None:
        who = tidy(next((inner.text or "" for inner in element if local(inner) == "creator"), ""))
        when = next((inner.text or "" for inner in element if local(inner) == "date"), "")[:10]
        text = flat(
            block for inner in element if local(inner) in {"p", "list"} for block in self._block(inner)
        )
        said = ", ".join(part for part in (who, when) if part)
        if text:
            self.notes.comments.append(f"{said}: {text}" if said else text)

    def _list(self, element: Element, level: int, style: str) -> Listing | None:
        style = attribute(element, "style-name") or style
        start = self._styles.start(style, level)
        if start is not None:
            start = self._first(element, style, level, start)
        items: list[tuple[Block, ...]] = []
        for item in element:
            if local(item) not in {"list-item", "list-header"}:
                continue
            blocks: list[Block] = []
            for inner in item:
                if local(inner) == "list":
                    deeper = self._list(inner, min(level + 1, 10), style)
                    blocks += [deeper] if deeper is not None else []
                else:
                    blocks += self._block(inner)
            if blocks:
                items.append(tuple(blocks))
        if start is not None:
            self._counts[f"{style} {level}"] = start + len(items)
        return Listing(tuple(items), start) if items else None

    def _first(self, element: Element, style: str, level: int, start: int) -> int:
        told = next((attribute(item, "start-value") for item in element), None) or ""
        if told.isdigit():
            return int(told[:6])
        if attribute(element, "continue-numbering") == "true" or attribute(element, "continue-list"):
            return self._counts.get(f"{style} {level}", start)
        return start

    def table(self, element: Element) -> Iterator[Block]:
        """A table in a text, or its cells' content where it only lays out."""
        rows = list(_rows(element))
        cells = [
            [cell for cell in row if local(cell) in {"table-cell", "covered-table-cell"}] for _, row in rows
        ]
        nested = any(local(inner) == "table" for row in cells for cell in row for inner in cell)
        if nested or max(map(len, cells), default=0) < 2:  # noqa: PLR2004 - one column only lays out
            for row in cells:
                for cell in row:
                    yield from self.blocks(cell)
            return
        lines = even([text for cell in row for text in self._cell(cell)] for row in cells)
        heads = 0
        while heads < len(rows) and rows[heads][0]:
            heads += 1
        if any(map(any, lines)):
            yield Table(lines[:heads], tuple(row for row in lines[heads:] if any(row)))

    def _cell(self, cell: Element) -> list[str]:
        repeated = min(_repeated(cell, "number-columns-repeated"), _MOST_REPEATED)
        return [flat(self.blocks(cell))] * repeated

    def sheet(self, table: Element) -> Iterator[Row]:
        """The rows of a spreadsheet's table that have text."""
        number = 0
        for _, row in _rows(table):
            repeated = _repeated(row, "number-rows-repeated")
            cells = list(self._cells(row))
            if cells:
                for again in range(min(repeated, _MOST_REPEATED)):
                    yield number + again + 1, cells
            number += repeated

    def _cells(self, row: Element) -> Iterator[tuple[int, str, bool]]:
        column = 0
        for cell in row:
            if local(cell) not in {"table-cell", "covered-table-cell"}:
                continue
            repeated = _repeated(cell, "number-columns-repeated")
            if len(cell):
                text = flat(self.blocks(cell))
                number = attribute(cell, "value-type") in {"float", "percentage", "currency", "date", "time"}
                for again in range(min(repeated, _MOST_REPEATED) if text else 0):
                    if column + again < _MOST_COLUMNS:
                        yield column + again, text, number
            column += repeated


_DRAWN: Final = frozenset({"frame", "custom-shape", "rect", "g", "ellipse", "line", "connector", "control"})


def _rows(table: Element) -> Iterator[tuple[bool, Element]]:
    """The rows of a table, with whether they are its head."""
    for inner in table:
        name = local(inner)
        if name == "table-row":
            yield False, inner
        elif name == "table-header-rows":
            yield from ((True, row) for _, row in _rows(inner))
        elif name in {"table-rows", "table-row-group"}:
            yield from _rows(inner)


def _repeated(element: Element, name: str) -> int:
    told = attribute(element, name) or "1"
    return max(1, int(told)) if told.isdigit() and len(told) < 9 else 1  # noqa: PLR2004 - digits


def _blanks(text: str | None) -> str:
    return " ".join(f"|{text}|".split())[1:-1] if text else ""
