"""Fonts and formats of cells (ECMA-376-1, 18.8), and the strings that runs of several fonts make up."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from docpipe.convert.core.blocks import clean
from docpipe.convert.core.colours import UNKNOWN, WHITE, code_of, vanishes
from docpipe.convert.core.legible import is_too_small
from docpipe.convert.core.marks import Mark
from docpipe.convert.core.symbols import font_of_signs, in_font, is_symbol_font
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.flags import of_background, of_letters
from docpipe.convert.readers.office.ooxml import attribute, down, on, whole
from docpipe.convert.readers.office.runs import Look, Runs, Visibility
from docpipe.convert.readers.sheets.numberformat import BUILT_IN, GENERAL

ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_INDEXES: Final = {
    "2": "red", "5": "yellow", "10": "red", "13": "yellow", "51": "yellow", "52": "orange", "53": "orange",
}  # fmt: skip
"""Warm colours that are known by number."""
_PRIVATE: Final = re.compile("[\uf000-\uf0ff]")


@dataclass(frozen=True, slots=True)
class Font:
    """A font: of a cell, or of a run of a string."""

    name: str | None = None
    look: Look = field(default_factory=Look)
    bold: bool = False
    flag: str = ""
    """Its colour where that is red, orange or yellow."""
    ink: str = ""
    """The code of its colour, empty where it is not known."""
    small: bool = False
    """Whether its letters are too small to be read."""


@dataclass(frozen=True, slots=True)
class Rich:
    """A string of runs; a run without a font of its own has that of the cell."""

    runs: tuple[tuple[str, Font | None], ...]


Text: TypeAlias = str | Rich
"""A cleaned string without fonts, or runs as they stand in the file."""


@dataclass(frozen=True, slots=True)
class CellStyle:
    """How cells of a style look."""

    code: str = GENERAL
    """The number format."""
    font: Font = field(default_factory=Font)
    flag: str = ""
    """The colour of its background or letters where that is red, orange or yellow."""
    paper: str = WHITE
    """The code of the colour of its background, UNKNOWN for a pattern or a colour of the theme."""

    @property
    def vanishes(self) -> bool:
        """Whether its letters have the colour of its background."""
        return vanishes(self.font.ink, self.paper)

    @property
    def bold(self) -> bool:
        """Whether the whole cell is bold."""
        return self.font.bold

    def flag_of(self, text: Text) -> str:
        """The colour that may flag the cell: its own, or that of all runs of its text."""
        if self.flag or isinstance(text, str):
            return self.flag
        flags = {(font or self.font).flag for part, font in text.runs if part.strip()}
        return flags.pop() if len(flags) == 1 else ""

    def text(self, text: Text, *, filled: bool = False) -> str:
        """A text as the cell shows it, with its marks; runs that cannot be seen are hidden, unless the cell
        may be `filled` with another colour.
        """
        if isinstance(text, str):
            if self.font.look == _PLAIN and not is_symbol_font(self.font.name):
                return text
            text = Rich(((text, None),))
        runs = Runs()
        for part, font in text.runs:
            used = font or self.font
            unseen = font is not None and (font.small or (not filled and vanishes(font.ink, self.paper)))
            look = replace(used.look, visibility=Visibility.HIDDEN) if unseen else used.look
            runs.add(in_font(used.name, part), look)
        return runs.text().strip()


_PLAIN: Final = Look()
PLAIN: Final = CellStyle()


def string_of(element: Element) -> Text:
    """The text of a string, plain or rich, without the phonetic guide."""
    runs: list[tuple[str, Font | None]] = []
    for inner in element:
        match local(inner):
            case "t":
                runs.append((_unescaped(inner), None))
            case "r":
                properties = down(inner, "rPr")
                font = None if properties is None else _font(properties, within=True)
                runs += [(_unescaped(part), font) for part in inner if local(part) == "t"]
    text = "".join(part for part, _ in runs)
    if all(font is None for _, font in runs) and not _PRIVATE.search(text):
        return clean(text).strip()
    return Rich(tuple(runs))


def text_of(element: Element) -> str:
    """The text of a string outside of cells, such as a comment's, with its marks."""
    return PLAIN.text(string_of(element))


def styles_of(styles: Element | None) -> list[CellStyle]:
    """The styles of cells by their index."""
    if styles is None:
        return []
    codes = dict(BUILT_IN)
    groups = {local(group): group for group in styles}
    for number in groups.get("numFmts", ()):
        index = attribute(number, "numFmtId") or ""
        if index.isdigit():
            codes[int(index)] = attribute(number, "formatCode") or GENERAL
    fonts = [_font(each, within=False) for each in groups.get("fonts", ()) if local(each) == "font"]
    fills = [
        (_colour(down(each, "patternFill", "fgColor"), of_background), _paper(each))
        for each in groups.get("fills", ())
    ]
    return list(_cell_styles(groups.get("cellXfs"), codes, fonts, fills))


def _cell_styles(
    group: Element | None, codes: dict[int, str], fonts: list[Font], fills: list[tuple[str, str]]
) -> Iterator[CellStyle]:
    for style in group if group is not None else ():
        if local(style) == "xf":
            number, font = attribute(style, "numFmtId") or "0", attribute(style, "fontId") or "0"
            at, filled = whole(font), whole(attribute(style, "fillId"))
            used = fonts[at] if 0 <= at < len(fonts) else Font()
            flag, paper = fills[filled] if 0 <= filled < len(fills) else ("", WHITE)
            yield CellStyle(
                codes.get(int(number) if number.isdigit() else 0, GENERAL),
                used,
                flag or used.flag,
                paper,
            )


def _unescaped(element: Element) -> str:
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), element.text or "")


def _font(element: Element, *, within: bool) -> Font:
    """A font; bold and italic set a run apart within a cell, but not a cell from others."""
    inner = {local(each): each for each in element}
    bold = "b" in inner and on(inner["b"])
    marks = Mark.STRUCK if "strike" in inner and on(inner["strike"]) else Mark.NONE
    if within:
        marks |= Mark.BOLD if bold else Mark.NONE
        marks |= Mark.ITALIC if "i" in inner and on(inner["i"]) else Mark.NONE
    level = {"superscript": 1, "subscript": -1}.get(attribute(inner.get("vertAlign"), "val") or "", 0)
    name = attribute(inner.get("rFont"), "val") or attribute(inner.get("name"), "val")
    if attribute(inner.get("charset"), "val") == "2":
        name = font_of_signs(name)
    flag = _colour(inner.get("color"), of_letters)
    ink = _code(inner.get("color")) or ""
    small = is_too_small(_points(attribute(inner.get("sz"), "val")))
    return Font(name, Look(marks, level, colour=flag if within else ""), bold, flag, ink, small)


def _points(size: str | None) -> float | None:
    return float(size) if size is not None and re.fullmatch(r"[0-9]{1,4}(?:\.[0-9]{0,4})?", size) else None


def _paper(fill: Element) -> str:
    """The colour of a background."""
    pattern = down(fill, "patternFill")
    kind = attribute(pattern, "patternType")
    if kind in {None, "none"} and (pattern is not None or not len(fill)):
        return WHITE
    return (_code(down(pattern, "fgColor")) if kind == "solid" else None) or UNKNOWN


def _code(color: Element | None) -> str | None:
    """The code of a colour; the first of a theme is white."""
    if attribute(color, "tint") not in {None, "0"}:
        return None
    white = attribute(color, "theme") == "0" or attribute(color, "indexed") in {"1", "9"}
    return WHITE if white else code_of(attribute(color, "rgb"))


def _colour(color: Element | None, named: Callable[[str | None], str]) -> str:
    """The name of a colour that may flag a cell, empty for others."""
    if (index := attribute(color, "indexed")) is not None:
        return _INDEXES.get(index, "")
    return named(attribute(color, "rgb"))
