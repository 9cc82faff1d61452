"""Pictures and objects within OpenDocument files: charts, formulas and sheets (ODF 1.3, part 3, 10.4)."""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import Picture
from docpipe.convert.core.opc import Package
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute
from docpipe.convert.readers.office.pictures import picture

_MOST_PICTURES: Final = 60


@dataclass(slots=True)
class OdfObjects:
    """The pictures and objects of a file; one in a single XML file has them in place."""

    package: Package | None = None
    _pictures: dict[str, Picture | None] = field(default_factory=dict)

    @property
    def drawn(self) -> int:
        """How many pictures the PDF can show."""
        return sum(each is not None for each in self._pictures.values())

    def picture(self, image: Element) -> tuple[Picture, ...]:
        """The picture of an element image, none where the PDF cannot show it."""
        name = _name(image) or f"in place {len(self._pictures)}"
        if name not in self._pictures and len(self._pictures) < _MOST_PICTURES:
            data = self._data(image)
            self._pictures[name] = picture(data) if data else None
        made = self._pictures.get(name)
        return () if made is None else (made,)

    def root(self, element: Element) -> Element | None:
        """The content of an element object, None where it is missing or cannot be read."""
        inner = next((each for each in element if local(each) in {"document", "math"}), None)
        name = f"{_name(element)}/content.xml"
        if inner is not None or self.package is None or not self.package.has(name):
            return inner
        try:
            return self.package.xml(name)
        except UnreadableError:
            return None

    def _data(self, image: Element) -> bytes:
        inner = next((each.text or "" for each in image if local(each) == "binary-data"), "")
        try:
            if inner:
                return base64.b64decode("".join(inner.split()))
            if self.package is not None and self.package.has(_name(image)):
                return self.package.part(_name(image))
        except (binascii.Error, ValueError, UnreadableError):
            pass
        return b""


def _name(element: Element) -> str:
    return (attribute(element, "href") or "").removeprefix("./")
