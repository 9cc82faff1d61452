"""How an element of HTML or of a narrative looks, as far as that means something.

Struck out, inserted, bold, raised, hidden, or set in a font of signs: by its tag, by its attributes, and by
declarations of CSS. Sizes and places mean nothing here, unless they hide; colours do where they flag a part.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from docpipe.convert.core.colours import FAINT, VIVID, warm_colour
from docpipe.convert.core.marks import Mark, lowered, mark, raised
from docpipe.convert.core.symbols import in_font

_TAGS: Final = {
    "s": Mark.STRUCK, "strike": Mark.STRUCK, "del": Mark.STRUCK, "ins": Mark.INSERTED,
    "b": Mark.BOLD, "strong": Mark.BOLD, "i": Mark.ITALIC, "em": Mark.ITALIC,
}  # fmt: skip
_SHIFTS: Final = {"sup": 1, "sub": -1, "super": 1}
_DECLARATION: Final = re.compile(r"([a-z-]+)\s*:\s*([^;]*)")
_LENGTH: Final = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:pt|px|em|rem|ex|%|mm|cm|in|pc)?")
_FONT: Final = re.compile(
    r"(?:^|\s)(?:[0-9.]+(?:[a-z]+|%)|(?:xx?-)?(?:small|large)|medium|smaller|larger)(?:\s*/\s*\S+)?\s+(\S.*)$"
)
"""The family in `font`, which stands behind the size."""
_FAR: Final = 500
"""Pixels or other units from which a place is far beyond the page."""
_HEAVY: Final = 600
"""The weight from which a font is bold."""
_LONGEST_SHIFTED: Final = 40
"""Characters that a shift by a length may raise; longer passages are moved for the layout."""


@dataclass(frozen=True, slots=True)
class Look:
    """The look of an element's text and of the elements within it."""

    marks: Mark = Mark.NONE
    font: str | None = None
    unseen: bool = False
    """Within an element that is not laid out at all."""
    invisible: bool = False
    """Laid out but not visible; elements within may be so again."""
    sizeless: bool = False
    """Not visible because its size is zero."""
    ink: str = ""
    """The colour of its letters where that may flag it."""
    paper: str = ""
    """The same of what is behind them."""
    white: bool = False
    """Whether its letters are white."""
    backed: bool = False
    """Whether something other than white is behind it."""

    @property
    def colour(self) -> str:
        """The colour that may flag the text, empty for none."""
        return self.paper or self.ink

    @property
    def hidden(self) -> bool:
        """Whether the page does not show the text."""
        return self.unseen or self.invisible or self.sizeless or (self.white and not self.backed)

    def of(self, tag: str, attributes: Mapping[str, str]) -> "Look":
        """The look of an element within one that looks like this."""
        look = self
        if tag in _TAGS:
            look = replace(look, marks=look.marks | _TAGS[tag])
        if not attributes:
            return look
        if tag == "font" and attributes.get("face"):
            look = replace(look, font=attributes["face"])
        if "hidden" in attributes or (tag == "dialog" and "open" not in attributes):
            look = replace(look, unseen=True)
        if attributes.get("revised", "").lower() == "insert":
            look = replace(look, marks=look.marks | Mark.INSERTED)
        if code := attributes.get("stylecode") or attributes.get("emphasis"):
            look = _of_narrative(look, code.lower())
        if "bgcolor" in attributes or (tag == "font" and "color" in attributes):
            paper, ink = attributes.get("bgcolor", "").lower(), attributes.get("color", "").lower()
            look = replace(look, paper=warm_colour(paper, FAINT) or look.paper, ink=warm_colour(ink, VIVID))
            look = replace(look, white=_is_white(ink) if ink else look.white)
            look = replace(look, backed=look.backed or bool(paper and not _is_white(paper)))
        if style := attributes.get("style"):
            declared = dict(declarations(style))  # the last declaration of a name wins
            for name, value in declared.items():
                look = _declared(look, name, value)
            look = replace(look, unseen=True) if not look.unseen and _is_away(declared) else look
        return look

    def write(self, text: str) -> str:
        """A text with its marks, its signs in place of letters."""
        return mark(in_font(self.font, text) if self.font else text, self.marks)


def declarations(style: str) -> list[tuple[str, str]]:
    """The names and values of declarations of CSS."""
    lowered_style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL).lower()
    return [
        (name, value.replace("!important", "").strip()) for name, value in _DECLARATION.findall(lowered_style)
    ]


def _is_away(declared: Mapping[str, str]) -> bool:
    """Whether an element is out of sight: beyond the page, cut away, or without a height."""
    if (_number(declared.get("text-indent", "")) or 0) <= -_FAR:
        return True
    if declared.get("position") in {"absolute", "fixed"}:
        places = [_number(declared.get(name, "")) or 0 for name in ("left", "top", "right")]
        if min(places) <= -_FAR or re.match(r"rect\((?:0(?:px)?|1px)[\s,]", declared.get("clip", "")):
            return True
    if re.match(r"inset\((?:50|100)%", declared.get("clip-path", "")):
        return True
    sizes = [_number(declared.get(name, "")) for name in ("height", "max-height", "width", "max-width")]
    return 0 in sizes and declared.get("overflow", "").startswith(("hidden", "clip"))


def _declared(look: Look, name: str, value: str) -> Look:  # noqa: PLR0911 - a ladder: one property, one return
    match name:
        case "text-decoration" | "text-decoration-line" if "line-through" in value:
            return replace(look, marks=look.marks | Mark.STRUCK)
        case "font-weight":
            heavy = value in {"bold", "bolder"} or (value.isdigit() and int(value) >= _HEAVY)
            return replace(look, marks=look.marks | Mark.BOLD if heavy else look.marks & ~Mark.BOLD)
        case "font-style":
            leans = value.startswith(("italic", "oblique"))
            return replace(look, marks=look.marks | Mark.ITALIC if leans else look.marks & ~Mark.ITALIC)
        case "font-family" | "font":
            family = value if name == "font-family" else (_FONT.search(value) or ("", look.font))[1]
            return replace(look, font=family)
        case "color":
            return replace(look, ink=warm_colour(value, VIVID), white=_is_white(value))
        case "background" | "background-color" | "background-image":
            backed = look.backed or not (_is_white(value) or value in _NO_PAPER)
            return replace(look, paper=warm_colour(value, FAINT) or look.paper, backed=backed)
    return _seen(look, name, value)


_WHITE: Final = re.compile(r"white|#fff(?:fff)?|rgba?\(\s*255\s*,?\s*255\s*,?\s*255[^)]*\)")
_NO_PAPER: Final = frozenset({"", "none", "transparent", "inherit", "initial", "unset"})


def _is_white(value: str) -> bool:
    return _WHITE.fullmatch(value.strip()) is not None


def _seen(look: Look, name: str, value: str) -> Look:
    """The look with what a declaration says of being seen."""
    match name:
        case "display" if value == "none":
            return replace(look, unseen=True)
        case "mso-hide" if value == "all":
            return replace(look, unseen=True)
        case "opacity" if _number(value) == 0:
            return replace(look, unseen=True)
        case "visibility":
            return replace(look, invisible=value in {"hidden", "collapse"})
        case "font-size" if not value.endswith(("%", "em")) or _number(value) == 0:
            return replace(look, sizeless=_number(value) == 0)
    return look


def _of_narrative(look: Look, code: str) -> Look:
    """The codes of styles of CDA, those that senders made up among them."""
    marks = look.marks
    if "strike" in code or "linethrough" in code.replace("-", ""):
        marks |= Mark.STRUCK
    words = re.split(r"[\s,;]+", code)
    if "bold" in words:
        marks |= Mark.BOLD
    if {"italics", "italic", "emphasis"} & set(words):
        marks |= Mark.ITALIC
    return replace(look, marks=marks, unseen=look.unseen or bool({"hidden", "xhidden"} & set(words)))


def _number(value: str) -> float | None:
    match = _LENGTH.fullmatch(value)
    return float(match[1]) if match else None


def shift(tag: str, attributes: Mapping[str, str], text: str) -> int:
    """Whether an element within a line raises its text (1), lowers it (-1), or neither (0)."""
    direction = _SHIFTS.get(tag, 0)
    code = attributes.get("stylecode", "").lower()
    direction = 1 if "superscript" in code else -1 if "subscript" in code else direction
    moved = False
    for name, value in declarations(attributes.get("style", "")):
        if name in {"vertical-align", "mso-text-raise"}:
            amount = _number(value) or 0
            if len(text) > _LONGEST_SHIFTED:
                amount = 0
            moved = True
            direction = _SHIFTS.get(value, 1 if amount > 0 else -1 if amount < 0 else 0)
        elif name == "top" and not moved and "position:relative" in attributes["style"].replace(" ", ""):
            amount = _number(value) or 0
            if amount and len(text) <= _LONGEST_SHIFTED:
                direction = 1 if amount < 0 else -1
    return direction


def shifted(text: str, direction: int) -> str:
    """A text that is raised, lowered or neither."""
    return raised(text) if direction > 0 else lowered(text) if direction < 0 else text
