"""How an element of HTML or of a narrative looks, as far as that means something.

Struck out, inserted, bold, raised, hidden, or set in a font of signs: by its tag, by its attributes, and by
declarations of CSS. Sizes and places mean nothing here, unless they hide; colours do where they flag a part
or hide it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from docpipe.convert.core.colours import FAINT, UNKNOWN, VIVID, WHITE, warm_colour
from docpipe.convert.core.csscolours import BLACK, CLEAR, Colour, colour_in, paper_in
from docpipe.convert.core.legible import is_too_small
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
    r"(?:^|\s)([0-9.]+(?:[a-z]+|%)|(?:xx?-)?(?:small|large)|medium|smaller|larger)(?:\s*/\s*\S+)?\s+(\S.*)$"
)
"""The size and the family in `font`, which stands behind it."""
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(pt|px|em|rem|ex|ch|%|mm|cm|in|pc)?")
_POINTS: Final = {"pt": 1, "px": 0.75, "": 0.75, "pc": 12, "in": 72, "cm": 28.35, "mm": 2.835, "rem": 12}
_PARTS: Final = {"em": 1, "%": 0.01, "ex": 0.5, "ch": 0.5}
_USUAL: Final = 12.0
"""Points of text whose size nothing sets."""
_MARKER: Final = "ffff00"
_LINK: Final = Colour("0000ee")
_SCALES: Final = re.compile(r"scale(?:3d|x|y)?\(\s*0(?:\.0+)?\s*[,)]|(?:^|\s)opacity\(\s*0(?:\.0*)?%?\s*\)")
_CUT: Final = re.compile(r"inset\((?:50|100)%|circle\(\s*0|polygon\(\s*0[a-z%]*\s+0[a-z%]*\s*[,)]")
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
    size: float | None = _USUAL
    """Points; None within a drawing, which may be drawn at any scale."""
    ink: str = ""
    """The colour of its letters where that may flag it."""
    paper: str = ""
    """The same of what is behind them."""
    letters: Colour | None = BLACK
    """The colour of its letters, None where it is not known."""
    spaces: str = ""
    """Which blanks stay: none, the ends of `lines`, or `all`."""
    behind: str = WHITE
    """The code of the colour behind it, UNKNOWN where that may be anything."""

    @property
    def colour(self) -> str:
        """The colour that may flag the text, empty for none."""
        return self.paper or self.ink

    @property
    def hidden(self) -> bool:
        """Whether the page does not show the text."""
        if self.unseen or self.invisible or is_too_small(self.size):
            return True
        return self.letters is not None and self.letters.vanishes(self.behind)

    def of(self, tag: str, attributes: Mapping[str, str]) -> "Look":
        """The look of an element within one that looks like this."""
        look = self
        if tag in _TAGS:
            look = replace(look, marks=look.marks | _TAGS[tag])
        if tag == "mark":
            look = replace(look, paper="yellow", behind=_MARKER, letters=BLACK)
        if tag == "svg":
            look = replace(look, letters=None, behind=UNKNOWN, size=None)
        if tag == "dialog" and "open" not in attributes:
            look = replace(look, unseen=True)
        if not attributes:
            return look
        if "hidden" in attributes:
            look = replace(look, unseen=True)
        if attributes.get("revised", "").lower() == "insert":
            look = replace(look, marks=look.marks | Mark.INSERTED)
        if code := attributes.get("stylecode") or attributes.get("emphasis"):
            look = _of_narrative(look, code.lower())
        look = _of_attributes(look, tag, attributes)
        if style := attributes.get("style"):
            look = _styled(look, dict(declarations(style)))  # the last declaration of a name wins
        return look

    def write(self, text: str) -> str:
        """A text with its marks, its signs in place of letters."""
        return mark(in_font(self.font, text) if self.font else text, self.marks)


_LIFTED: Final = frozenset({"absolute", "fixed"})


def _of_attributes(look: Look, tag: str, attributes: Mapping[str, str]) -> Look:
    """The look with the font and colours that attributes of old HTML set."""
    if tag == "a" and look.letters is not None and "href" in attributes:
        look = replace(look, letters=_LINK)
    if tag == "font" and attributes.get("face"):
        look = replace(look, font=attributes["face"])
    if "background" in attributes:
        look = replace(look, behind=UNKNOWN)
    if paper := attributes.get("bgcolor", "").strip().lower():
        look = replace(look, paper=warm_colour(paper, FAINT) or look.paper)
        look = replace(look, behind=paper_in(_with_sign(paper), look.behind))
    name = {"font": "color", "body": "text"}.get(tag, "")
    if ink := attributes.get(name, "").strip().lower():
        look = replace(look, ink=warm_colour(ink, VIVID), letters=colour_in(_with_sign(ink)))
    return look


def _with_sign(colour: str) -> str:
    return f"#{colour}" if re.fullmatch("[0-9a-f]{6}", colour) else colour


def _styled(look: Look, declared: Mapping[str, str]) -> Look:
    """The look with declarations of CSS applied."""
    if declared.get("position") in _LIFTED or declared.get("z-index", "auto") != "auto":
        look = replace(look, behind=UNKNOWN)  # whatever it is placed upon
    for name, value in declared.items():
        look = _declared(look, name, value)
    return replace(look, letters=_letters(declared, look), unseen=look.unseen or _is_away(declared))


def _letters(declared: Mapping[str, str], look: Look) -> Colour | None:
    """The colour of the letters; not known where something else draws them."""
    if declared.get("text-shadow", "none") != "none" or declared.get("-webkit-text-stroke"):
        return None
    if "text" in (declared.get("background-clip"), declared.get("-webkit-background-clip")):
        return None
    fill = declared.get("-webkit-text-fill-color", "")
    return colour_in(fill) if fill and fill not in _KEPT else look.letters


def declarations(style: str) -> list[tuple[str, str]]:
    """The names and values of declarations of CSS."""
    lowered_style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL).lower()
    return [
        (name, value.replace("!important", "").strip()) for name, value in _DECLARATION.findall(lowered_style)
    ]


def _is_away(declared: Mapping[str, str]) -> bool:
    """Whether an element is out of sight: beyond the page, cut away, or without a height."""
    if min(_number(declared.get(name, "")) or 0 for name in ("text-indent", "margin-left")) <= -_FAR:
        return True
    if declared.get("position") in {"absolute", "fixed"}:
        places = [_number(declared.get(name, "")) or 0 for name in ("left", "top", "right")]
        if min(places) <= -_FAR or re.match(r"rect\((?:0(?:px)?|1px)[\s,]", declared.get("clip", "")):
            return True
    if _CUT.match(declared.get("clip-path", "")):
        return True
    if not declared.get("overflow", "").startswith(("hidden", "clip")):
        return False
    sizes = [_number(declared.get(name, "")) for name in ("height", "max-height", "width", "max-width")]
    return 0 in sizes or all(_is_dot(declared.get(name, "")) for name in ("height", "width"))


def _is_dot(size: str) -> bool:
    """Whether a size has room for no letter: texts for programs that read pages aloud are cut to it."""
    return size in {"1px", "1pt", "0.1px"}


def stands_apart(attributes: Mapping[str, str]) -> bool:
    """Whether an element within a line has a box of its own, with a gap before what follows."""
    style = attributes.get("style", "")
    if not _BOX.search(style):
        return False
    declared = dict(declarations(style))
    if declared.get("position") in _LIFTED or declared.get("float", "none") != "none":
        return True
    sized = {"width", "min-width", "margin", "margin-left", "margin-right", "padding", "padding-right"}
    return declared.get("display", "").startswith("inline-") and not sized.isdisjoint(declared)


_BOX: Final = re.compile("absolute|fixed|float|inline-")


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
            match = _FONT.search(value) if name == "font" else None
            look = replace(look, size=_size(match[1], look.size)) if match else look
            family = value if name == "font-family" else match[2] if match else look.font
            return replace(look, font=family)
        case "color" if value not in _KEPT:
            letters = BLACK if value == "initial" else colour_in(value)
            return replace(look, ink=warm_colour(value, VIVID), letters=letters)
        case "background" | "background-color" | "background-image":
            behind = paper_in(value, look.behind)
            return replace(look, paper=warm_colour(value, FAINT) or look.paper, behind=behind)
    return _visibility(look, name, value)


_KEPT: Final = frozenset({"", "inherit", "unset", "revert", "currentcolor"})


def _size(value: str, around: float | None) -> float | None:
    """Points of a size; that of the text around where it is not known, and in a drawing unless it is 0."""
    match = _SIZE.fullmatch(value)
    if match is None:
        return around
    number, unit = float(match[1]), match[2] or ""
    if around is None:
        return None if number else 0.0
    return number * _PARTS[unit] * around if unit in _PARTS else number * _POINTS[unit]


def _visibility(look: Look, name: str, value: str) -> Look:
    """The look with a declaration applied that may hide the element."""
    match name:
        case "display" | "mso-hide" if value in {"none", "all"}:
            return replace(look, unseen=True)
        case "white-space" | "white-space-collapse":
            return replace(look, spaces=_SPACES.get(value, ""))
        case _ if name in _CHANGING and _is_gone(name, value):
            return replace(look, unseen=True)
        case "visibility":
            return replace(look, invisible=value in {"hidden", "collapse"})
        case "font-size":
            return replace(look, size=_size(value, look.size))
    return look


_SPACES: Final = {
    "pre": "all", "pre-wrap": "all", "break-spaces": "all", "preserve": "all", "pre-line": "lines",
    "preserve-breaks": "lines",
}  # fmt: skip
_CHANGING: Final = frozenset({"opacity", "filter", "transform", "scale", "zoom", "content-visibility"})


def _is_gone(name: str, value: str) -> bool:
    """Whether an opacity, a filter, a transformation or the like leaves nothing of an element."""
    if name == "opacity":
        share = _number(value)
        return share is not None and share / (100 if value.endswith("%") else 1) <= CLEAR
    if name in {"zoom", "scale"}:
        return _number(value) == 0
    return value == "hidden" if name == "content-visibility" else _SCALES.search(value) is not None


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
