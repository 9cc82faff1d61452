"""The styles of OpenDocument (ODF 1.3, part 3, 16): how text looks, and what is hidden."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Final

from docpipe.convert.core.colours import UNKNOWN, code_of
from docpipe.convert.core.legible import is_too_small
from docpipe.convert.core.marks import Mark
from docpipe.convert.core.symbols import font_of_signs, in_font
from docpipe.convert.core.tabbed import Stops
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.flags import of_background, of_letters
from docpipe.convert.readers.office.ooxml import attribute, down
from docpipe.convert.readers.office.runs import Look, Visibility
from docpipe.convert.readers.sheets.conditions import Value, holds

_MOST_PARENTS: Final = 20
_BOLD_FROM: Final = 600
_OUTLINE: Final = re.compile(r"outline[1-9]$")
_SUNK: Final = 10
"""Percent of the line's height from which text stands above or below it."""


@dataclass(frozen=True, slots=True)
class Given:
    """The properties that one place sets for a text; None for those that it leaves open."""

    font: str | None = None
    bold: bool | None = None
    italic: bool | None = None
    struck: bool | None = None
    hidden: bool | None = None
    level: int | None = None
    """1 for raised, -1 for lowered text."""
    ink: str | None = None
    """The colour of its letters where that may flag it, empty for others."""
    paper: str | None = None
    """The same of what is behind them."""
    letters: str | None = None
    """The code of the colour of its letters, empty where it depends on the paper."""
    behind: str | None = None
    """The code of the colour behind them, empty for none."""
    twips: int | None = None
    """The size of its letters."""
    scale: float | None = None
    """What to multiply that by, where a size is written as a share of the one around."""

    @property
    def colour(self) -> str:
        """The colour that may flag it, empty for none."""
        return self.paper or self.ink or ""

    def over(self, below: "Given") -> "Given":
        """These properties, completed by those below."""
        if NOTHING in (self, below):
            return below if self == NOTHING else self
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        made = replace(below, **{name: value for name, value in mine.items() if value is not None})
        if self.twips is not None:
            return replace(made, scale=self.scale)
        return replace(made, scale=self.scale * below.scale) if self.scale and below.scale else made

    def _points(self) -> float | None:
        if self.twips is None and self.scale is None:
            return None
        return (_USUAL if self.twips is None else self.twips) / _TWIPS["pt"] * (self.scale or 1)

    def signs(self, text: str) -> str:
        """The text as its font shows it."""
        return in_font(self.font, text)

    def look(self, *, inserted: bool = False, visibility: Visibility = Visibility.VISIBLE) -> Look:
        """How a text looks; text that the style hides is hidden, unless it is deleted."""
        marks = Mark.NONE
        for value, each in (
            (self.bold, Mark.BOLD),
            (self.italic, Mark.ITALIC),
            (self.struck, Mark.STRUCK),
            (inserted, Mark.INSERTED),
        ):
            marks |= each if value else Mark.NONE
        hidden = Visibility.HIDDEN if self.hidden or is_too_small(self._points()) else Visibility.VISIBLE
        return Look(marks, self.level or 0, visibility or hidden, self.colour)


NOTHING: Final = Given()


class Styles:
    """The styles of a file; of two with one name the later one holds."""

    def __init__(self, *roots: Element | None) -> None:
        self._styles: dict[tuple[str, str], Element] = {}
        self._fonts: dict[str, str] = {}
        self._given: dict[tuple[str, str], Given] = {}
        self.lists: dict[str, Element] = {}
        """The styles of lists by name; that of headings has the name ""."""
        tags = ("{*}style", "{*}list-style", "{*}outline-style", "{*}font-face", "{*}default-style")
        for element in (each for root in roots if root is not None for each in root.iter(*tags)):
            name = attribute(element, "name") or ""
            match local(element):
                case "font-face":
                    family = attribute(element, "font-family") or name
                    signs = attribute(element, "font-charset") == "x-symbol"
                    self._fonts[name] = (font_of_signs(family.strip("'")) if signs else None) or family
                case "list-style":
                    self.lists[name] = element
                case "outline-style":
                    self.lists[""] = element
                case "default-style":
                    self._styles[attribute(element, "family") or "", ""] = element
                case _:
                    self._styles[attribute(element, "family") or "", name] = element

    def given(self, family: str, name: str | None) -> Given:
        """How text of a style looks; `family` is text, paragraph, table-cell, graphic or presentation."""
        key = family, name or ""
        if key not in self._given:
            given = NOTHING
            for style in self._chain(*key):
                given = given.over(self._own_look(down(style, "text-properties")))
            self._given[key] = given
        return self._given[key]

    def cell_style(self, title: str) -> str:
        """The name of a style of cells by the one that people see, which rules of LibreOffice have."""
        if ("table-cell", title) in self._styles:
            return title
        return "".join(each if each.isalnum() else f"_{ord(each):x}_" for each in title)

    def colour(self, name: str | None) -> str:
        """The colour of a cell's background or letters that may flag it, empty for others."""
        for style in self._chain("table-cell", name or ""):
            paper = attribute(down(style, "table-cell-properties"), "background-color")
            ink = attribute(down(style, "text-properties"), "color")
            if colour := of_background(paper) or of_letters(ink):
                return colour
        return ""

    def applied(self, name: str | None, value: Value) -> tuple[str | None, bool]:
        """The style of a cell with a value, by the conditions of its style, and whether all are known."""
        known = True
        for style in self._chain("table-cell", name or ""):
            for each in (inner for inner in style if local(inner) == "map"):
                meets = holds(attribute(each, "condition") or "", value)
                if meets:
                    return attribute(each, "apply-style-name"), known
                known = known and meets is not None
        return name, known

    def behind(self, family: str, name: str | None) -> str | None:
        """The colour that a style of paragraphs, cells, rows, tables, frames or pages puts behind text: its
        code, UNKNOWN for a picture or pattern, None for nothing.
        """
        drawn = family in {"graphic", "presentation"}
        chain = [*self._chain(family, name or ""), *(self._chain("graphic", "") if drawn and name else ())]
        for style in chain:
            for part in (each for each in style if local(each).endswith("-properties")):
                filled, paper = attribute(part, "fill"), attribute(part, "background-color")
                if filled in {"none", "solid"}:
                    return code_of(attribute(part, "fill-color")) or UNKNOWN if filled == "solid" else None
                if filled is not None or any(
                    local(each) == "background-image" and each.attrib for each in part
                ):
                    return UNKNOWN
                if paper is not None and local(part) != "text-properties":
                    return code_of(paper)
        return None

    def stops(self, name: str | None) -> Stops:
        """The tab stops of a paragraph's style."""
        for style in self._chain("paragraph", name or ""):
            given = down(style, "paragraph-properties", "tab-stops")
            if given is not None:
                places = (_twips(attribute(each, "position")) for each in given)
                return Stops(tuple(sorted(place for place in places if place is not None)))
        return Stops()

    def hidden(self, name: str | None) -> bool:
        """Whether a section or table of a style is hidden."""
        for family in ("section", "table"):
            style = self._styles.get((family, name or ""), self._styles.get(("", name or "")))
            if attribute(down(style, f"{family}-properties"), "display") in {"none", "false"}:
                return True
        return False

    def hidden_slide(self, name: str | None) -> bool:
        """Whether a slide of a style is left out when the presentation runs."""
        return any(
            attribute(down(style, "drawing-page-properties"), "visibility") == "hidden"
            for style in self._chain("drawing-page", name or "")
        )

    def outline(self, name: str | None, level: int) -> Given:
        """How text on a level, from 1, of a slide's outline looks; `name` is the style of its frame."""
        given = NOTHING
        for style in self._chain("presentation", name or ""):
            deeper = _OUTLINE.sub(f"outline{level}", attribute(style, "name") or "")
            if deeper != (attribute(style, "name") or ""):
                return given.over(self.given("presentation", deeper))
            given = given.over(self._own_look(down(style, "text-properties")))
        return given

    def frame_lists(self, family: str, name: str | None) -> str:
        """The name of the style of lists in a frame of a style, empty where it gives none."""
        lists = (down(style, "graphic-properties", "list-style") for style in self._chain(family, name or ""))
        return next((attribute(each, "name") or "" for each in lists if each is not None), "")

    def paragraph(self, name: str | None, around: Given) -> Given:
        """How text of a paragraph's style looks in a cell or frame, whose looks are `around`."""
        own = self.given("paragraph", name) if name else NOTHING
        return own.over(around).over(self.given("paragraph", None))

    def heading(self, name: str | None) -> int | None:
        """The level of a heading that a paragraph's style makes it, 1 for a title; None for none."""
        for style in self._chain("paragraph", name or ""):
            if attribute(style, "name") == "Title":
                return 1
        return None

    def numbered(self, name: str | None) -> bool:
        """Whether headings of a style are numbered where headings are."""
        named = (attribute(style, "list-style-name") for style in self._chain("paragraph", name or ""))
        return next((text for text in named if text is not None), None) is None

    def bullet_font(self, level: Element) -> str | None:
        """The font of a list's bullet."""
        return self._own_look(down(level, "text-properties")).font

    def _chain(self, family: str, name: str) -> Iterator[Element]:
        key: tuple[str, str] | None = (family, name)
        for _ in range(_MOST_PARENTS):
            style = self._styles.get(key, self._styles.get(("", key[1]))) if key else None
            if style is None:
                break
            yield style
            parent = attribute(style, "parent-style-name")
            key = (family, parent) if parent and name else None

    def _own_look(self, properties: Element | None) -> Given:
        if properties is None:
            return NOTHING
        font = attribute(properties, "font-family")
        if font is not None and attribute(properties, "font-charset") == "x-symbol":
            font = font_of_signs(font.strip("'")) or font
        if font is None and (named := attribute(properties, "font-name")) is not None:
            font = self._fonts.get(named, named)
        weight = attribute(properties, "font-weight")
        slant = attribute(properties, "font-style")
        through = (
            attribute(properties, "text-line-through-type"),
            attribute(properties, "text-line-through-style"),
        )
        display = attribute(properties, "display")
        position = attribute(properties, "text-position")
        ink, paper = attribute(properties, "color"), attribute(properties, "background-color")
        return Given(
            font=font,
            bold=None if weight is None else _is_bold(weight),
            italic=None if slant is None else slant in {"italic", "oblique"},
            struck=None if through == (None, None) else "none" not in through,
            hidden=None if display is None else display == "none",
            level=None if position is None else _level(position),
            ink=None if ink is None else of_letters(ink),
            paper=None if paper is None else of_background(paper),
            letters="" if attribute(properties, "use-window-font-color") == "true" else code_of(ink),
            behind=None if paper is None else code_of(paper) or "",
            twips=_twips(attribute(properties, "font-size")),
            scale=_share(attribute(properties, "font-size")),
        )


_LENGTH: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{0,6})?)(cm|mm|in|pt|pc|px)")
_TWIPS: Final = {"cm": 566.93, "mm": 56.693, "in": 1440, "pt": 20, "pc": 240, "px": 15}


_PERCENT: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{0,6})?)%")
_USUAL: Final = 240
"""Twips of letters whose size nothing sets."""


def _twips(length: str | None) -> int | None:
    match = _LENGTH.fullmatch(length or "")
    return round(float(match[1]) * _TWIPS[match[2]]) if match else None


def _share(size: str | None) -> float | None:
    """Of a size such as "58%"."""
    match = _PERCENT.fullmatch(size or "")
    return max(float(match[1]), 1) / 100 if match else None


def _is_bold(weight: str) -> bool:
    return weight == "bold" or (weight.isdigit() and int(weight) >= _BOLD_FROM)


def _level(position: str) -> int:
    """Of "super 58%", "33% 58%" and "-8% 100%"."""
    first = position.split(maxsplit=1)[0] if position.strip() else ""
    if first in {"super", "sub"}:
        return 1 if first == "super" else -1
    try:
        percent = float(first.removesuffix("%"))
    except ValueError:
        return 0
    return 0 if abs(percent) < _SUNK else 1 if percent > 0 else -1
