"""Colours of runs of Word: of their letters, and of what is behind them."""

from collections.abc import Mapping
from typing import Final

from docpipe.convert.core.colours import UNKNOWN, WHITE, code_of
from docpipe.convert.core.xmltree import Element
from docpipe.convert.readers.office.flags import of_background
from docpipe.convert.readers.office.ooxml import attribute

_HIGHLIGHTS: Final = {"red": "red", "darkRed": "red", "yellow": "yellow", "darkYellow": "yellow"}


def letters_of(colour: Element) -> str:
    """The code of a colour of letters; the theme's first background counts as white."""
    own = code_of(attribute(colour, "val"))
    plain = attribute(colour, "themeTint") is attribute(colour, "themeShade") is None
    return own or (WHITE if plain and attribute(colour, "themeColor") in _LIGHT else "")


_LIGHT: Final = frozenset({"background1", "light1"})


def paper_of(inner: Mapping[str, Element]) -> str | None:
    """The colour of a marker pen or, where there is none, of a background."""
    if "highlight" in inner:
        return _HIGHLIGHTS.get(attribute(inner["highlight"], "val") or "", "")
    return of_background(attribute(inner["shd"], "fill")) if "shd" in inner else None


_PENS: Final = {"black": "000000", "white": WHITE, "none": None}


def behind_of(inner: Mapping[str, Element]) -> str | None:
    """The colour of a marker pen or of a background."""
    if "highlight" in inner:
        return _PENS.get(attribute(inner["highlight"], "val") or "", UNKNOWN)
    return shade_of(inner.get("shd"))


def shade_of(shade: Element | None) -> str | None:
    """The colour of a background: its code, UNKNOWN for a pattern or a colour of the theme, None for none."""
    fill, pattern = attribute(shade, "fill"), attribute(shade, "val")
    if shade is None or (pattern in {None, "clear", "nil"} and (fill or "auto") == "auto"):
        return None
    return code_of(fill) or UNKNOWN if pattern in {None, "clear"} else UNKNOWN
