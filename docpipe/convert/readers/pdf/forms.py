"""Forms in XFA, which pdfium does not show: the values that were filled in, by the names of their fields."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pikepdf
from lxml import etree

from docpipe.convert.core.blocks import Block, Heading, Paragraph, Table, tidy
from docpipe.convert.readers.pdf.text import Page
from docpipe.convert.readers.pdf.xfa import Path, XfaField, fields

_PLACEHOLDER: Final = re.compile(
    r"please\s+wait|(?:Adobe\s+(?:Acrobat\s+)?(?:Reader|Acrobat))|later\s+version\s+of\s+(?:Adobe|Acrobat)",
    re.IGNORECASE,
)
_MOST: Final = 32 * 2**20
_MOST_VALUES: Final = 20_000
_DATA: Final = "{http://www.xfa.org/schema/xfa-data/1.0/}data"
_DATASETS: Final = b"datasets"
_TEMPLATE: Final = b"template"
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|[_.\s]+")


def has_xfa(pdf: pikepdf.Pdf) -> bool:
    """Whether the document has a form in XFA."""
    form = pdf.Root.get("/AcroForm")
    return isinstance(form, pikepdf.Dictionary) and "/XFA" in form


def is_placeholder(pages: Sequence[Page]) -> bool:
    """Whether the pages are only Adobe's notice that the form cannot be displayed."""
    return len(pages) == 1 and len(pages[0].text) < 1_500 and bool(_PLACEHOLDER.search(pages[0].text))  # noqa: PLR2004


def values(pdf: pikepdf.Pdf) -> tuple[Block, ...]:
    """The filled-in values as a table of fields; empty where there are none or the XML is broken."""
    xfa = pdf.Root["/AcroForm"]["/XFA"]
    root = _parsed(_packet(xfa, _DATASETS))
    if root is None:
        return ()
    data = root if root.tag == _DATA else root.find(f".//{_DATA}")
    if data is None:
        return ()
    template = _parsed(_packet(xfa, _TEMPLATE))
    known = {} if template is None else _fields(template)
    leaves = (each for each in zip_limited(_leaves(data, (), known)))
    rows = tuple(_row(names, text, known) for names, text, _ in leaves)
    if not rows:
        return ()
    return (
        Heading(1, "Form"),
        Paragraph("The values that were filled in, by the names of the form's fields."),
        Table((("Field", "Value"),), rows),
    )


def _fields(template: Any) -> dict[Path, XfaField]:
    """The fields by the names around them; the template may be a part of the whole form."""
    return fields(next(template.iter("{*}template"), template))


def _row(names: Path, text: str, known: Mapping[Path, XfaField]) -> tuple[str, str]:
    """The name and value of a field as the form shows them."""
    given = known.get(names)
    if given is None:
        return _label(names), text
    return _label((*names[:-1], given.caption or names[-1])), given.written(text)


def zip_limited(leaves: Iterator[tuple[tuple[str, ...], str]]) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """Not more leaves than a person could read."""
    for number, (names, text) in enumerate(leaves):
        if number >= _MOST_VALUES:
            return
        yield names, text, number


def _packet(xfa: Any, wanted: bytes) -> bytes:
    """A packet by its name, or the whole form where it is one stream or has none of that name."""
    if isinstance(xfa, pikepdf.Stream):
        return xfa.read_bytes()
    parts = list(xfa)
    for name, part in zip(parts[::2], parts[1::2], strict=False):
        if bytes(name) == wanted and isinstance(part, pikepdf.Stream):
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


def _leaves(element: Any, names: Path, known: Mapping[Path, XfaField]) -> Iterator[tuple[Path, str]]:
    """Values with the names around them, in the form's order; rich text is one value. Boxes and choices that
    are empty are values, too.
    """
    children = [child for child in element if isinstance(child.tag, str)]
    rich = any("http://www.w3.org/1999/xhtml" in child.tag for child in children)
    if not children or rich:
        text = tidy("".join(element.itertext()))
        given = known.get(names)
        if names and (text or (given is not None and (given.is_box or given.choices))):
            yield names, text
        return
    for child in children:
        yield from _leaves(child, (*names, etree.QName(child).localname), known)


def _label(names: Iterable[str]) -> str:
    """The names below the form's own, spelled as words."""
    parts = list(names)[1:] or list(names)
    spelled = (
        name if " " in name else " ".join(part for part in _WORDS.split(name) if part) for name in parts
    )
    return " / ".join(spelled)
