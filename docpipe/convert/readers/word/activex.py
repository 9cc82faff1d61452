"""Controls of ActiveX within a Word document: boxes, options and fields that stand in its text."""

from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import clean
from docpipe.convert.core.opc import Package
from docpipe.convert.core.xmltree import Element
from docpipe.convert.readers.office.morphdata import value_and_caption
from docpipe.convert.readers.office.ooxml import attribute

UNREAD: Final = "ActiveX controls of the form are not shown in the text; see the original"
_TICKED: Final = frozenset({
    "{8bd21d40-ec42-11ce-9e0d-00aa006002f3}",  # check box
    "{8bd21d50-ec42-11ce-9e0d-00aa006002f3}",  # option
    "{8bd21d60-ec42-11ce-9e0d-00aa006002f3}",  # toggle button
})  # fmt: skip
_FILLED: Final = frozenset({
    "{8bd21d10-ec42-11ce-9e0d-00aa006002f3}",  # field
    "{8bd21d20-ec42-11ce-9e0d-00aa006002f3}",  # list
    "{8bd21d30-ec42-11ce-9e0d-00aa006002f3}",  # list that opens
})  # fmt: skip


def write_controls(package: Package, main: str, root: Element) -> None:
    """Put the text of each control into the tree, where it stands. Of one that cannot be read a warning
    says so.
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
        return None if root is None else _labelled(package, part, root)
    except UnreadableError:
        return None


def _labelled(package: Package, part: str, root: Element) -> str | None:
    kind = (attribute(root, "classid") or "").lower()
    if attribute(root, "persistence") == "persistPropertyBag":
        given = {
            (attribute(each, "name") or "").lower(): attribute(each, "value") or ""
            for each in root.iter("{*}ocxPr")
        }
        value, caption = given.get("value", ""), given.get("caption", "")
    elif kind in _TICKED | _FILLED and (kept := _binary(package, part, root)) is not None:
        value, caption = kept
    else:
        return None
    if kind in _TICKED:
        value = "☑" if value.strip().lower() in {"1", "-1", "true"} else "☐"
    return clean(" ".join(each for each in (value, caption) if each))


def _binary(package: Package, part: str, root: Element) -> tuple[str, str] | None:
    """The value and caption of a control whose properties are in a part of their own."""
    if attribute(root, "persistence") != "persistStreamInit":
        return None
    kept = package.targets(part).get(attribute(root, "id") or "", "")
    return value_and_caption(package.part(kept)) if package.has(kept) else None
