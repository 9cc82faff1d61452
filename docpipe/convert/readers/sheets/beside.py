"""What is on a sheet besides its cells: page headers and footers, and tables it declares."""

import re
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.marks import Mark, mark
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.readers.office.ooxml import attribute

_CODE: Final = re.compile(r'&(?:"[^"]*"|[0-9]{1,3}|K(?:[0-9A-Fa-f]{6}|[0-9]{2}[+-][0-9]{3})|(.))', re.DOTALL)
_PAGES_ONLY: Final = re.compile(r"(?:page|seite|of|von|[\W_])*", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\$?[A-Za-z]{1,3}\$?([0-9]{1,7})")


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
