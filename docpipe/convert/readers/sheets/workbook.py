"""SpreadsheetML (ECMA-376-1, 18): a workbook's tables of strings and styles, and the cells of a sheet."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final

from lxml import etree

from docpipe.convert.core.blocks import clean
from docpipe.convert.core.marks import struck
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.runs import Visibility, withheld
from docpipe.convert.readers.sheets.beside import margin_text
from docpipe.convert.readers.sheets.cells import Cell, hidden_marked
from docpipe.convert.readers.sheets.conditions import Value
from docpipe.convert.readers.sheets.numberformat import GENERAL, colour_of, formatted, hides_text, with_text
from docpipe.convert.readers.sheets.rules import Effect, Rules
from docpipe.convert.readers.sheets.styles import ESCAPED, PLAIN, CellStyle, Text, string_of

_ADDRESS: Final = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(?:\.\d+)?)?Z?$")
MOST_COLUMNS: Final = 16_384


@dataclass(slots=True)
class Workbook:
    """What the sheets share."""

    strings: list[Text] = field(default_factory=list)
    styles: list[CellStyle] = field(default_factory=list)
    """By the index that cells bear."""
    from_1904: bool = False
    effects: list[Effect] = field(default_factory=list)
    """What conditional formatting may make of cells."""

    def style(self, cell: Element) -> CellStyle:
        """The style of a cell."""
        index = cell.get("s") or "0"
        at = int(index) if index.isdigit() else 0
        return self.styles[at] if at < len(self.styles) else PLAIN


@dataclass(slots=True)
class SheetFindings:
    """What a sheet holds besides its cells, and what was left out of it."""

    hidden: bool = False
    """Rows or columns that the sheet does not show."""
    uncalculated: int = 0
    """Formulas without a stored result."""
    damaged: bool = False
    blanked: bool = False
    """Cells whose format shows nothing of what they hold."""
    plain: bool = True
    """Whether nothing but the styles of cells puts colours behind them."""
    ruled: bool = False
    """Cells that are coloured by rules."""
    headers: list[str] = field(default_factory=list)
    footers: list[str] = field(default_factory=list)


def elements(opened: IO[bytes], tags: tuple[str, ...], findings: SheetFindings) -> Iterator[Element]:
    """The elements of a part with these names, one at a time; what was read is forgotten. A part that breaks
    off is read up to there.
    """
    context: Any = etree.iterparse(
        opened,
        events=("end",),
        tag=tuple(f"{{*}}{tag}" for tag in tags),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for _, element in context:
            yield element
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    except MemoryError:
        raise
    except etree.XMLSyntaxError as error:
        if "unknown error" in str(error):  # the message of libxml2 when memory ran out
            raise MemoryError from error
        findings.damaged = True
    except Exception:  # noqa: BLE001 - the unpacking below raises a dozen types
        findings.damaged = True


def rows(
    opened: IO[bytes], workbook: Workbook, findings: SheetFindings, rules: Rules | None = None
) -> Iterator[tuple[int, list[Cell]]]:
    """The rows of a sheet that have text: number and cells. Hidden rows and columns are marked, and what
    `rules` flag and strike.
    """
    number = 0
    hidden: set[int] = set()
    for element in elements(opened, ("row", "col", "headerFooter", "conditionalFormatting"), findings):
        match local(element):
            case "col":
                hidden |= _hidden_columns(element)
            case "headerFooter":
                _margins(element, findings)
            case "conditionalFormatting":
                findings.ruled = rules is None or rules.unfollowed
        if local(element) != "row":
            continue
        address = element.get("r") or ""
        number = int(address) if re.fullmatch("[0-9]{1,7}", address) else number + 1
        cells = list(_cells(element, workbook, findings))
        if rules is not None and (rules.listed or rules.icons):
            cells = _ruled(number, cells, _values(element, workbook), rules)
        off = on_attribute(element, "hidden") or _is_nothing(element.get("ht"))
        if cells and (off or hidden):
            findings.hidden = findings.hidden or off or not hidden.isdisjoint(cell.column for cell in cells)
            cells = hidden_marked(cells, row=off, columns=hidden)
        if cells:
            yield number, cells


def _ruled(number: int, cells: list[Cell], values: Mapping[int, Value], rules: Rules) -> list[Cell]:
    """The cells of a row with what conditional formatting makes of them."""
    made: list[Cell] = []
    for cell in cells:
        known = cell.column in values
        effect = rules.effect(number, values, cell.column) if known else None
        sign = rules.sign(number, values, cell.column) if known else ""
        text = struck(cell.text) if effect is not None and effect.struck else cell.text
        text = f"{text} {sign}" if sign else text
        made.append(cell._replace(text=text, flag=cell.flag if effect is None else effect.flag))
    return made


def values_of(opened: IO[bytes], workbook: Workbook) -> Iterator[tuple[int, dict[int, Value]]]:
    """The values of a sheet's rows by column."""
    number = 0
    for element in elements(opened, ("row",), SheetFindings()):
        address = element.get("r") or ""
        number = int(address) if re.fullmatch("[0-9]{1,7}", address) else number + 1
        yield number, _values(element, workbook)


def _values(row: Element, workbook: Workbook) -> dict[int, Value]:
    """The values of a row's cells by column."""
    values: dict[int, Value] = {}
    column = -1
    for cell in row:
        if local(cell) != "c":
            continue
        column = column_of(cell.get("r") or "", column + 1)
        written = next((inner.text or "" for inner in cell if local(inner) == "v"), "").strip()
        match cell.get("t") or "n":
            case "s" if written.isdigit() and int(written) < len(workbook.strings):
                values[column] = PLAIN.text(workbook.strings[int(written)])
            case "inlineStr":
                values[column] = "".join(str(each.text or "") for each in cell.iter("{*}t"))
            case "n" | "b":
                with contextlib.suppress(ValueError):
                    values[column] = float(written)
            case _:
                values[column] = written
    return values


def _margins(element: Element, findings: SheetFindings) -> None:
    """The headers and footers of a sheet, but for those that only number pages."""
    for inner in element:
        if text := margin_text(inner.text or ""):
            (findings.headers if local(inner).endswith("Header") else findings.footers).append(text)


def _hidden_columns(element: Element) -> set[int]:
    first, last = element.get("min") or "", element.get("max") or ""
    off = on_attribute(element, "hidden") or _is_nothing(element.get("width"))
    if not off or not (first.isdigit() and last.isdigit()):
        return set()
    return set(range(int(first[:6]) - 1, min(int(last[:6]), MOST_COLUMNS)))


def _is_nothing(size: str | None) -> bool:
    """Whether a height or a width is zero."""
    return size is not None and re.fullmatch(r"0+(\.0*)?", size) is not None


def on_attribute(element: Element, name: str) -> bool:
    """Whether a switch that is an attribute is on."""
    return element.get(name) in {"1", "true", "on"}


def _cells(row: Element, workbook: Workbook, findings: SheetFindings) -> Iterator[Cell]:
    column = -1
    for cell in row:
        if local(cell) != "c":
            continue
        column = column_of(cell.get("r") or "", column + 1)
        style = workbook.style(cell)
        text, number, flag = _cell(cell, style, workbook, findings)
        if "[hidden: " in text:
            findings.blanked = True
        elif text and (style.font.small or (style.vanishes and findings.plain)):
            findings.blanked = True
            text, number, flag = withheld(text, Visibility.HIDDEN), False, ""
        if text and column < MOST_COLUMNS:
            yield Cell(column, text, number, style.bold, flag)


def column_of(address: str, otherwise: int) -> int:
    """The column of an address such as B12, from 0."""
    if not (match := _ADDRESS.fullmatch(address)):
        return otherwise
    number = 0
    for letter in match[1].upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _cell(
    cell: Element, style: CellStyle, workbook: Workbook, findings: SheetFindings
) -> tuple[str, bool, str]:
    """The text of a cell, whether it is a number, and the colour that may flag it."""
    value = formula = ""
    for inner in cell:
        match local(inner):
            case "v":
                value = inner.text or ""
            case "f":
                formula = inner.text or ""
            case "is":
                text = string_of(inner)
                text = with_text(text, style.code) if isinstance(text, str) else text
                return style.text(text, filled=not findings.plain), False, style.flag_of(text)
    if not value:
        if not formula or cell.get("t") == "str":
            return "", False, ""
        findings.uncalculated += 1
        return clean(f"={formula}").strip(), False, style.flag
    text, number = _value(cell, value, style.code, workbook)
    if (number and not text and value.strip("0.- ")) or (text and not number and hides_text(style.code)):
        findings.blanked = True
        return withheld(style.text(text or clean(value)), Visibility.HIDDEN), False, style.flag
    if number:
        return style.text(text) + _coloured(value, style.code, style.text(text)), True, style.flag
    text = with_text(text, style.code) if isinstance(text, str) else text
    return style.text(text, filled=not findings.plain), False, style.flag_of(text)


def _coloured(value: str, code: str, text: str) -> str:
    """The colour that a format gives to numbers of a kind, where no sign in the text expresses it."""
    try:
        colour = colour_of(float(value), code)
    except ValueError:
        return ""
    return f" [{colour}]" if colour and not text.startswith(("-", "(")) else ""


def _value(cell: Element, value: str, code: str, workbook: Workbook) -> tuple[Text, bool]:
    match cell.get("t") or "n":
        case "s":
            at = value.strip()
            return (
                workbook.strings[int(at)] if at.isdigit() and int(at) < len(workbook.strings) else ""
            ), False
        case "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value.strip(), value.strip()), False
        case "n":
            return _number(value.strip(), code, workbook), True
        case "d":
            when = _ISO.match(value.strip())
            return (" ".join(part for part in when.groups() if part) if when else clean(value)).replace(
                " :", ":"
            ), True
        case _:
            return clean(ESCAPED.sub(lambda each: chr(int(each[1], 16)), value)).strip(), False


def _number(value: str, code: str, workbook: Workbook) -> str:
    try:
        number = float(value)
    except ValueError:
        return clean(value)
    if code == GENERAL and re.fullmatch("-?[0-9]{1,20}", value):
        return value
    text = formatted(number, code, from_1904=workbook.from_1904)
    return clean(text) if text.strip() else ""
