"""SpreadsheetML (ECMA-376-1, 18): a workbook's tables of strings and styles, and the cells of a sheet."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

from lxml import etree

from docpipe.convert.core.blocks import clean
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.docx import attribute, on
from docpipe.convert.readers.numberformat import BUILT_IN, GENERAL, plain, shown

_ADDRESS: Final = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(?:\.\d+)?)?Z?$")
MOST_COLUMNS: Final = 16_384


@dataclass(slots=True)
class Workbook:
    """What the sheets share."""

    strings: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    """Of numbers, by the index that cells bear."""
    from_1904: bool = False


@dataclass(slots=True)
class Found:
    """What was noticed while a sheet was read."""

    hidden: bool = False
    """Rows or columns that the sheet does not show."""
    uncalculated: int = 0
    """Formulas without a stored result."""
    damaged: bool = False


def text_of(element: Element) -> str:
    """The text of a string: plain or rich, without the phonetic guide."""
    parts: list[str] = []
    for inner in element:
        match local(inner):
            case "t":
                parts.append(inner.text or "")
            case "r":
                parts += [part.text or "" for part in inner if local(part) == "t"]
    return clean(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), "".join(parts))).strip()


def elements(opened: IO[bytes], tags: tuple[str, ...], found: Found) -> Iterator[Element]:
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
        if "unknown error" in str(error):  # what libxml2 says when memory ran out
            raise MemoryError from error
        found.damaged = True
    except Exception:  # noqa: BLE001 - the unpacking below raises a dozen types
        found.damaged = True


def formats(styles: Element | None) -> list[str]:
    """The number format of each style of cells."""
    if styles is None:
        return []
    codes = dict(BUILT_IN)
    for group in styles:
        if local(group) == "numFmts":
            for number in group:
                told = attribute(number, "numFmtId") or ""
                if told.isdigit():
                    codes[int(told)] = attribute(number, "formatCode") or GENERAL
    for group in styles:
        if local(group) == "cellXfs":
            ids = [attribute(style, "numFmtId") or "0" for style in group if local(style) == "xf"]
            return [codes.get(int(told) if told.isdigit() else 0, GENERAL) for told in ids]
    return []


def rows(
    opened: IO[bytes], workbook: Workbook, found: Found
) -> Iterator[tuple[int, list[tuple[int, str, bool]]]]:
    """The rows of a sheet that have text: number and cells, each with its column, its text, and whether it is
    a number.
    """
    number = 0
    for element in elements(opened, ("row", "col"), found):
        if local(element) == "col":
            found.hidden = found.hidden or on_attribute(element, "hidden")
            continue
        told = element.get("r") or ""
        number = int(told) if re.fullmatch("[0-9]{1,7}", told) else number + 1
        cells = list(_cells(element, workbook, found))
        if cells:
            found.hidden = found.hidden or on_attribute(element, "hidden")
            yield number, cells


def on_attribute(element: Element, name: str) -> bool:
    """Whether a switch that is an attribute is on."""
    return element.get(name) in {"1", "true", "on"}


def _cells(row: Element, workbook: Workbook, found: Found) -> Iterator[tuple[int, str, bool]]:
    column = -1
    for cell in row:
        if local(cell) != "c":
            continue
        column = column_of(cell.get("r") or "", column + 1)
        text, number = _cell(cell, workbook, found)
        if text and column < MOST_COLUMNS:
            yield column, text, number


def column_of(address: str, otherwise: int) -> int:
    """The column of an address such as B12, from 0."""
    if not (found := _ADDRESS.fullmatch(address)):
        return otherwise
    number = 0
    for letter in found[1].upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _cell(cell: Element, workbook: Workbook, found: Found) -> tuple[str, bool]:
    value = formula = ""
    for inner in cell:
        match local(inner):
            case "v":
                value = inner.text or ""
            case "f":
                formula = inner.text or ""
            case "is":
                return text_of(inner), False
    if not value:
        if not formula or cell.get("t") == "str":
            return "", False
        found.uncalculated += 1
        return clean(f"={formula}").strip(), False
    return _value(cell, value, workbook)


def _value(cell: Element, value: str, workbook: Workbook) -> tuple[str, bool]:
    match cell.get("t") or "n":
        case "s":
            at = value.strip()
            return (
                workbook.strings[int(at)] if at.isdigit() and int(at) < len(workbook.strings) else ""
            ), False
        case "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value.strip(), value.strip()), False
        case "n":
            return _number(cell, value.strip(), workbook), True
        case "d":
            when = _ISO.match(value.strip())
            return (" ".join(part for part in when.groups() if part) if when else clean(value)).replace(
                " :", ":"
            ), True
        case _:
            return clean(_ESCAPED.sub(lambda each: chr(int(each[1], 16)), value)).strip(), False


def _number(cell: Element, value: str, workbook: Workbook) -> str:
    try:
        number = float(value)
    except ValueError:
        return clean(value)
    style = cell.get("s") or "0"
    at = int(style) if style.isdigit() else 0
    code = workbook.formats[at] if at < len(workbook.formats) else GENERAL
    if code == GENERAL and re.fullmatch("-?[0-9]{1,20}", value):
        return value
    text = shown(number, code, from_1904=workbook.from_1904)
    return clean(text) if text.strip() else plain(number) if number and ";;;" not in code else ""


__all__ = ["Found", "Workbook", "attribute", "elements", "formats", "on", "rows", "text_of"]
