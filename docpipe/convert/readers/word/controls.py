"""What controls and old forms of Word hold that is not in the text beside them."""

from docpipe.convert.core.blocks import clean
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute, down, on


def unwritten(properties: Element | None) -> str:
    """The date or the choice of a content control without a text; empty where there is none."""
    if when := attribute(down(properties, "date"), "fullDate"):
        return when[:10]
    for name in ("dropDownList", "comboBox"):
        listed = down(properties, name)
        if listed is not None and (value := attribute(listed, "lastValue")):
            same = (each for each in listed if attribute(each, "value") == value)
            return clean(attribute(next(same, None), "displayText") or value)
    return ""


def form_field(field: Element) -> str:
    """What an old form's field shows that is not in the text beside it: ticks and choices."""
    if (box := down(field, "checkBox")) is not None:
        state = down(box, "checked")
        return " ☑ " if on(state if state is not None else down(box, "default")) else " ☐ "
    if (choices := down(field, "ddList")) is not None:
        listed = [attribute(each, "val") or "" for each in choices if local(each) == "listEntry"]
        at = attribute(down(choices, "result"), "val") or attribute(down(choices, "default"), "val") or "0"
        return clean(listed[int(at)]) if at.isdigit() and int(at) < len(listed) else ""
    return ""
