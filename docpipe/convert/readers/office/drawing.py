"""Text in DrawingML (ECMA-376-1, 21.1): of slides, of shapes on sheets, and of diagrams."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from docpipe.convert.core.blocks import Block, Paragraph, Table, even, flat, tidy
from docpipe.convert.core.colours import code_of, vanishes
from docpipe.convert.core.legible import is_too_small
from docpipe.convert.core.marks import Mark
from docpipe.convert.core.symbols import font_of_signs, in_font, is_symbol_font
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.flags import few, flagged, heads, of_background, of_letters
from docpipe.convert.readers.office.formulas import formula
from docpipe.convert.readers.office.labels import bullet
from docpipe.convert.readers.office.numerals import numeral
from docpipe.convert.readers.office.ooxml import attribute, down, whole
from docpipe.convert.readers.office.runs import Look, Runs, Visibility, withheld_blocks

_ON: Final = frozenset({"1", "true"})
_FORMS: Final = {
    "arabic": "decimal", "alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman",
    "romanUc": "upperRoman", "circleNumDb": "decimalEnclosedCircle",
    "circleNumWdBlack": "decimalEnclosedCircle",
    "circleNumWdWhite": "decimalEnclosedCircle", "ea1Chs": "chineseCounting", "ea1Cht": "chineseCounting",
    "ea1JpnKor": "japaneseCounting", "arabicDb": "decimalFullWidth", "hebrew2": "hebrew2",
    "thaiAlpha": "thaiLetters", "thaiNum": "thaiNumbers", "arabic1": "arabicAlpha", "arabic2": "arabicAbjad",
}  # fmt: skip
_SCHEME: Final = re.compile("(.*?)(Period|ParenR|ParenBoth|Plain|Minus)")
_SIGNS: Final = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Minus": "{}-"}
_NAMED: Final = {"red": "red", "crimson": "red", "firebrick": "red", "orange": "orange", "yellow": "yellow"}
_DEEPEST: Final = 8
_SYMBOL: Final = "2"
_PICTORIAL: Final = "05"
"""How the PANOSE number of a font of pictures begins."""
_USUAL_SIZE: Final = 1800
"""Hundredths of a point."""


def is_hidden(shape: Element | None) -> bool:
    """Whether a shape is hidden, by its own properties or those of a group around it."""
    while shape is not None:
        properties = next((each for part in shape for each in part if local(each) == "cNvPr"), None)
        if attribute(properties, "hidden") in _ON:
            return True
        shape = shape.getparent()
    return False


def shapes(element: Element) -> Iterator[Element]:
    """The shapes of a slide, those of groups too, in their order."""
    for inner in element:
        name = local(inner)
        if name in {"sp", "graphicFrame", "cxnSp", "pic"}:
            yield inner
        elif name == "AlternateContent":
            chosen = down(inner, "Choice")
            yield from shapes(chosen if chosen is not None else inner)
        elif name in {"cSld", "spTree", "grpSp", "Choice", "Fallback"}:
            yield from shapes(inner)


def placeholder_type(shape: Element) -> str:
    """The type of a placeholder: title, body, sldNum and so on; empty for another shape."""
    place = next(iter(shape.iter("{*}ph")), None)
    return "" if place is None else attribute(place, "type") or "body"


def level_of(paragraph: Element) -> int:
    """How deep a paragraph is in its list, from 0."""
    return max(0, min(whole(attribute(down(paragraph, "pPr"), "lvl")), _DEEPEST))


def levels_of(paragraph: Element, styles: Iterable[Element]) -> list[Element]:
    """The properties that a paragraph of its level inherits, the nearest first."""
    level = f"lvl{level_of(paragraph) + 1}pPr"
    own = down(paragraph.getparent(), "lstStyle")
    return [each for style in (own, *styles) if (each := down(style, level)) is not None]


def paragraph_text(
    paragraph: Element, styles: Iterable[Element] = (), off: Callable[[Sequence[Element]], bool] | None = None
) -> str:
    """The text of a paragraph, with its marks; `styles` are the lists' styles that its shape inherits, and
    `off` says whether letters with some properties, the nearest first, cannot be seen.
    """
    runs = Runs()
    below = properties_of(paragraph, styles)
    for run in runs_of(paragraph):
        match local(run):
            case "br":
                runs.add("\n")
            case "oMath":
                runs.add(formula(run))
            case _:
                own = down(run, "rPr")
                given = [*([] if own is None else [own]), *below]
                text = "".join(each.text or "" for each in run if local(each) == "t")
                look = _look(given)
                if off is not None and text.strip() and off(given):
                    look = replace(look, visibility=Visibility.HIDDEN)
                runs.add(signs_of(text, given), look)
    return runs.text()


def properties_of(paragraph: Element, styles: Iterable[Element] = ()) -> list[Element]:
    """The properties that the runs of a paragraph inherit, the nearest first."""
    levels = levels_of(paragraph, styles)
    return [each for level in levels if (each := down(level, "defRPr")) is not None]


def runs_of(element: Element) -> Iterator[Element]:
    """The runs, breaks and formulas of a paragraph."""
    for inner in element:
        match local(inner):
            case "r" | "fld":
                yield inner
            case "br" | "oMath":
                yield inner
            case "AlternateContent":
                choice = down(inner, "Choice")
                yield from runs_of(choice if choice is not None else inner)
            case "pPr" | "endParaRPr" | "rPr":
                continue
            case _:
                yield from runs_of(inner)


def _first(given: list[Element], name: str) -> str | None:
    return next((value for each in given if (value := attribute(each, name)) is not None), None)


def signs_of(text: str, given: list[Element]) -> str:
    """The text as its fonts show it; `sym` is the font of private characters."""
    latin, sym = (typeface(given, name) for name in ("latin", "sym"))
    if not is_symbol_font(latin) and not is_symbol_font(sym):
        return text
    other = sym if is_symbol_font(sym) else latin
    return "".join(in_font(other if "\uf000" <= each <= "\uf0ff" else latin, each) for each in text)


def typeface(given: list[Element], name: str) -> str | None:
    """The font of a kind, such as `latin`, by the first properties that name one."""
    font = next((font for each in given if attribute(font := down(each, name), "typeface")), None)
    face = attribute(font, "typeface")
    if attribute(font, "charset") == _SYMBOL or (attribute(font, "panose") or "").startswith(_PICTORIAL):
        return font_of_signs(face)
    return face


def is_small(given: Iterable[Element]) -> bool:
    """Whether letters with some properties, the nearest first, are too small to be read."""
    size = next((points for each in given if (points := attribute(each, "sz")) is not None), None)
    return is_too_small(None if size is None else whole(size, _USUAL_SIZE) / 100)


def _look(given: list[Element]) -> Look:
    marks = Mark.NONE
    marks |= Mark.STRUCK if (_first(given, "strike") or "noStrike") != "noStrike" else Mark.NONE
    marks |= Mark.BOLD if _first(given, "b") in _ON else Mark.NONE
    marks |= Mark.ITALIC if _first(given, "i") in _ON else Mark.NONE
    raised = whole((_first(given, "baseline") or "").removesuffix("%"))
    coloured = (each for each in given if not {"solidFill", "highlight"}.isdisjoint(map(local, each)))
    nearest = next(coloured, None)
    return Look(marks, (raised > 0) - (raised < 0), colour=_paper(nearest) or _ink(nearest))


def _ink(properties: Element | None) -> str:
    """The colour of letters that may flag them, empty for others."""
    return _coloured(down(properties, "solidFill"), of_letters)


def _paper(properties: Element | None) -> str:
    """The colour behind letters that may flag them, empty for others."""
    return _coloured(down(properties, "highlight"), of_background)


def _coloured(fill: Element | None, named: Callable[[str | None], str]) -> str:
    """The name of a colour by its code or by its name in DrawingML."""
    name = attribute(down(fill, "prstClr"), "val") or ""
    return named(attribute(down(fill, "srgbClr"), "val")) or _NAMED.get(name, "")


@dataclass(slots=True)
class Labels:
    """The labels of the paragraphs of a shape, in their order."""

    styles: Sequence[Element] = ()
    """The lists' styles that the shape inherits, the nearest first."""
    _counts: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Scheme and number so far, by level."""

    def label(self, paragraph: Element) -> str:
        """The label of the next paragraph, empty for a plain bullet or none."""
        level = level_of(paragraph)
        own = down(paragraph, "pPr")
        places = [*([] if own is None else [own]), *levels_of(paragraph, self.styles)]
        kinds = ("buAutoNum", "buChar", "buNone", "buBlip")
        given = next((each for each in places if any(down(each, name) is not None for name in kinds)), None)
        for deeper in [each for each in self._counts if each > level]:
            del self._counts[deeper]
        numbered = down(given, "buAutoNum")
        if numbered is None:
            self._counts.pop(level, None)
            return bullet(
                in_font(bullet_font(paragraph, places), attribute(down(given, "buChar"), "char") or "")
            )
        scheme, start = attribute(numbered, "type") or "", whole(attribute(numbered, "startAt"), 1)
        before, number = self._counts.get(level, ("", 0))
        number = number + 1 if before == scheme else start
        self._counts[level] = (scheme, number)
        parts = _SCHEME.match(scheme)
        form, sign = (parts[1], parts[2]) if parts else (scheme, "Plain")
        return _SIGNS.get(sign, "{}").format(numeral(number, _FORMS.get(form, "decimal")))


def bullet_font(paragraph: Element, places: list[Element]) -> str | None:
    """The font of a bullet: its own or, where no place names one, that of the text."""
    for place in places:
        for name in ("buFont", "buFontTx"):
            if (font := down(place, name)) is not None and name == "buFont":
                return attribute(font, "typeface")
            if font is not None:
                break
    texts = [down(next(runs_of(paragraph), None), "rPr"), *(down(place, "defRPr") for place in places)]
    return next((face for each in texts if (face := attribute(down(each, "latin"), "typeface"))), None)


def drawn_table(table: Element) -> Block:
    """A table; text in cells that another covers is hidden."""
    cells = [[cell for cell in row if local(cell) == "tc"] for row in table if local(row) == "tr"]
    rows = [[(_cell(cell), _colour(cell)) for cell in row] for row in cells]
    properties = down(table, "tblPr")
    top = 1 if len(rows) > 1 and attribute(properties, "firstRow") in _ON else 0
    plain = max(top, heads(rows))
    some = few(cell for row in rows[plain:] for cell in row)
    lines = even(
        [flagged(text, colour if some and at >= plain else "") for text, colour in row]
        for at, row in enumerate(rows)
    )
    return Table(lines[:top], tuple(row for row in lines[top:] if any(row)))


_FILLS: Final = (("solidFill", "srgbClr"), ("highlight", "srgbClr"))


def _code(properties: Element, path: tuple[str, str]) -> str | None:
    return code_of(attribute(down(properties, *path), "val"))


def _colour(cell: Element) -> str:
    """The colour of a cell's background or of all its letters that may flag it, empty for others."""
    if colour := _coloured(down(cell, "tcPr", "solidFill"), of_background):
        return colour
    runs = [run for run in cell.iter("{*}r") if "".join(each.text or "" for each in run.iter("{*}t")).strip()]
    colours = {_paper(down(run, "rPr")) or _ink(down(run, "rPr")) for run in runs}
    return colours.pop() if len(colours) == 1 else ""


def _cell(cell: Element) -> str:
    labels = Labels()
    lines = []
    paper = attribute(down(cell, "tcPr", "solidFill", "srgbClr"), "val")

    def off(given: Sequence[Element]) -> bool:
        ink, pen = (next((code for each in given if (code := _code(each, name))), None) for name in _FILLS)
        return is_small(given) or vanishes(ink, pen or code_of(paper))

    for paragraph in cell.iter("{*}p"):
        label, text = labels.label(paragraph), tidy(paragraph_text(paragraph, (), off))
        lines.append(Paragraph(f"{label} {text}" if label and text else text))
    covered = attribute(cell, "hMerge") in _ON or attribute(cell, "vMerge") in _ON
    return flat(withheld_blocks(lines, Visibility.HIDDEN) if covered else lines)
