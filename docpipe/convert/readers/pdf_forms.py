"""Forms in XFA, which pdfium does not show: the values that were filled in, by the names of their fields."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pikepdf
from lxml import etree

from docpipe.convert.core.blocks import Block, Heading, Paragraph, Table, tidy
from docpipe.convert.readers.pdf_text import Page

_PLACEHOLDER: Final = re.compile(
    r"please\s+wait|(?:Adobe\s+(?:Acrobat\s+)?(?:Reader|Acrobat))|later\s+version\s+of\s+(?:Adobe|Acrobat)",
    re.IGNORECASE,
)
_MOST: Final = 32 * 2**20
_MOST_VALUES: Final = 20_000
_DATA: Final = "{http://www.xfa.org/schema/xfa-data/1.0/}data"
_DATASETS: Final = b"datasets"
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|[_.\s]+")


def has_xfa(pdf: pikepdf.Pdf) -> bool:
    """Whether the document has a form in XFA."""
    form = pdf.Root.get("/AcroForm")
    return isinstance(form, pikepdf.Dictionary) and "/XFA" in form


def is_placeholder(pages: Sequence[Page]) -> bool:
    """Whether the pages only say that the form cannot be shown, as Adobe's designer writes it."""
    return len(pages) == 1 and len(pages[0].text) < 1_500 and bool(_PLACEHOLDER.search(pages[0].text))  # noqa: PLR2004


def values(pdf: pikepdf.Pdf) -> tuple[Block, ...]:
    """The filled-in values as a table of fields; empty where there are none or the XML is broken."""
    root = _parsed(_packets(pdf.Root["/AcroForm"]["/XFA"]))
    if root is None:
        return ()
    data = root if root.tag == _DATA else root.find(f".//{_DATA}")
    if data is None:
        return ()
    rows = tuple((_label(names), text) for names, text, _ in zip_limited(_leaves(data, ())))
    if not rows:
        return ()
    return (
        Heading(1, "Form"),
        Paragraph("The values that were filled in, by the names of the form's fields."),
        Table((("Field", "Value"),), rows),
    )


def zip_limited(leaves: Iterator[tuple[tuple[str, ...], str]]) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """Not more leaves than a person could read."""
    for number, (names, text) in enumerate(leaves):
        if number >= _MOST_VALUES:
            return
        yield names, text, number


def _packets(xfa: Any) -> bytes:
    """The packet of data, or the whole form where it is one stream."""
    if isinstance(xfa, pikepdf.Stream):
        return xfa.read_bytes()
    parts = list(xfa)
    for name, part in zip(parts[::2], parts[1::2], strict=False):
        if bytes(name) == _DATASETS and isinstance(part, pikepdf.Stream):
            return part.read_bytes()
    return b"".join(part.read_bytes() for part in parts[1::2] if isinstance(part, pikepdf.Stream))


def _parsed(xml: bytes) -> Any:
    if not xml or len(xml) > _MOST:
        return None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)
    try:
        return etree.fromstring(xml, parser)
    except etree.XMLSyntaxError:
        return None


def _leaves(element: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Values with the names around them, in the form's order; rich text is one value."""
    children = [child for child in element if isinstance(child.tag, str)]
    rich = any("http://www.w3.org/1999/xhtml" in child.tag for child in children)
    if not children or rich:
        if (text := tidy("".join(element.itertext()))) and names:
            yield names, text
        return
    for child in children:
        yield from _leaves(child, (*names, etree.QName(child).localname))


def _label(names: Iterable[str]) -> str:
    """The names below the form's own, spelled as words."""
    shown = list(names)[1:] or list(names)
    return " / ".join(" ".join(part for part in _WORDS.split(name) if part) for name in shown)
