"""Controls that are on a sheet: boxes, options and lists, with their states."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.core.xmltree import Element, local, text_of
from docpipe.convert.readers.office.ooxml import attribute, down, whole
from docpipe.convert.readers.sheets.workbook import SheetFindings, elements

_CHECKED: Final = {"checked": "1", "mixed": "2"}
_LISTS: Final = frozenset({"Drop", "List"})


def controls(package: Package, sheet: str) -> Iterator[tuple[str, str]]:
    """The controls that are on a sheet: the label of each, and what it shows with its state.

    Of two records of a state the newer one counts, as in Excel.
    """
    newer = _properties(package, sheet)
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
            number = (attribute(shape, "spid") or attribute(shape, "id") or "").rpartition("_s")[2]
            if text := _state(kind, label, data, newer.get(number)):
                yield label, text


def _properties(package: Package, sheet: str) -> dict[str, Element]:
    """The properties of controls that newer versions keep apart, by the numbers of their shapes."""
    parts = {id_: part for id_, kind, part in package.links(sheet) if kind == "ctrlProp"}
    numbered: dict[str, Element] = {}
    if not parts:
        return numbered
    with package.open(sheet) as opened:
        for each in elements(opened, ("control",), SheetFindings()):
            part = parts.get(attribute(each, "id") or "", "")
            try:
                if package.has(part):
                    numbered[attribute(each, "shapeId") or ""] = package.xml(part)
            except UnreadableError:
                package.warnings.append(SALVAGED)
    return numbered


def _state(kind: str, label: str, data: Element | None, newer: Element | None) -> str:
    """What a control shows, empty for one without a state."""
    if kind in {"Checkbox", "Radio"}:
        checked = down(data, "Checked")
        value = (checked.text or "1").strip() if checked is not None else "0"
        if newer is not None:
            value = _CHECKED.get((attribute(newer, "checked") or "").lower(), "0")
        sign = {"1": "☑", "2": "[partly] ☐"}.get(value, "☐")
        return f"{sign} {label}".rstrip()
    if kind in _LISTS:
        selected = down(data, "Sel")
        number = whole(selected.text if selected is not None else None)
        number = whole(attribute(newer, "sel"), number)
        return f"{label} [item {number} of a list is chosen]".lstrip() if number > 0 else ""
    return ""
