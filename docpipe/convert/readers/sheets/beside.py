"""What is on a sheet besides its cells: page headers and footers, controls, and tables it declares."""

import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.marks import Mark, mark
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.office.ooxml import attribute, down, whole

_CODE: Final = re.compile(r'&(?:"[^"]*"|[0-9]{1,3}|K(?:[0-9A-Fa-f]{6}|[0-9]{2}[+-][0-9]{3})|(.))', re.DOTALL)
_PAGES_ONLY: Final = re.compile(r"(?:page|seite|of|von|[\W_])*", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\$?[A-Za-z]{1,3}\$?([0-9]{1,7})")
_LISTS: Final = frozenset({"Drop", "List"})


def margin_text(code: str) -> str:
    """The text of a header or footer (ECMA-376-1, 18.3.1.46), its left, middle and right part in a line each;
    empty where it only numbers pages. Fields such as the page's number and the sheet's name are left out.
    """
    parts: list[str] = [""]
    struck = False
    at = 0
    for match in _CODE.finditer(code):
        parts[-1] += _passage(code[at : match.start()], struck=struck)
        at = match.end()
        sign = (match[1] or "").upper()
        if sign == "&":
            parts[-1] += "&"
        elif sign == "S":
            struck = not struck
        elif sign in {"L", "C", "R"}:
            parts.append("")
            struck = False
    parts[-1] += _passage(code[at:], struck=struck)
    texts = (tidy(part) for part in parts)
    return "\n".join(text for text in texts if not _PAGES_ONLY.fullmatch(text))


def _passage(text: str, *, struck: bool) -> str:
    return mark(text, Mark.STRUCK) if struck else text


def head_rows(package: Package, sheet: str) -> set[int]:
    """The numbers of the rows that are heads of the tables that a sheet declares."""
    heads: set[int] = set()
    for name in package.relations(sheet, "table"):
        try:
            table = package.xml(name) if package.has(name) else None
        except UnreadableError:
            package.warnings.append(SALVAGED)
            continue
        match = _ADDRESS.match(attribute(table, "ref") or "")
        if match and attribute(table, "headerRowCount") != "0":
            heads.add(int(match[1]))
    return heads


def controls(package: Package, sheet: str) -> Iterator[tuple[str, str]]:
    """The controls that are on a sheet: the label of each, and what it shows with its state."""
    for name in package.relations(sheet, "vmlDrawing"):
        try:
            root = package.xml(name) if package.has(name) else None
        except UnreadableError:
            package.warnings.append(SALVAGED)
            continue
        for shape in root.iter("{*}shape") if root is not None else ():
            data = next((each for each in shape if local(each) == "ClientData"), None)
            kind = attribute(data, "ObjectType") or ""
            box = next((each for each in shape if local(each) == "textbox"), None)
            label = "" if box is None else " ".join(tidy(text_of(box)).split())
            if text := _state(kind, label, data):
                yield label, text


def _state(kind: str, label: str, data: Element | None) -> str:
    """What a control shows, empty for one without a state."""
    if kind in {"Checkbox", "Radio"}:
        checked = down(data, "Checked")
        ticked = checked is not None and (checked.text or "1").strip() == "1"
        return f"{'☑' if ticked else '☐'} {label}".rstrip()
    if kind in _LISTS:
        selected = down(data, "Sel")
        number = whole(selected.text if selected is not None else None)
        return f"{label} [item {number} of a list is chosen]".lstrip() if number > 0 else ""
    return ""
