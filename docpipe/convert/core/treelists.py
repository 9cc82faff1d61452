"""The labels of ordered lists: numbers, letters and Roman numerals, from wherever they count."""

import re
from collections.abc import Sequence
from typing import Final

from docpipe.convert.core.treelook import declarations
from docpipe.convert.core.treenode import MARKER, Node

_STYLES: Final = {
    "a": "lower-alpha", "A": "upper-alpha", "i": "lower-roman", "I": "upper-roman", "1": "decimal",
    "lower-latin": "lower-alpha", "upper-latin": "upper-alpha",
}  # fmt: skip
_LETTERED: Final = {"lower-alpha", "upper-alpha", "lower-roman", "upper-roman", "lower-greek"}
_COUNTED: Final = frozenset({"decimal", "decimal-leading-zero"})
_BULLETS: Final = frozenset({"disc", "circle", "square"})
_QUOTES: Final = ('"', "'")
_TELLING: Final = "☐☑☒✓✔✗✘⚠✅❌❗"
"""Signs with a meaning where they are a label."""
_CODES: Final = {  # of the narrative of CDA
    "littlealpha": "a", "bigalpha": "A", "littleroman": "i", "bigroman": "I", "arabic": "1",
}  # fmt: skip
_ROMAN: Final = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_MOST_ROMAN: Final = 3999
_LARGEST: Final = 99_999_999
_GREEK: Final = "αβγδεζηθικλμνξοπρστυφχψω"


def coded_type(code: str) -> str:
    """The `type` of HTML for a style of CDA's lists, empty for none."""
    return next((kind for word in code.lower().split() if (kind := _CODES.get(word))), "")


def labels(node: Node, items: Sequence[Node | None]) -> tuple[int, tuple[str, ...]]:
    """Where an ordered list begins, and its labels; none where they only count on from there in digits.

    Args:
        node: the list.
        items: its items, None for text without an element.
    """
    step = -1 if "reversed" in node.attributes else 1
    own = sum(item is not None for item in items)
    start = _number(node.attributes.get("start", ""))
    at = start if start is not None else own if step < 0 else 1
    first, made, plain = at, [], step > 0
    for item in items:
        value = _number(item.attributes.get("value", "")) if item is not None else None
        if value is not None:
            plain = plain and value == at
            at = value
        style = _style(item) or _style(node) if item is not None else _style(node)
        style = "disc" if not style and node.tag != "ol" else style
        plain = plain and style in {"", "decimal"}
        marker = item.attributes.get(MARKER, "") if item is not None else ""
        plain = plain and not marker
        made.append(" ".join(marker.split()) or label(at, style))
        at += step
    return max(0, min(first, _LARGEST)), () if plain and first >= 0 else tuple(made)


def _style(node: Node) -> str:
    kind = node.attributes.get("type", "")
    style = _STYLES.get(kind, kind.lower())
    for name, value in declarations(node.attributes.get("style", "")):
        if name == "list-style-type" or (name == "list-style" and value.startswith(_QUOTES)):
            style = _STYLES.get(value, value)
        elif name == "list-style":
            words = [word for word in value.split() if word in {*_STYLES, *_LETTERED, *_COUNTED, "none"}]
            style = _STYLES.get(words[0], words[0]) if words else style
    return style


def is_ordered(node: Node, items: Sequence[Node | None]) -> bool:
    """Whether a list has labels of its own: by its tag, or by the styles of the list and its items."""
    if node.tag == "ol" or any(item.attributes.get(MARKER, "").strip() for item in items if item is not None):
        return True
    styles = [_style(node), *(_style(item) for item in items if item is not None)]
    return any(style in {*_LETTERED, *_COUNTED} or _text(style) for style in styles)


def _text(style: str) -> str:
    """The text that a style gives as a label, empty for signs without a meaning."""
    text = style.strip("".join(_QUOTES)).strip() if style.startswith(_QUOTES) else ""
    return text if any(each.isalnum() or each in _TELLING for each in text) else ""


def label(number: int, style: str) -> str:
    """A number as a list writes it: `3.`, `c.`, `iii.`; in digits where it has no other form."""
    if style in {"lower-alpha", "upper-alpha"} and number > 0:
        text = _letters(number)
    elif style in {"lower-roman", "upper-roman"} and 0 < number <= _MOST_ROMAN:
        text = roman(number)
    elif style == "lower-greek" and 0 < number <= len(_GREEK):
        text = _GREEK[number - 1]
    elif style == "none" or style.startswith(_QUOTES):
        return _text(style)
    elif style in _BULLETS:
        return ""
    else:
        text = f"{number:02d}" if style == "decimal-leading-zero" else str(number)
    return f"{text.upper() if style.startswith('upper') else text}."


def roman(number: int) -> str:
    """A number from 1 to 3999 in small Roman numerals."""
    out = ""
    for value, sign in _ROMAN:
        out += sign * (number // value)
        number %= value
    return out


def _letters(number: int) -> str:
    out = ""
    while number:
        number, rest = divmod(number - 1, 26)
        out = chr(ord("a") + rest) + out
    return out


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", text) else None
