"""Excel workbooks: each sheet's cells as a person sees them, under the sheet's name.

Read here rather than with openpyxl, which fails on many files of other writers (styles it does not know,
cells without addresses, broken properties) and gives numbers without their formats; and than with calamine,
which makes room for every cell that a sheet claims to have: 17 billion in an empty one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.base import Content, NothingToReadError, Source, UnreadableError, each_once
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, placeholder, tidy
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.margins import named
from docpipe.convert.readers.office.objects import Objects
from docpipe.convert.readers.office.ooxml import attribute, down
from docpipe.convert.readers.office.parts import drawn_objects, drawn_texts, embedded_documents
from docpipe.convert.readers.office.runs import HIDDEN as HIDDEN_TEXT
from docpipe.convert.readers.sheets.beside import head_rows
from docpipe.convert.readers.sheets.cells import HIDDEN, MOST_CELLS, TOO_LARGE, Cell, blocks_of
from docpipe.convert.readers.sheets.comments import comments
from docpipe.convert.readers.sheets.conditions import RULED
from docpipe.convert.readers.sheets.controls import controls
from docpipe.convert.readers.sheets.rules import effects_of, rules_of
from docpipe.convert.readers.sheets.styles import Rich, Text, string_of, styles_of
from docpipe.convert.readers.sheets.workbook import (
    SheetFindings,
    Workbook,
    elements,
    on_attribute,
    rows,
    values_of,
)

_MOST_SHEETS: Final = 1_000
_MOST_STRINGS: Final = 3_000_000
_LONGEST_STRINGS: Final = 150_000_000


@dataclass(slots=True)
class _Reading:
    """How many more cells may be read, and the warnings so far."""

    objects: Objects
    cells: int = field(default_factory=lambda: MOST_CELLS)
    warnings: list[str] = field(default_factory=list)
    _margins: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    """Header and footer of the sheet before."""

    def around(self, findings: SheetFindings, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        """The blocks of a sheet between its header and footer, where the sheet before had others."""
        before, self._margins = self._margins, (findings.headers, findings.footers)
        top = [] if findings.headers == before[0] else findings.headers
        bottom = [] if findings.footers == before[1] else findings.footers
        return (
            *named("Page header", map(Paragraph, top)),
            *blocks,
            *named("Page footer", map(Paragraph, bottom)),
        )


def read(source: Source) -> Content:
    """The workbook's facts, and a heading and tables for each sheet.

    Raises: UnreadableError; NothingToReadError for an empty workbook.
    """
    with Package(source.path) as package:
        main = package.main("xl/workbook.xml")
        if main.lower().endswith(".bin"):
            raise NothingToReadError("This is a binary Excel workbook; open it with LibreOffice or Excel.")
        root = package.xml(main)
        reading = _Reading(Objects(package))
        workbook = _workbook(package, main, root, reading)
        blocks = tuple(_sheets(package, main, root, workbook, reading))
        embedded = embedded_documents(package, reading.warnings)
        reading.warnings += reading.objects.warnings()
        facts = package.facts()
        if not blocks and not embedded:
            raise NothingToReadError("This is an Excel workbook without any text.")
        reading.warnings += package.warnings
    return Content(
        blocks=blocks or (placeholder("This workbook has no text."),),
        facts=facts,
        embedded=embedded,
        warnings=each_once(reading.warnings),
        libraries=("lxml",),
    )


def _workbook(package: Package, main: str, root: Element, reading: _Reading) -> Workbook:
    properties = down(root, "workbookPr")
    styles = package.related(main, "styles")
    return Workbook(
        _strings(package, main, reading),
        styles_of(styles),
        properties is not None and on_attribute(properties, "date1904"),
        effects_of(styles),
    )


def _strings(package: Package, main: str, reading: _Reading) -> list[Text]:
    """The strings that cells refer to; each text is kept once."""
    names = [*package.relations(main, "sharedStrings"), "xl/sharedStrings.xml"]
    name = next((name for name in names if package.has(name)), None)
    strings: list[Text] = []
    if name is None:
        return strings
    findings = SheetFindings()
    size = 0
    with package.open(name) as opened:
        for element in elements(opened, ("si",), findings):
            text = string_of(element)
            strings.append(text)
            size += sum(len(part) for part, _ in text.runs) if isinstance(text, Rich) else len(text)
            if len(strings) >= _MOST_STRINGS or size > _LONGEST_STRINGS:
                reading.warnings.append(TOO_LARGE)
                break
    if findings.damaged:
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
    findings = SheetFindings()
    try:
        with package.open(target) as opened:
            rules = rules_of(opened, workbook.effects)
        if rules.wide:
            with package.open(target) as opened:
                rules.take(values_of(opened, workbook))
        findings.plain = not (rules.listed or rules.unfollowed or package.relations(target, "table"))
        with package.open(target) as opened:
            lines = _limited(rows(opened, workbook, findings, rules), reading)
            blocks = blocks_of(lines, head_rows(package, target))
    except UnreadableError:
        reading.warnings.append(SALVAGED)
        return ()
    reading.warnings += [warning for warning, holds in _warnings(findings) if holds]
    listed = list(controls(package, target))
    labels = {label for label, _ in listed}
    drawn = [text for text in drawn_texts(package, target) if " ".join(text.split()) not in labels]
    notes = tuple((Paragraph(text),) for text in comments(package, target))
    inner = (
        *blocks,
        *(Paragraph(text) for text in (*(text for _, text in listed), *drawn)),
        *drawn_objects(package, target, reading.objects),
        *((Heading(3, "Comments"), Listing(notes)) if notes else ()),
    )
    return reading.around(findings, inner) if inner else ()


def _warnings(findings: SheetFindings) -> Iterator[tuple[str, bool]]:
    yield SALVAGED, findings.damaged
    yield HIDDEN, findings.hidden
    yield HIDDEN_TEXT, findings.blanked
    yield "formulas without a stored result are written as formulas", findings.uncalculated > 0
    yield RULED, findings.ruled


def _limited(lines: Iterator[tuple[int, list[Cell]]], reading: _Reading) -> Iterator[tuple[int, list[Cell]]]:
    for number, cells in lines:
        reading.cells -= len(cells)
        if reading.cells < 0:
            reading.warnings.append(TOO_LARGE)
            return
        yield number, cells
