"""XML of no known kind: its text, each piece with the name of its element."""

from docpipe.convert.core.base import Content, NothingToReadError, Source
from docpipe.convert.core.blocks import Paragraph, tidy
from docpipe.convert.core.xmltree import MENDED, Element, local, parse


def read(source: Source) -> Content:
    """One paragraph for each element with text of its own.

    Raises: UnreadableError; NothingToReadError for a file without text.
    """
    parsed = parse(source.data())
    blocks = []
    for element in parsed.root.iter():
        if text := tidy(_own(element)):
            name = local(element)
            blocks.append(Paragraph(f"{name}: {text}" if name else text))
    if not blocks:
        raise NothingToReadError("This is an XML file without any text.")
    return Content(blocks=tuple(blocks), warnings=(MENDED,) if parsed.mended else (), libraries=("lxml",))


def _own(element: Element) -> str:
    value = element.get("value") or element.get("displayName") or ""
    return " ".join([value, element.text or "", *(inner.tail or "" for inner in element)])
