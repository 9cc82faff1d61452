"""Elements and attributes of OOXML by their local names: strict and transitional files alike."""

from typing import Final

from docpipe.convert.core.xmltree import Element, local

OFF: Final = frozenset({"0", "false", "off", "none"})


def attribute(element: Element | None, name: str) -> str | None:
    """An attribute by its local name."""
    if element is None:
        return None
    return next(
        (str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), None
    )


def down(element: Element | None, *path: str) -> Element | None:
    """The first descendant along a path of local names."""
    for name in path:
        if element is None:
            return None
        element = next((inner for inner in element if local(inner) == name), None)
    return element


def on(element: Element | None) -> bool:
    """Whether a switch such as `w:vanish` is there and on."""
    return element is not None and attribute(element, "val") not in OFF


def whole(text: str | None, otherwise: int = 0) -> int:
    """A whole number as attributes have it; `otherwise` where it is none, or of more than nine digits."""
    digits = (text or "").removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:  # noqa: PLR2004 - digits
        return otherwise
    return int(text or "")
