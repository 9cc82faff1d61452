"""WordprocessingML to blocks (ECMA-376-1, 17), by local names: strict and transitional files alike."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from docpipe.convert.core.blocks import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Table,
    even,
    pictures,
    tidy,
)
from docpipe.convert.core.colours import UNKNOWN, WHITE
from docpipe.convert.core.marks import Mark
from docpipe.convert.core.symbols import in_font
from docpipe.convert.core.tabbed import Stops, paragraph
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.office.formulas import formula
from docpipe.convert.readers.office.grids import laid_out
from docpipe.convert.readers.office.labels import listing
from docpipe.convert.readers.office.ooxml import attribute, down, on
from docpipe.convert.readers.office.runs import CHANGED, HIDDEN, PLAIN, Look, Runs, Visibility
from docpipe.convert.readers.office.wordfields import Fields, instruction_text
from docpipe.convert.readers.word.cells import Cell, lines
from docpipe.convert.readers.word.colours import shade_of
from docpipe.convert.readers.word.controls import form_field, unwritten
from docpipe.convert.readers.word.lists import Item, Lists
from docpipe.convert.readers.word.styles import Given, RunStyle, Styles, TableStyle, looks_of

_SILENT: Final = {
    "delInstrText", "rPr", "pPr", "tblPr", "tblGrid", "trPr",
    "tcPr", "sectPr", "sdtPr", "sdtEndPr", "rt", "proofErr", "bookmarkStart", "bookmarkEnd",
    "commentRangeStart", "commentRangeEnd", "commentReference", "annotationRef", "posOffset",
    "align", "binData", "pctWidth", "pctHeight", "ctrlPr", "fPr", "radPr", "sSupPr", "sSubPr",
    "naryPr", "dPr",
}  # fmt: skip
_CHARACTERS: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


@dataclass(slots=True)
class _Paragraph:
    """A paragraph being read: its runs, and the text boxes anchored in it, which follow it."""

    style: str | None = None
    properties: Element | None = None
    runs: Runs = field(default_factory=Runs)
    boxes: list[Block] = field(default_factory=list)
    fields: Fields = field(default_factory=Fields)


@dataclass(frozen=True, slots=True)
class _Around:
    """What holds for the runs below an element."""

    style: RunStyle | None = None
    inserted: bool = False
    visibility: Visibility = Visibility.VISIBLE
    cell: Given | None = None
    """The text properties that the style of a table sets for the cell."""

    def look(self, text: str) -> Look:
        """How a text of the run looks."""
        look = self.style.look(text) if self.style else PLAIN
        marks = look.marks | (Mark.INSERTED if self.inserted else Mark.NONE)
        return replace(look, marks=marks, visibility=self.visibility)

    def within(self, visibility: Visibility) -> "_Around":
        """The same for what is hidden or deleted; what is deleted stays so where it is also hidden."""
        deleted = self.visibility is Visibility.DELETED
        return self if deleted else replace(self, visibility=visibility)


class Chunks(Protocol):
    """Where pieces in other formats come from."""

    def blocks(self, id_: str) -> tuple[Block, ...]:
        """The blocks of a piece."""


class Objects(Protocol):
    """Where the pictures and charts of the part being read come from."""

    def picture(self, id_: str) -> tuple[Picture, ...]:
        """A picture, none where it cannot be displayed."""

    def chart(self, id_: str) -> tuple[Block, ...]:
        """The blocks of a chart."""


class Body:
    """Reads a part's content: the body, a header, a note, a cell, a text box."""

    def __init__(
        self, styles: Styles, lists: Lists, chunks: Chunks | None = None, objects: Objects | None = None
    ) -> None:
        self._styles = styles
        self._lists = lists
        self._chunks = chunks
        self.objects = objects
        self.notes: list[tuple[str, str]] = []
        """The notes referred to so far, by kind and id; they are numbered in this order."""
        self.warnings: list[str] = []
        self.art: list[str] = []
        """Texts that are drawn: of a header, its watermark."""
        self._around = _Around()
        """What holds for the runs of the cell being read."""
        self.paper = WHITE
        """The colour of what is behind the text."""
        self._inks: set[str] = set()
        """The colours of its text that may flag it."""

    def blocks(self, element: Element) -> tuple[Block, ...]:
        """The blocks within an element."""
        out: list[Block] = []
        items: list[tuple[Item, tuple[Block, ...]]] = []
        for inner in _flow(element):
            if local(inner) == "tbl":
                out += _listed(items)
                out += self._table(inner)
                continue
            if local(inner) == "altChunk":
                out += _listed(items)
                out += self._chunks.blocks(attribute(inner, "id") or "") if self._chunks else ()
                continue
            paragraph, item = self._paragraph(inner)
            if not paragraph:
                continue
            if item is None and items and _is_withheld(paragraph):
                items[-1] = (items[-1][0], (*items[-1][1], *paragraph))
            elif item is None:
                out += _listed(items)
                out += paragraph
            else:
                items.append((item, paragraph))
        return (*out, *_listed(items))

    def _paragraph(self, element: Element) -> tuple[tuple[Block, ...], Item | None]:
        properties = down(element, "pPr")
        reading = _Paragraph(attribute(down(properties, "pStyle"), "val"), properties)
        self._runs(element, reading, self._around)
        raw = reading.runs.text()
        text = tidy(raw)
        deleted = down(properties, "rPr", "del") is not None
        self.warnings += [CHANGED] if deleted else []
        # A paragraph whose mark is hidden or deleted has no number, unless some of its text is visible.
        unmarked = deleted or on(down(properties, "rPr", "vanish"))
        uncounted = unmarked and (not text or reading.runs.withheld)
        item = None if uncounted else self._lists.item(properties)
        level = self._styles.heading(properties)
        if not text:
            return tuple(reading.boxes), None
        if level is not None:
            label = f"{item.label} " if item and item.label else ""
            return (Heading(level, label + " ".join(text.split())), *reading.boxes), None
        stops = self._styles.stops(properties) if "\t" in raw else Stops()
        return (paragraph(raw, stops), *reading.boxes), item

    def _runs(self, element: Element, reading: _Paragraph, around: _Around) -> None:
        for inner in element:
            name = local(inner)
            if name in _SILENT:
                continue
            if name == "r":
                self._run(inner, reading, around)
            elif name in {"ins", "moveTo"}:
                self.warnings += [CHANGED] if len(inner) else []
                self._runs(inner, reading, replace(around, inserted=True))
            elif name in {"del", "moveFrom"}:
                self.warnings += [CHANGED] if len(inner) else []
                self._runs(inner, reading, around.within(Visibility.DELETED))
            elif (text := _text_of(inner, name, around.style)) is not None:
                reading.runs.add(text, around.look(text))
            else:
                self._other(inner, name, reading, around)

    def _other(self, element: Element, name: str, reading: _Paragraph, around: _Around) -> None:
        """What is among the runs besides text: references, controls, boxes, formulas, and what holds runs."""
        if name in {"footnoteReference", "endnoteReference"}:
            self.notes.append((name.removesuffix("Reference"), attribute(element, "id") or ""))
            reading.runs.add(f" [{len(self.notes)}]")
        elif name == "sdt":
            self._control(element, reading, around)
        elif name == "textpath" and (text := tidy(attribute(element, "string") or "")):
            self.art.append(text)
        elif name == "txbxContent":
            paper, self.paper = self.paper, UNKNOWN
            reading.boxes += self.blocks(element)
            self.paper = paper
        elif name in {"blip", "imagedata", "chart"}:
            self._object(element, name, reading, around)
        elif name == "oMath":
            text = formula(element)
            reading.runs.add(text, around.look(text))
        elif name in {"fldChar", "instrText", "fldSimple"}:
            self._field(element, name, reading, around)
        else:
            self._runs(_chosen(element) if name == "AlternateContent" else element, reading, around)

    def _field(self, element: Element, name: str, reading: _Paragraph, around: _Around) -> None:
        """A field: its result or, where it has none, the text that its instruction gives."""
        runs = len(reading.runs.parts)
        if name == "instrText":
            reading.fields.add(element.text or "")
            return
        self._runs(element, reading, around)
        if name == "fldChar":
            text = reading.fields.mark(attribute(element, "fldCharType") or "", runs)
        else:
            empty = len(reading.runs.parts) == runs
            text = instruction_text(attribute(element, "instr") or "") if empty else ""
        reading.runs.add(text, around.look(text))

    def _object(self, element: Element, name: str, reading: _Paragraph, around: _Around) -> None:
        if self.objects is None or around.visibility:
            return
        id_ = attribute(element, "embed" if name == "blip" else "id") or ""
        reading.boxes += self.objects.chart(id_) if name == "chart" else self.objects.picture(id_)

    def _run(self, element: Element, reading: _Paragraph, around: _Around) -> None:
        style = self._styles.run(reading.style, down(element, "rPr"), around.cell)
        around = replace(around, style=style)
        if style.colour not in self._inks and any((each.text or "").strip() for each in element):
            self._inks.add(style.colour)
        if style.hidden or (
            style.inked and style.vanishes(self._styles.shade(reading.properties) or self.paper)
        ):
            around = around.within(Visibility.HIDDEN)
            if any((inner.text or "").strip() for inner in element.iter("{*}t")):
                self.warnings.append(HIDDEN)
        self._runs(element, reading, around)

    def _table(self, table: Element) -> Iterator[Block]:
        rows = list(_flow(table, "tr"))
        style = self._styles.table(down(table, "tblPr"))
        paper = self.paper
        self.paper = UNKNOWN if self._styles.shaded_table(down(table, "tblPr")) else paper
        cells = [self._cells(row, style, (at, len(rows))) for at, row in enumerate(rows)]
        self.paper = paper
        if laid_out([[cell.blocks for cell in row] for row in cells]):
            for row in cells:
                for cell in row:
                    yield from cell.blocks
            return
        heads = 0
        while heads < len(rows) and on(down(rows[heads], "trPr", "tblHeader")):
            heads += 1
        if not heads and len(rows) > 1 and "firstRow" in looks_of(down(table, "tblPr", "tblLook")):
            heads = 1
        texts = even(lines(rows, cells, heads))
        if any(any(row) for row in texts):
            yield Table(texts[:heads], tuple(row for row in texts[heads:] if any(row)))
        for row in cells:
            for cell in row:
                yield from pictures(cell.blocks)

    def _cells(self, row: Element, style: TableStyle | None, place: tuple[int, int]) -> list[Cell]:
        """The cells of a row; `place` is its number in the table and how many rows there are."""
        outer = self._around
        if down(row, "trPr", "del") is not None:
            self._around = outer.within(Visibility.DELETED)
            self.warnings.append(CHANGED)
        elif on(down(row, "trPr", "hidden")):
            self._around = outer.within(Visibility.HIDDEN)
            self.warnings += [HIDDEN] if text_of(row).strip() else []
        elif down(row, "trPr", "ins") is not None:
            self._around = replace(outer, inserted=True)
            self.warnings.append(CHANGED)
        elements = list(_flow(row, "tc"))
        try:
            return [
                self._cell(each, style.cell(place, (at, len(elements))) if style else None)
                for at, each in enumerate(elements)
            ]
        finally:
            self._around = outer

    def _cell(self, element: Element, given: Given | None) -> Cell:
        around, inks, paper = self._around, self._inks, self.paper
        self._around, self._inks = replace(around, cell=given), set()
        self.paper = shade_of(down(element, "tcPr", "shd")) or paper
        if down(element, "tcPr", "cellDel") is not None:
            self._around = self._around.within(Visibility.DELETED)
            self.warnings.append(CHANGED)
        elif down(element, "tcPr", "cellIns") is not None:
            self._around = replace(self._around, inserted=True)
            self.warnings.append(CHANGED)
        try:
            blocks = self.blocks(element)
            return Cell(element, blocks, next(iter(self._inks)) if len(self._inks) == 1 else "")
        finally:
            self._around, self._inks, self.paper = around, inks | self._inks, paper

    def _control(self, element: Element, reading: _Paragraph, around: _Around) -> None:
        """A content control: whether it is ticked, or what is filled in; a prompt stands in brackets."""
        properties = down(element, "sdtPr")
        box = down(properties, "checkbox")
        if box is not None:
            state = down(box, "checked")
            ticked = state is not None and attribute(state, "val") in {"1", "true", "on"}
            reading.runs.add("☑" if ticked else "☐")
            return
        inner = _Paragraph(reading.style, reading.properties)
        self._runs(element, inner, around)
        reading.boxes += inner.boxes
        if on(down(properties, "showingPlcHdr")) and inner.runs.text().strip():
            reading.runs.add(f"[{inner.runs.text().strip()}]")
        elif inner.runs.parts:
            reading.runs.parts += inner.runs.parts
        else:
            reading.runs.add(unwritten(properties))


def _is_withheld(blocks: tuple[Block, ...]) -> bool:
    """Whether a paragraph is hidden or deleted as a whole."""
    first = blocks[0]
    return isinstance(first, Paragraph) and first.text.startswith(("[hidden: ", "[deleted: "))


def _listed(items: list[tuple[Item, tuple[Block, ...]]]) -> Iterator[Block]:
    """The items gathered so far as lists within lists."""
    gathered, items[:] = list(items), []
    at = 0
    while at < len(gathered):
        block, at = _nested(gathered, at, gathered[at][0].level)
        yield block


def _nested(items: list[tuple[Item, tuple[Block, ...]]], at: int, level: int) -> tuple[Listing, int]:
    first, _ = items[at]
    entries: list[tuple[Block, ...]] = []
    labels: list[str] = []
    while at < len(items) and items[at][0].level >= level:
        item, blocks = items[at]
        if item.level > level:
            deeper, at = _nested(items, at, item.level)
            entries[-1] = (*entries[-1], deeper)
        elif item.number == first.number:
            entries.append(blocks)
            labels.append(item.label)
            at += 1
        else:
            break
    return listing(entries, labels), at


def _text_of(element: Element, name: str, style: RunStyle | None) -> str | None:
    """The text of an element of a run, None for one that contains others."""
    if name in {"t", "delText"}:
        return style.signs(element.text or "") if style else element.text or ""
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if name == "sym":
        return symbol(attribute(element, "char") or "", attribute(element, "font"), style)
    if name == "docPr" and (alternative := tidy(attribute(element, "descr") or "")):
        return f" [picture: {alternative}] "
    return form_field(element) if name == "ffData" else None


def _flow(element: Element, *wanted: str) -> Iterator[Element]:
    """The paragraphs and tables (or what is wanted) of an element, through wrappers that show them."""
    names = wanted or ("p", "tbl", "altChunk")
    for inner in element:
        name = local(inner)
        if name in names:
            yield inner
        elif name == "AlternateContent":
            yield from _flow(_chosen(inner), *wanted)
        elif name in {"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag", "Choice", "Fallback"}:
            yield from _flow(inner, *wanted)


def _chosen(alternatives: Element) -> Element:
    """The first of several forms of the same content."""
    for name in ("Choice", "Fallback"):
        if (branch := down(alternatives, name)) is not None:
            return branch
    return alternatives


def symbol(code: str, font: str | None, style: RunStyle | None) -> str:
    """A character by its number; one that names no font is in that of its run."""
    try:
        sign = chr(int(code, 16) & 0xFFFF)
    except ValueError:
        return ""
    if style is None:
        return in_font(font, sign)
    return style.signs(sign) if font is None else in_font(style.read_as(font), sign)
