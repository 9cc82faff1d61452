"""Which way text runs: by its first letter, as Unicode's rules P2 and P3 have it."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_RIGHT: Final = frozenset({"R", "AL"})
_NUMBER: Final = r"(?:[<>≤≥~±+]\s?)?[0-9][0-9.,:/]*"
_LATIN: Final = r"[A-Za-zÀ-ɏµμ%°][A-Za-z0-9À-ɏµμ%°/.²³⁰-⁹^-]*"
_MEASURE: Final = re.compile(rf"{_NUMBER}(?:\s?[-\u2013/x\u00d7]\s?{_NUMBER})*(?:\s?{_LATIN})*")
"""A number or a range with its unit and what else of Latin script follows it."""
_ISOLATE, _END = "\u2066", "\u2069"


def direction(text: str) -> str:
    """The direction of text: "R" from right to left, "L" from left to right, "" where it has no letters."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in _RIGHT:
            return "R"
        if kind == "L":
            return "L"
    return ""


def runs_left(texts: Iterable[str]) -> bool:
    """Whether the first letter of the texts is of a script that runs from right to left."""
    return next((way for text in texts if (way := direction(text))), "") == "R"


def isolated(text: str) -> str:
    """Text from right to left in which each number stays together with its unit (LRI and PDI of Unicode)."""
    return _MEASURE.sub(lambda match: f"{_ISOLATE}{match[0]}{_END}", text)


def as_drawn(text: str, way: str) -> str:
    """Text that is drawn against its own direction, in the order in which readers see it (`bdo` of HTML)."""
    against = "L" if way == "rtl" else "R" if way == "ltr" else ""
    kinds = {unicodedata.bidirectional(character) for character in text}
    if not against or (kinds & _RIGHT and "L" in kinds) or not kinds & {*_RIGHT, "L", "EN", "AN"}:
        return text
    return text[::-1] if bool(kinds & _RIGHT) == (against == "R") else text
