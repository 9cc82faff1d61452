"""Excel workbooks: each sheet's cells as a person sees them, under the sheet's name.

Read here rather than with openpyxl, which fails on many files of other writers (styles it does not know,
cells without addresses, broken properties) and gives numbers without their formats; and than with calamine,
which makes room for every cell that a sheet claims to have: 17 billion in an empty one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.base import Content, NothingToReadError, Source, UnreadableError, each_once
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, tidy
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.docx import attribute, down
from docpipe.convert.readers.office import drawn_texts, embedded_documents, pictures_told
from docpipe.convert.readers.sheet import MOST_CELLS, TOO_LARGE, Cell, blocks_of
from docpipe.convert.readers.xlsx import Found, Workbook, elements, formats, on_attribute, rows, text_of

_MOST_SHEETS: Final = 1_000
_MOST_STRINGS: Final = 3_000_000
_LONGEST_STRINGS: Final = 150_000_000
HIDDEN: Final = "hidden sheets, rows or columns are shown too"


@dataclass(slots=True)
class _Reading:
    """What is left of the limits, and what is to be told."""

    cells: int = field(default_factory=lambda: MOST_CELLS)
    warnings: list[str] = field(default_factory=list)


def read(source: Source) -> Content:
    """The workbook's facts, and a heading and tables for each sheet.

    Raises: UnreadableError; NothingToReadError for an empty workbook.
    """
    with Package(source.path) as package:
        main = package.main("xl/workbook.xml")
        if main.lower().endswith(".bin"):
            raise NothingToReadError("This is a binary Excel workbook; open it with LibreOffice or Excel.")
        root = package.xml(main)
        reading = _Reading()
        workbook = _workbook(package, main, root, reading)
        blocks = tuple(_sheets(package, main, root, workbook, reading))
        embedded = embedded_documents(package, reading.warnings)
        reading.warnings += pictures_told(package)
        facts = package.facts()
        if not blocks and not embedded:
            raise NothingToReadError("This is an Excel workbook without any text.")
        reading.warnings += package.warnings
    return Content(
        blocks=blocks or (Paragraph("This workbook has no text."),),
        facts=facts,
        embedded=embedded,
        warnings=each_once(reading.warnings),
        libraries=("lxml",),
    )


def _workbook(package: Package, main: str, root: Element, reading: _Reading) -> Workbook:
    properties = down(root, "workbookPr")
    return Workbook(
        _strings(package, main, reading),
        formats(package.related(main, "styles")),
        properties is not None and on_attribute(properties, "date1904"),
    )


def _strings(package: Package, main: str, reading: _Reading) -> list[str]:
    """The strings that cells refer to; each text is kept once."""
    names = [*package.relations(main, "sharedStrings"), "xl/sharedStrings.xml"]
    name = next((name for name in names if package.has(name)), None)
    strings: list[str] = []
    if name is None:
        return strings
    found = Found()
    size = 0
    with package.open(name) as opened:
        for element in elements(opened, ("si",), found):
            strings.append(text_of(element))
            size += len(strings[-1])
            if len(strings) >= _MOST_STRINGS or size > _LONGEST_STRINGS:
                reading.warnings.append(TOO_LARGE)
                break
    if found.damaged:
        reading.warnings.append(SALVAGED)
    return strings


def _sheets(
    package: Package, main: str, root: Element, workbook: Workbook, reading: _Reading
) -> Iterator[Block]:
    targets = package.targets(main)
    listed = [sheet for sheet in root.iter("{*}sheet") if local(sheet) == "sheet"][:_MOST_SHEETS]
    for number, sheet in enumerate(listed, 1):
        target = targets.get(_relation(sheet)) or f"xl/worksheets/sheet{number}.xml"
        state = attribute(sheet, "state") or "visible"
        name = " ".join(tidy(attribute(sheet, "name") or f"Sheet {number}").split())
        if not package.has(target):
            reading.warnings.append(SALVAGED)
            continue
        blocks = _sheet(package, target, workbook, reading)
        if not blocks:
            continue
        if state != "visible":
            reading.warnings.append(HIDDEN)
            name += " (hidden sheet)"
        yield Heading(2, name)
        yield from blocks


def _relation(sheet: Element) -> str:
    return next((str(value) for key, value in sheet.attrib.items() if str(key).endswith("}id")), "")


def _sheet(package: Package, target: str, workbook: Workbook, reading: _Reading) -> tuple[Block, ...]:
    found = Found()
    try:
        with package.open(target) as opened:
            blocks = blocks_of(_limited(rows(opened, workbook, found), reading))
    except UnreadableError:
        reading.warnings.append(SALVAGED)
        return ()
    if found.damaged:
        reading.warnings.append(SALVAGED)
    if found.hidden:
        reading.warnings.append(HIDDEN)
    if found.uncalculated:
        reading.warnings.append("formulas without a stored result are shown as formulas")
    if any(kind in {"chart", "chartEx"} for kind in _kinds_below(package, target)):
        reading.warnings.append("charts are not shown; they are in the original")
    drawn = tuple(Paragraph(text) for text in drawn_texts(package, target))
    notes = tuple(_comments(package, target))
    return (*blocks, *drawn, *((Heading(3, "Comments"), Listing(notes)) if notes else ()))


def _limited(found: Iterator[tuple[int, list[Cell]]], reading: _Reading) -> Iterator[tuple[int, list[Cell]]]:
    for number, cells in found:
        reading.cells -= len(cells)
        if reading.cells < 0:
            reading.warnings.append(TOO_LARGE)
            return
        yield number, cells


def _kinds_below(package: Package, target: str) -> Iterator[str]:
    for drawing in package.relations(target, "drawing"):
        yield from (kind.rpartition("/")[2] for _, kind, _ in package.links(drawing))


def _comments(package: Package, target: str) -> Iterator[tuple[Block, ...]]:
    """The notes on cells, each with its cell and author."""
    root = package.related(target, "comments")
    if root is None:
        return
    authors = [tidy(author.text or "") for author in root.iter("{*}author")]
    for comment in root.iter("{*}comment"):
        body = down(comment, "text")
        text = tidy(text_of(body)) if body is not None else ""
        told = comment.get("authorId") or ""
        author = authors[int(told)] if told.isdigit() and int(told) < len(authors) else ""
        if text:
            who = f" ({author})" if author and not text.startswith(author) else ""
            yield (Paragraph(f"{comment.get('ref') or ''}{who}: {text}"),)
