"""Controls of ActiveX within a Word document: boxes, options and fields that stand in its text."""

from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import clean
from docpipe.convert.core.opc import Package
from docpipe.convert.core.xmltree import Element
from docpipe.convert.readers.office.ooxml import attribute

UNREAD: Final = "ActiveX controls of the form are not shown in the text; see the original"
_TICKED: Final = frozenset({
    "{8bd21d40-ec42-11ce-9e0d-00aa006002f3}",  # check box
    "{8bd21d50-ec42-11ce-9e0d-00aa006002f3}",  # option
    "{8bd21d60-ec42-11ce-9e0d-00aa006002f3}",  # toggle button
})  # fmt: skip


def write_controls(package: Package, main: str, root: Element) -> None:
    """Put the text of each control into the tree, where it stands. Of one in a form of its own (binary) a
    warning says that it is not read.
    """
    parts = package.targets(main) if next(root.iter("{*}control"), None) is not None else {}
    for control in list(root.iter("{*}control")):
        text = _text(package, parts.get(attribute(control, "id") or "", ""))
        if text is None:
            package.warnings.append(UNREAD)
        else:
            control.tag = str(control.tag).removesuffix("control") + "t"
            control.text = f" {text} "


def _text(package: Package, part: str) -> str | None:
    """What a control shows; None where that cannot be read."""
    try:
        root = package.xml(part) if package.has(part) else None
    except UnreadableError:
        return None
    if root is None or attribute(root, "persistence") != "persistPropertyBag":
        return None
    given = {
        (attribute(each, "name") or "").lower(): attribute(each, "value") or ""
        for each in root.iter("{*}ocxPr")
    }
    value, caption = given.get("value", ""), given.get("caption", "")
    if (attribute(root, "classid") or "").lower() in _TICKED:
        value = "☑" if value.strip().lower() in {"1", "-1", "true"} else "☐"
    return clean(" ".join(each for each in (value, caption) if each))
