"""Symbol fonts in copies of OpenDocument files, as in `signs`."""

from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from docpipe.convert.core.symbols import in_font, is_symbol_font
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.libreoffice.signs import FONT, checked
from docpipe.convert.readers.odf.styles import NOTHING, Given, Styles
from docpipe.convert.readers.office.ooxml import attribute, down

_NAMES: Final = "urn:oasis:names:tc:opendocument:xmlns:"
_STYLE: Final = f"{{{_NAMES}style:1.0}}"
_TEXT: Final = f"{{{_NAMES}text:1.0}}"
_FORMAT: Final = f"{{{_NAMES}xsl-fo-compatible:1.0}}"
_OFFICE: Final = f"{{{_NAMES}office:1.0}}"
_MADE: Final = "docpipe-symbol"
"""The name of the style of what was in a symbol font."""
_PARAGRAPHS: Final = frozenset({"p", "h"})
_INLINE: Final = frozenset({"p", "h", "span", "a"})


@dataclass(frozen=True, slots=True)
class _Place:
    """What holds for the text at a place."""

    around: Given = NOTHING
    """Of the cell or frame."""
    text: Given = NOTHING
    """Of the paragraph and the spans in it."""
    outline: str | None = None
    """The style of a slide's outline, whose levels look different."""
    level: int = 0


def open_document(root: Element, styles: Styles) -> None:
    """Make the symbols in a part of an OpenDocument file Unicode.

    Raises: LibreOfficeError.
    """
    if not str(root.tag).startswith(_OFFICE):
        return
    for level in root.iter("{*}list-level-style-bullet"):
        _bullet(level, styles)
    texts: list[tuple[Element, bool, str]] = []
    _Texts(styles, texts).take(root, _Place())
    for element, tail, text in texts:
        _replace(element, text, tail=tail)
    if texts:
        _add_style(root)


@dataclass(slots=True)
class _Texts:
    """Gathers the texts in symbol fonts: the element, whether it is the text behind it, and the symbols."""

    styles: Styles
    gathered: list[tuple[Element, bool, str]]

    def take(self, element: Element, place: _Place) -> None:
        """Go through an element."""
        place = self._within(element, place)
        inline = local(element) in _INLINE and is_symbol_font(place.text.font)
        if inline and element.text and element.text.strip():
            self.gathered.append((element, False, checked(place.text.signs(element.text))))
        for inner in element:
            self.take(inner, place)
            if inline and inner.tail and inner.tail.strip():
                self.gathered.append((inner, True, checked(place.text.signs(inner.tail))))

    def _within(self, element: Element, place: _Place) -> _Place:
        name, style = local(element), attribute(element, "style-name")
        if name in _PARAGRAPHS:
            around = place.around
            if place.outline is not None and place.level:
                around = self.styles.outline(place.outline, place.level)
            return replace(place, text=self.styles.paragraph(style, around))
        if name in {"span", "a"}:
            return replace(place, text=self.styles.given("text", style).over(place.text))
        if name == "table-cell":
            return _Place(self.styles.given("table-cell", style))
        if name == "list":
            return replace(place, level=place.level + 1)
        for family in ("presentation", "graphic"):
            key = f"{{{_NAMES}{'drawing' if family == 'graphic' else family}:1.0}}style-name"
            if (drawn := element.get(key)) is not None and name not in {"page", "master-page"}:
                outline = family == "presentation" and attribute(element, "class") == "outline"
                return _Place(self.styles.given(family, str(drawn)), outline=str(drawn) if outline else None)
        return place


def _replace(element: Element, text: str, *, tail: bool) -> None:
    """Put a text in a span in a font of letters."""
    span = etree.Element(f"{_TEXT}span")
    span.set(f"{_TEXT}style-name", _MADE)
    span.text = text
    if tail:
        element.tail = None
        element.addnext(span)
    else:
        element.text = None
        element.insert(0, span)


def _add_style(root: Element) -> None:
    kept = down(root, "automatic-styles")
    if kept is None:
        kept = etree.Element(f"{_OFFICE}automatic-styles")
        behind = (at for at, each in enumerate(root) if local(each) in {"master-styles", "body"})
        root.insert(next(behind, len(root)), kept)
    style = etree.SubElement(kept, f"{_STYLE}style")
    style.set(f"{_STYLE}name", _MADE)
    style.set(f"{_STYLE}family", "text")
    _set_font(etree.SubElement(style, f"{_STYLE}text-properties"))


def _set_font(properties: Element) -> None:
    for key in list(properties.attrib):
        if "}font-" in str(key) and str(key).partition("}font-")[2].split("-")[0] in {
            *("name", "family", "charset", "pitch"),
        }:
            del properties.attrib[key]
    properties.set(f"{_FORMAT}font-family", f"'{FONT}'")
    for kind in ("asian", "complex"):
        properties.set(f"{_STYLE}font-family-{kind}", f"'{FONT}'")


def _bullet(level: Element, styles: Styles) -> None:
    font = styles.bullet_font(level)
    key = next((key for key in level.attrib if str(key).endswith("}bullet-char")), None)
    properties = down(level, "text-properties")
    if key is not None and properties is not None and is_symbol_font(font):
        level.set(key, checked(in_font(font, str(level.get(key)))))
        _set_font(properties)
