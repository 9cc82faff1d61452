"""Formulas of RTF, which are those of Word with other brackets (RTF 1.9.1, Math Objects)."""

from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from docpipe.convert.core.blocks import clean
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.formulas import formula

_DEEPEST: Final = 60


def _root() -> Element:
    return etree.Element("oMath")


@dataclass(slots=True)
class Formula:
    """A formula being read: a group that begins with a word such as mnum is an element `num`."""

    _top: Element = field(default_factory=_root)
    _groups: list[Element | None] = field(default_factory=list)
    """The elements of the groups that are open; None for one whose kind is not known yet."""

    def group(self, *, opens: bool) -> None:
        """A group begins or ends."""
        if opens:
            self._groups.append(None)
        elif self._groups:
            self._groups.pop()

    def word(self, word: str) -> None:
        """A control word; the first of a group is its kind."""
        if self._groups and self._groups[-1] is None and word.startswith("m") and len(word) > 1:
            around = self._around()
            deep = sum(1 for _ in around.iterancestors()) > _DEEPEST
            self._groups[-1] = around if deep else etree.SubElement(around, word[1:])

    def text(self, text: str) -> None:
        """Text of a formula, or the value of a property."""
        around = self._around()
        written = clean(text)
        if any(local(each).endswith("Pr") for each in around.iterancestors()):
            around.set("val", written)
        else:
            etree.SubElement(around, "t").text = written

    def line(self) -> str:
        """The formula on one line."""
        return formula(self._top)

    def _around(self) -> Element:
        return next((each for each in reversed(self._groups) if each is not None), self._top)
