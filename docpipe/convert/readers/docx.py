"""WordprocessingML to blocks (ECMA-376-1, 17), by local names: strict and transitional files alike."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, Table, clean, even, flat, tidy
from docpipe.convert.core.tree import RAISED, SUPERSCRIPTS
from docpipe.convert.core.xmltree import Element, local

_SILENT: Final = {
    "del", "moveFrom", "delText", "instrText", "delInstrText", "rPr", "pPr", "tblPr", "tblGrid", "trPr",
    "tcPr", "sectPr", "sdtPr", "sdtEndPr", "rt", "proofErr", "bookmarkStart", "bookmarkEnd",
    "commentRangeStart", "commentRangeEnd", "commentReference", "annotationRef", "posOffset",
    "align", "binData", "pctWidth", "pctHeight", "ctrlPr", "fPr", "radPr", "sSupPr", "sSubPr",
    "naryPr", "dPr",
}  # fmt: skip
_CHARACTERS: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_MATH: Final[dict[str, dict[str, str]]] = {
    "f": {"den": "/"},
    "sSup": {"sup": "^"},
    "sSub": {"sub": "_"},
    "sSubSup": {"sub": "_", "sup": "^"},
    "rad": {},
    "nary": {"sub": "_", "sup": "^"},
}
_OFF: Final = frozenset({"0", "false", "off", "none"})
_DEEPEST_LIST: Final = 8


def attribute(element: Element | None, name: str) -> str | None:
    """An attribute by its local name."""
    if element is None:
        return None
    return next(
        (str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), None
    )


def down(element: Element | None, *path: str) -> Element | None:
    """The first descendant along a path of local names."""
    for name in path:
        if element is None:
            return None
        element = next((inner for inner in element if local(inner) == name), None)
    return element


def on(element: Element | None) -> bool:
    """Whether a switch such as `w:vanish` is there and on."""
    return element is not None and attribute(element, "val") not in _OFF


@dataclass(frozen=True, slots=True)
class _Numbering:
    ordered: bool
    start: int


class Styles:
    """What styles and numberings say of a paragraph: is it a heading, is it in a list."""

    def __init__(self, styles: Element | None, numbering: Element | None) -> None:
        self._levels: dict[str, int] = {}
        self._numbers: dict[str, tuple[str, int]] = {}
        self._lists: dict[tuple[str, int], _Numbering] = {}
        for style in styles if styles is not None else ():
            self._add_style(style)
        if numbering is not None:
            self._add_numbering(numbering)

    def _add_style(self, style: Element) -> None:
        name = attribute(style, "styleId")
        if local(style) != "style" or name is None:
            return
        title = (attribute(down(style, "name"), "val") or "").lower()
        outline = attribute(down(style, "pPr", "outlineLvl"), "val")
        if title in {"title", "heading"}:
            self._levels[name] = 1
        elif title.startswith("heading ") and title[8:].isdigit():
            self._levels[name] = int(title[8:])
        elif outline is not None and outline.isdigit() and int(outline) < 9:  # noqa: PLR2004 - 9 is body text
            self._levels[name] = int(outline) + 1
        if (found := _numbering_of(down(style, "pPr"))) is not None:
            self._numbers[name] = found

    def _add_numbering(self, numbering: Element) -> None:
        abstract: dict[str | None, dict[int, _Numbering]] = {}
        for element in numbering:
            if local(element) == "abstractNum":
                abstract[attribute(element, "abstractNumId")] = dict(_levels(element))
        for element in numbering:
            if local(element) == "num" and (number := attribute(element, "numId")):
                for level, found in abstract.get(
                    attribute(down(element, "abstractNumId"), "val"), {}
                ).items():
                    self._lists[number, level] = found

    def heading(self, properties: Element | None) -> int | None:
        """The level of a heading, None for what is not one."""
        outline = attribute(down(properties, "outlineLvl"), "val")
        if outline is not None and outline.isdigit() and int(outline) < 9:  # noqa: PLR2004 - 9 is body text
            return int(outline) + 1
        return self._levels.get(attribute(down(properties, "pStyle"), "val") or "")

    def item(self, properties: Element | None) -> "Item | None":
        """The place of a paragraph in a list, None for one that is in none."""
        found = _numbering_of(properties) or self._numbers.get(
            attribute(down(properties, "pStyle"), "val") or ""
        )
        if found is None or found[0] == "0":
            return None
        number, level = found
        numbering = self._lists.get((number, level)) or _Numbering(ordered=False, start=1)
        return Item(number, level, numbering.start if numbering.ordered else None)


def _levels(abstract: Element) -> Iterator[tuple[int, _Numbering]]:
    for level in abstract:
        at = attribute(level, "ilvl")
        if local(level) == "lvl" and at is not None and at.isdigit():
            form = attribute(down(level, "numFmt"), "val") or "decimal"
            start = attribute(down(level, "start"), "val") or "1"
            ordered = form not in {"bullet", "none"}
            yield int(at), _Numbering(ordered, int(start[:6]) if start.isdigit() else 1)


def _numbering_of(properties: Element | None) -> tuple[str, int] | None:
    numbering = down(properties, "numPr")
    number = attribute(down(numbering, "numId"), "val")
    level = attribute(down(numbering, "ilvl"), "val") or "0"
    if number is None:
        return None
    return number, min(int(level), _DEEPEST_LIST) if level.isdigit() else 0


@dataclass(slots=True)
class Item:
    """A paragraph in a list: the list's id, how deep, and its first number (None: bullets)."""

    number: str
    level: int
    start: int | None
    blocks: tuple[Block, ...] = ()


@dataclass(slots=True)
class _Said:
    """A paragraph being read: its text, and the text boxes anchored in it, which follow it."""

    parts: list[str] = field(default_factory=list)
    boxes: list[Block] = field(default_factory=list)


class Chunks(Protocol):
    """Where pieces in other formats come from."""

    def blocks(self, id_: str) -> tuple[Block, ...]:
        """The blocks of a piece."""


class Body:
    """Reads a part's content: the body, a header, a note, a cell, a text box."""

    def __init__(self, styles: Styles, chunks: Chunks | None = None) -> None:
        self._styles = styles
        self._chunks = chunks
        self._counts: dict[tuple[str, int], int] = {}
        self.notes: list[tuple[str, str]] = []
        """The notes referred to so far, by kind and id; they are numbered in this order."""

    def blocks(self, element: Element) -> tuple[Block, ...]:
        """The blocks within an element."""
        out: list[Block] = []
        items: list[Item] = []
        for inner in _flow(element):
            if local(inner) == "tbl":
                out += self._listed(items)
                out += self._table(inner)
                continue
            if local(inner) == "altChunk":
                out += self._listed(items)
                out += self._chunks.blocks(attribute(inner, "id") or "") if self._chunks else ()
                continue
            found, item = self._paragraph(inner)
            if not found:
                continue
            if item is None:
                out += self._listed(items)
                out += found
            else:
                item.blocks = found
                items.append(item)
        return (*out, *self._listed(items))

    def _paragraph(self, element: Element) -> tuple[tuple[Block, ...], Item | None]:
        said = _Said()
        self._runs(element, said)
        text = tidy("".join(said.parts))
        properties = down(element, "pPr")
        level = self._styles.heading(properties)
        if not text:
            return tuple(said.boxes), None
        if level is not None:
            return (Heading(level, " ".join(text.split())), *said.boxes), None
        return (Paragraph(text), *said.boxes), self._styles.item(properties)

    def _runs(self, element: Element, said: _Said) -> None:
        for inner in element:
            name = local(inner)
            if name in _SILENT or (name == "r" and on(down(inner, "rPr", "vanish"))):
                continue
            if (text := _said_by(inner, name, element)) is not None:
                said.parts.append(text)
            elif name in {"footnoteReference", "endnoteReference"}:
                self.notes.append((name.removesuffix("Reference"), attribute(inner, "id") or ""))
                said.parts.append(f" [{len(self.notes)}]")
            elif name == "txbxContent":
                said.boxes += self.blocks(inner)
            elif name in _MATH and "/math" in str(inner.tag):
                self._math(inner, name, said)
            else:
                self._runs(_chosen(inner) if name == "AlternateContent" else inner, said)

    def _math(self, element: Element, name: str, said: _Said) -> None:
        """Fractions, powers and roots on one line: a half must not become 12."""
        said.parts.append("√" if name == "rad" else "")
        for part in element:
            inner = _Said()
            self._runs(part, inner)
            text = "".join(inner.parts).strip()
            if local(part) not in _SILENT and text:
                mark = _MATH[name].get(local(part), "")
                said.parts.append(mark + (f"({text})" if len(text) > 1 and name != "d" else text))

    def _listed(self, items: list[Item]) -> Iterator[Block]:
        """The items gathered so far as lists within lists."""
        gathered, items[:] = list(items), []
        at = 0
        while at < len(gathered):
            block, at = self._nested(gathered, at, gathered[at].level)
            yield block

    def _nested(self, items: list[Item], at: int, level: int) -> tuple[Listing, int]:
        first = items[at]
        key = (first.number, level)
        start = None if first.start is None else self._counts.get(key, first.start)
        entries: list[tuple[Block, ...]] = []
        while at < len(items) and items[at].level >= level:
            item = items[at]
            if item.level > level:
                deeper, at = self._nested(items, at, item.level)
                entries[-1] = (*entries[-1], deeper)
            elif item.number == first.number:
                entries.append(item.blocks)
                at += 1
            else:
                break
        if start is not None:
            self._counts[key] = start + len(entries)
        for other in [other for other in self._counts if other[0] == first.number and other[1] > level]:
            del self._counts[other]  # numbers of deeper levels begin anew under the next item
        return Listing(tuple(entries), start), at

    def _table(self, table: Element) -> Iterator[Block]:
        rows = [
            row
            for row in _flow(table, "tr")
            if not on(down(row, "trPr", "hidden")) and down(row, "trPr", "del") is None
        ]
        cells = [list(_flow(row, "tc")) for row in rows]
        nested = any(local(inner) == "tbl" for row in cells for cell in row for inner in cell)
        if nested or max(map(len, cells), default=0) < 2:  # noqa: PLR2004 - one column only lays out
            for row in cells:
                for cell in row:
                    yield from self.blocks(cell)
            return
        lines = [[text for cell in row for text in self._cell(cell)] for row in cells]
        heads = 0
        while heads < len(rows) and on(down(rows[heads], "trPr", "tblHeader")):
            heads += 1
        look = down(table, "tblPr", "tblLook")
        if not heads and len(rows) > 1 and _first_row(look):
            heads = 1
        even_rows = even(lines)
        body = tuple(row for row in even_rows[heads:] if any(row))
        if any(any(row) for row in even_rows):
            yield Table(even_rows[:heads], body)

    def _cell(self, cell: Element) -> list[str]:
        span = attribute(down(cell, "tcPr", "gridSpan"), "val") or "1"
        return [flat(self.blocks(cell))] + [""] * (min(int(span), 100) - 1 if span.isdigit() else 0)


def _said_by(element: Element, name: str, run: Element) -> str | None:
    """What an element of a run says by itself, None for one that holds others."""
    if name == "t":
        return _raised(run, clean(element.text or ""))
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if name == "sym":
        return _symbol(attribute(element, "char") or "")
    if name == "docPr" and (alternative := tidy(attribute(element, "descr") or "")):
        return f" [picture: {alternative}] "
    return _form_field(element) if name == "ffData" else None


def _form_field(field: Element) -> str:
    """What an old form's field shows that is not in the text beside it: ticks and choices."""
    if (box := down(field, "checkBox")) is not None:
        state = down(box, "checked")
        return " ☑ " if on(state if state is not None else down(box, "default")) else " ☐ "
    if (choices := down(field, "ddList")) is not None:
        listed = [attribute(each, "val") or "" for each in choices if local(each) == "listEntry"]
        at = attribute(down(choices, "result"), "val") or attribute(down(choices, "default"), "val") or "0"
        return clean(listed[int(at)]) if at.isdigit() and int(at) < len(listed) else ""
    return ""


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
        if (found := down(alternatives, name)) is not None:
            return found
    return alternatives


def _first_row(look: Element | None) -> bool:
    if (told := attribute(look, "firstRow")) is not None:
        return told not in _OFF
    value = attribute(look, "val") or "0"
    try:
        return bool(int(value, 16) & 0x20)
    except ValueError:
        return False


def _raised(run: Element, text: str) -> str:
    """Text of a run; 10 to the 9th must not become 109."""
    raised = attribute(down(run, "rPr", "vertAlign"), "val") == "superscript"
    return text.translate(SUPERSCRIPTS) if raised and RAISED.fullmatch(text) else text


def _symbol(code: str) -> str:
    try:
        return clean(chr(int(code, 16) & 0xFFFF))
    except ValueError:
        return ""
