"""The styles of a Word document (ECMA-376-1, 17.7): the looks of runs, headings, lists."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce
from types import MappingProxyType
from typing import Any, Final

from docpipe.convert.core.colours import vanishes
from docpipe.convert.core.legible import is_too_small
from docpipe.convert.core.marks import Mark
from docpipe.convert.core.symbols import font_of_signs, in_font, is_symbol_font
from docpipe.convert.core.tabbed import Stops
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.flags import of_letters
from docpipe.convert.readers.office.ooxml import OFF, attribute, down, on, whole
from docpipe.convert.readers.office.runs import Look, shifted
from docpipe.convert.readers.word.colours import behind_of, letters_of, paper_of, shade_of

_MOST_PARENTS: Final = 20
_PICTORIAL: Final = "05"
"""How the PANOSE number of a font of pictures begins."""
_USUAL_SIZE: Final = 24
"""Half points."""
_BODY_TEXT: Final = 9
"""The outline level of what is no heading; headings are 0 to 8."""


@dataclass(frozen=True, slots=True)
class Given:
    """The properties that one place sets for a run; None for those that it leaves open."""

    low: str | None = None
    """The font of ASCII characters."""
    high: str | None = None
    """The font of others."""
    other: str | None = None
    """The font of all characters of complex script."""
    complex: bool | None = None
    """Whether they count as of complex script, whatever they are."""
    bold: bool | None = None
    italic: bool | None = None
    struck: bool | None = None
    struck_twice: bool | None = None
    hidden: bool | None = None
    align: str | None = None
    position: int | None = None
    ink: str | None = None
    """The colour of its letters where that may flag it, empty for others."""
    paper: str | None = None
    """The same of what is behind them."""
    letters: str | None = None
    """The code of the colour of its letters, empty where it depends on the paper."""
    behind: str | None = None
    """The code of the colour behind them, UNKNOWN for a pattern."""
    size: int | None = None
    """Half points."""

    def over(self, below: "Given") -> "Given":
        """These properties, completed by those below."""
        if self is NOTHING or below is NOTHING:
            return below if self is NOTHING else self
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        return Given(
            **{name: getattr(below, name) if value is None else value for name, value in mine.items()}
        )


_TOGGLES: Final = ("bold", "italic", "struck", "hidden")
NOTHING: Final = Given()


class RunStyle:
    """How a run looks: its direct properties over those of its styles."""

    __slots__ = ("_fonts", "_given")

    def __init__(self, given: Given, fonts: Mapping[str, str] = MappingProxyType({})) -> None:
        self._given = given
        self._fonts = fonts

    @property
    def hidden(self) -> bool:
        """Whether it is hidden, or too small to be read."""
        size = self._given.size
        return bool(self._given.hidden) or is_too_small(None if size is None else size / 2)

    @property
    def inked(self) -> bool:
        """Whether its letters have a colour of their own."""
        return bool(self._given.letters)

    def vanishes(self, paper: str) -> bool:
        """Whether its letters have the colour of what is behind them: its own, else `paper`."""
        return vanishes(self._given.letters, self._given.behind or paper)

    @property
    def colour(self) -> str:
        """The colour that may flag it, empty for none."""
        return self._given.paper or self._given.ink or ""

    @property
    def symbolic(self) -> bool:
        """Whether one of its fonts is a symbol font."""
        return any(map(is_symbol_font, self._names))

    @property
    def _names(self) -> tuple[str, str]:
        given = self._given
        names = (given.other, given.other) if given.complex else (given.low, given.high)
        return self.read_as(names[0] or ""), self.read_as(names[1] or "")

    def read_as(self, font: str) -> str:
        """The font by which text in a font is read."""
        return self._fonts.get(font, font)

    def signs(self, text: str) -> str:
        """The text as its fonts show it."""
        if not self.symbolic:
            return text
        low, high = self._names
        return "".join(in_font(low if each.isascii() else high, each) for each in text)

    def look(self, text: str) -> Look:
        """What the text means besides its words."""
        given = self._given
        marks = Mark.NONE
        for value, each in ((given.bold, Mark.BOLD), (given.italic, Mark.ITALIC)):
            marks |= each if value else Mark.NONE
        marks |= Mark.STRUCK if given.struck or given.struck_twice else Mark.NONE
        level = {"superscript": 1, "subscript": -1}.get(given.align or "", 0)
        return Look(marks, level or shifted(text, given.position or 0), colour=self.colour)


_USUAL: Final = RunStyle(NOTHING)


_LOOKS: Final = {"firstRow": 0x20, "lastRow": 0x40, "firstColumn": 0x80, "lastColumn": 0x100}


def looks_of(look: Element | None) -> frozenset[str]:
    """Which rows and columns of a table its style sets apart."""
    try:
        bits = int(attribute(look, "val") or "0", 16)
    except ValueError:
        bits = 0
    given = {name: attribute(look, name) for name in _LOOKS}
    return frozenset(
        name
        for name, bit in _LOOKS.items()
        if (bits & bit if given[name] is None else given[name] not in OFF)
    )


@dataclass(frozen=True, slots=True)
class TableStyle:
    """The text properties that the style of a table sets for its cells. Its colours belong to places, not to
    values, and flag nothing.
    """

    whole: Given
    parts: dict[str, Given]
    looks: frozenset[str]

    def cell(self, row: tuple[int, int], column: tuple[int, int]) -> Given:
        """Of a cell, by the number of its row and how many there are, and the same of its column."""
        given = NOTHING
        for look, part, (at, count) in (
            ("firstRow", "firstRow", row),
            ("lastRow", "lastRow", row),
            ("firstColumn", "firstCol", column),
            ("lastColumn", "lastCol", column),
        ):
            place = 0 if look.startswith("first") else count - 1
            if look in self.looks and at == place:
                given = given.over(self.parts.get(part, NOTHING))
        return given.over(self.whole)


class Styles:
    """The styles of paragraphs and runs."""

    def __init__(self, styles: Element | None, fonts: Element | None = None) -> None:
        self.fonts = _fonts_of_signs(fonts)
        """Fonts of signs by their names, each with the name of the one that it is read as."""
        self._styles: dict[str, Element] = {}
        self._default = self._default_table = ""
        self._defaults = NOTHING
        self._runs: dict[str, Given] = {}
        for style in styles if styles is not None else ():
            name = attribute(style, "styleId")
            if local(style) == "docDefaults":
                self._defaults = _given(down(style, "rPrDefault", "rPr"))
            elif local(style) == "style" and name is not None:
                self._styles.setdefault(name, style)
                if attribute(style, "default") in {"1", "true"}:
                    self._default = name if attribute(style, "type") == "paragraph" else self._default
                    self._default_table = name if attribute(style, "type") == "table" else self._default_table

    def run(self, paragraph: str | None, properties: Element | None, cell: Given | None = None) -> RunStyle:
        """How a run looks in a paragraph of a style; `properties` are its own, `cell` is what a table's style
        says of the cell around it.
        """
        cell = cell or NOTHING
        block = self._of(paragraph or self._default)
        sort = self._of(attribute(down(properties, "rStyle"), "val") or "")
        own = _given(properties)
        if all(each is NOTHING for each in (own, sort, block, cell, self._defaults)):
            return _USUAL
        given = own.over(sort).over(block).over(cell).over(self._defaults)
        # Switches of styles of paragraphs, characters and tables put each other out (17.7.3).
        switches: dict[str, Any] = {}
        for name in _TOGGLES:
            if getattr(own, name) is None:
                mixed = sum(bool(getattr(each, name)) for each in (block, sort, cell)) % 2
                switches[name] = bool(mixed or getattr(self._defaults, name))
        return RunStyle(replace(given, **switches), self.fonts)

    def table(self, properties: Element | None) -> TableStyle | None:
        """The text properties that a table's style sets, None for none; `properties` are the table's."""
        whole_table = NOTHING
        parts: dict[str, Given] = {}
        for style in self._chain(attribute(down(properties, "tblStyle"), "val") or self._default_table):
            whole_table = whole_table.over(_uncoloured(down(style, "rPr")))
            for part in style:
                if local(part) == "tblStylePr":
                    name = attribute(part, "type") or ""
                    parts[name] = parts.get(name, NOTHING).over(_uncoloured(down(part, "rPr")))
        if whole_table is NOTHING and all(each is NOTHING for each in parts.values()):
            return None
        return TableStyle(whole_table, parts, looks_of(down(properties, "tblLook")))

    def heading(self, properties: Element | None) -> int | None:
        """The level of a heading, None for what is not one; `properties` are a paragraph's."""
        for element in (properties, *self._properties_of(properties)):
            outline = attribute(down(element, "outlineLvl"), "val")
            if outline is not None and outline.isdigit():
                return int(outline) + 1 if int(outline) < _BODY_TEXT else None
            if element is not None and element is not properties and (level := _titled(element)):
                return level
        return None

    def numbering(self, properties: Element | None) -> tuple[str, str | None, str | None] | None:
        """The list of a paragraph: its id, its level where one is given, and the style that says so (None:
        the paragraph itself). None for a paragraph that is in no list.
        """
        level: str | None = None
        for element in (properties, *self._properties_of(properties)):
            given = down(element, "numPr")
            level = level or attribute(down(given, "ilvl"), "val")
            if (number := attribute(down(given, "numId"), "val")) is not None:
                style = None if element is properties or element is None else _style_of(element)
                return None if number == "0" else (number, level, style)
        return None

    def stops(self, properties: Element | None) -> Stops:
        """The tab stops of a paragraph; `properties` are its own."""
        places: dict[int, str] = {}
        for element in reversed((properties, *self._properties_of(properties))):
            given = down(element, "tabs")
            for each in given if given is not None else ():
                places[whole(attribute(each, "pos"))] = attribute(each, "val") or ""
        return Stops(tuple(sorted(at for at, kind in places.items() if kind not in {"clear", "bar"})))

    def shade(self, properties: Element | None) -> str | None:
        """The colour behind a paragraph, None for none; `properties` are its own."""
        shades = (down(each, "shd") for each in (properties, *self._properties_of(properties)))
        return next((shade_of(each) for each in shades if each is not None), None)

    def shaded_table(self, properties: Element | None) -> bool:
        """Whether a table, or its style, puts something behind some of its cells."""
        name = attribute(down(properties, "tblStyle"), "val") or self._default_table
        return any(
            shade_of(each) is not None
            for element in (properties, *self._chain(name))
            if element is not None
            for each in element.iter("{*}shd")
        )

    def list_of(self, style: str) -> str | None:
        """The id of the list that a style of lists names."""
        return attribute(down(self._styles.get(style), "pPr", "numPr", "numId"), "val")

    def _properties_of(self, properties: Element | None) -> Iterator[Element]:
        """The paragraph properties of a paragraph's style, and of those it is based on."""
        for style in self._chain(attribute(down(properties, "pStyle"), "val") or self._default):
            inner = down(style, "pPr")
            yield inner if inner is not None else style

    def _chain(self, name: str) -> Iterator[Element]:
        for _ in range(_MOST_PARENTS):
            style = self._styles.get(name)
            if style is None:
                return
            yield style
            name = attribute(down(style, "basedOn"), "val") or ""

    def _of(self, name: str) -> Given:
        if name not in self._runs:
            chain = [_given(down(style, "rPr")) for style in self._chain(name)]
            self._runs[name] = reduce(Given.over, chain, NOTHING)
        return self._runs[name]


def _given(properties: Element | None) -> Given:
    """The properties in an element of run properties."""
    if properties is None or not len(properties):
        return NOTHING
    inner = {local(each): each for each in properties}
    fonts = inner.get("rFonts")
    position = attribute(inner.get("position"), "val")
    size = attribute(inner.get("sz"), "val")

    def switch(name: str) -> bool | None:
        return on(inner[name]) if name in inner else None

    return Given(
        low=attribute(fonts, "asciiTheme") or attribute(fonts, "ascii"),
        high=_high(fonts),
        other=attribute(fonts, "cstheme") or attribute(fonts, "cs"),
        complex=switch("rtl") or switch("cs"),
        bold=switch("b"),
        italic=switch("i"),
        struck=switch("strike"),
        struck_twice=switch("dstrike"),
        hidden=switch("vanish"),
        align=attribute(inner.get("vertAlign"), "val"),
        position=None if position is None else whole(position),
        ink=of_letters(attribute(inner["color"], "val")) if "color" in inner else None,
        paper=paper_of(inner),
        letters=letters_of(inner["color"]) if "color" in inner else None,
        behind=behind_of(inner),
        size=None if size is None else whole(size, _USUAL_SIZE),
    )


def _high(fonts: Element | None) -> str | None:
    eastern = attribute(fonts, "hint") == "eastAsia"
    return (
        (attribute(fonts, "eastAsia") if eastern else None)
        or attribute(fonts, "hAnsiTheme")
        or attribute(fonts, "hAnsi")
    )


def _uncoloured(properties: Element | None) -> Given:
    given = _given(properties)
    return given if given.ink is given.paper is None else replace(given, ink=None, paper=None)


def _fonts_of_signs(fonts: Element | None) -> dict[str, str]:
    """Of the table of fonts (17.8) those that are declared to have signs for letters."""
    named: dict[str, str] = {}
    for font in fonts if fonts is not None else ():
        name, other = attribute(font, "name") or "", attribute(down(font, "altName"), "val") or ""
        charset, panose = (attribute(down(font, each), "val") or "" for each in ("charset", "panose1"))
        declared = charset.lstrip("0") == "2" or panose.startswith(_PICTORIAL)
        if (declared or is_symbol_font(other)) and (read_as := font_of_signs(name, *other.split(","))):
            named[name] = read_as
    return named


def _titled(element: Element) -> int | None:
    """The level of a heading by its style's name."""
    style = element if local(element) == "style" else element.getparent()
    title = (attribute(down(style, "name"), "val") or "").lower()
    if title in {"title", "heading"}:
        return 1
    if title.startswith("heading ") and title[8:].isdigit():
        return int(title[8:])
    return None


def _style_of(element: Element) -> str | None:
    style = element if local(element) == "style" else element.getparent()
    return attribute(style, "styleId")
