"""XML of no known kind: its text and attributes, each piece with the name of its element."""

import re
from typing import Final

from docpipe.convert.core.base import Content, NothingToReadError, Source
from docpipe.convert.core.blocks import Paragraph, tidy
from docpipe.convert.core.xmltree import MENDED, Element, local, parse

_TECHNICAL: Final = re.compile(r"\{http://www\.w3\.org/|.*(?:schemalocation|xmlns)", re.IGNORECASE)
_OF_VALUE: Final = ("value", "displayName")
"""Attributes that stand for the text of their element."""
_LONGEST: Final = 2_000


def read(source: Source) -> Content:
    """One paragraph for each element with text or attributes of its own.

    Raises: UnreadableError; NothingToReadError for a file without text.
    """
    parsed = parse(source.data())
    blocks = [Paragraph(text) for element in parsed.root.iter() if (text := _line(element))]
    if not blocks:
        raise NothingToReadError("This is an XML file without any text.")
    return Content(blocks=tuple(blocks), warnings=(MENDED,) if parsed.mended else (), libraries=("lxml",))


def _line(element: Element) -> str:
    """`test (name: K, unit: mmol/L): 6.9`."""
    name, text = local(element), tidy(_own_text(element))
    named = next((key for key in _OF_VALUE if element.get(key)), "")
    parts = [
        f"{str(key).rpartition('}')[2]}: {value!s}"
        for key, value in element.attrib.items()
        if key != named and not _TECHNICAL.match(str(key)) and 0 < len(value) <= _LONGEST
    ]
    if parts and name:
        name = f"{name} ({', '.join(' '.join(tidy(part).split()) for part in parts)})"
        return f"{name}: {text}" if text else name
    return f"{name}: {text}" if name and text else text


def _own_text(element: Element) -> str:
    value = next((text for key in _OF_VALUE if (text := element.get(key))), "")
    return " ".join([value, element.text or "", *(inner.tail or "" for inner in element)])
