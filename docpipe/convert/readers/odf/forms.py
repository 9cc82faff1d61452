"""Controls of forms in OpenDocument (ODF 1.3, part 3, 13): what is ticked, chosen and filled in."""

from collections.abc import Iterable
from typing import Final

from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute, whole

TICKED: Final = "☑"
EMPTY: Final = "☐"
_SILENT: Final = frozenset({"button", "image", "image-frame", "hidden", "grid", "frame", "file"})


class Controls:
    """The controls of a file by their ids."""

    def __init__(self, root: Element) -> None:
        self._controls: dict[str, Element] = {}
        for forms in root.iter("{*}forms"):
            for element in forms.iter("{*}*"):
                for key, name in element.attrib.items():
                    if str(key).rpartition("}")[2] == "id":
                        self._controls[str(name)] = element

    def text(self, id_: str | None) -> str:
        """What a control shows: its label and whether it is ticked, or its value."""
        element = self._controls.get(id_ or "")
        return "" if element is None else _text(element)


def _text(element: Element) -> str:
    label = tidy(attribute(element, "label") or "")
    match local(element):
        case "checkbox":
            state = attribute(element, "current-state") or attribute(element, "state")
            return f"{TICKED if state == 'checked' else EMPTY} {label}".rstrip()
        case "radio":
            chosen = attribute(element, "current-selected") or attribute(element, "selected")
            return f"{TICKED if chosen == 'true' else EMPTY} {label}".rstrip()
        case "listbox":
            return ", ".join(_chosen(element))
        case kind if kind in _SILENT:
            return ""
        case "fixed-text":
            return label
        case _:
            value = attribute(element, "current-value")
            return tidy(value if value is not None else attribute(element, "value") or "")


def _chosen(element: Element) -> Iterable[str]:
    options = [each for each in element if local(each) == "option"]
    for name in ("current-selected", "selected"):
        if chosen := [each for each in options if attribute(each, name) == "true"]:
            return [tidy(attribute(each, "label") or "") for each in chosen]
    return []


def field_mark(element: Element) -> str:
    """What an old form's field shows that is not in the text beside it: ticks and choices."""
    kind = (attribute(element, "type") or "").rpartition(".")[2]
    given = [
        (attribute(each, "name") or "", attribute(each, "value") or "")
        for each in element
        if local(each) == "param"
    ]
    if kind == "FORMCHECKBOX":
        return TICKED if ("Checkbox_Checked", "true") in given else EMPTY
    if kind == "FORMDROPDOWN":
        listed = [value for name, value in given if name == "Dropdown_ListEntry"]
        at = whole(next((value for name, value in given if name == "Dropdown_Selected"), ""), -1)
        return tidy(listed[at]) if 0 <= at < len(listed) else ""
    return ""
