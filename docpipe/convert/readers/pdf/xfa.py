"""The fields of a form in XFA by its template (XFA 3.3): what they are called, and what their values mean."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from docpipe.convert.core.blocks import tidy
from docpipe.convert.readers.pdf.fields import CHOSEN, TICKED, UNCHOSEN, UNTICKED

_DEEPEST: Final = 60
_GROUPS: Final = frozenset({"subform", "subformSet", "area", "pageSet", "pageArea", "contentArea"})
Path = tuple[str, ...]


@dataclass(slots=True)
class XfaField:
    """A field, or a group of which one is chosen."""

    caption: str = ""
    is_box: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    """What the form shows for a value; of a box, that it is ticked has the value that comes first."""
    choices: tuple[tuple[str, str], ...] = ()
    """Of a group: the values and captions of its members."""

    def written(self, value: str) -> str:
        """A value as the form shows it."""
        if self.choices:
            signs = ((CHOSEN if each == value else UNCHOSEN, caption) for each, caption in self.choices)
            return " ".join(f"{sign} {caption}".strip() for sign, caption in signs)
        if self.is_box:
            return TICKED if value and value == next(iter(self.names), "1") else UNTICKED
        return self.names.get(value, value)


def fields(template: Any) -> dict[Path, XfaField]:
    """The fields of a template by the names around them, the form's own first."""
    return dict(_below(template, (), 0))


def _below(element: Any, path: Path, depth: int) -> Iterator[tuple[Path, XfaField]]:
    for child in element if depth < _DEEPEST else ():
        if not isinstance(child.tag, str):
            continue
        kind, name = etree.QName(child).localname, child.get("name") or ""
        inner = (*path, name) if name else path
        if kind in _GROUPS:
            yield from _below(child, inner, depth + 1)
        elif kind == "field" and name:
            yield inner, _field(child)
        elif kind == "exclGroup" and name:
            members = [each for each in child if _is(each, "field")]
            choices = tuple((next(iter(_names(each)), "1"), _caption(each)) for each in members)
            yield inner, XfaField(_caption(child), choices=choices)


def _is(element: Any, kind: str) -> bool:
    return isinstance(element.tag, str) and etree.QName(element).localname == kind


def _field(element: Any) -> XfaField:
    is_box = next(element.iter("{*}checkButton"), None) is not None
    return XfaField(_caption(element), is_box, _names(element))


def _names(element: Any) -> dict[str, str]:
    """The values of a field's items, and the texts displayed for them."""
    visible: list[str] = []
    saved: list[str] = []
    for items in (each for each in element if _is(each, "items")):
        texts = [tidy("".join(each.itertext())) for each in items if isinstance(each.tag, str)]
        if items.get("save") == "1":
            saved = texts
        else:
            visible = visible or texts
    return dict(zip(saved or visible, visible or saved, strict=False))


def _caption(element: Any) -> str:
    caption = next((each for each in element if _is(each, "caption")), None)
    return "" if caption is None else " ".join(tidy("".join(caption.itertext())).split())
