"""The numbers and bullets of lists in OpenDocument, as they stand (ODF 1.3, part 3, 16.30 to 16.35)."""
# ruff: noqa: RUF001 - the names of forms have the letters

import re
from dataclasses import dataclass
from typing import Final

from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.symbols import in_font
from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.odf.styles import Styles
from docpipe.convert.readers.office.labels import bullet
from docpipe.convert.readers.office.numerals import numeral
from docpipe.convert.readers.office.ooxml import attribute, whole

_FORMS: Final = {
    "1": "decimal", "i": "lowerRoman", "I": "upperRoman", "a": "lowerLetterCounted",
    "A": "upperLetterCounted", "①": "decimalEnclosedCircle", "一, 二, 三, ...": "chineseCounting",
    "１, ２, ３, ...": "decimalFullWidth", "١, ٢, ٣, ...": "arabicIndic", "أ, ب, ت, ...": "arabicAlpha",
    "أ, ب, ج, ...": "arabicAbjad", "ア, イ, ウ, ...": "aiueo", "イ, ロ, ハ, ...": "iroha",
    "가, 나, 다, ...": "ganada", "ㄱ, ㄴ, ㄷ, ...": "chosung", "甲, 乙, 丙, ...": "ideographTraditional",
    "子, 丑, 寅, ...": "ideographZodiac", "А, Б, .., Аа, Аб, ... (ru)": "russianUpper",
    "а, б, .., аа, аб, ... (ru)": "russianLower", "Α, Β, Γ, ... (gr)": "upperGreek",
    "α, β, γ, ... (gr)": "lowerGreek", "1st": "ordinal", "One": "cardinalText", "First": "ordinalText",
    "01, 02, 03, ...": "decimalZero",
}  # fmt: skip
_PLACE: Final = re.compile(r"%(\d{1,2})%")
_MOST: Final = 99_999


@dataclass(frozen=True, slots=True)
class _Level:
    form: str
    """Empty for levels without numbers."""
    start: int
    before: str
    after: str
    levels: int
    """How many levels' numbers stand in the label."""
    pattern: str | None
    """The label with %1% for the first level's number and so on, where a file writes it so."""
    sign: str
    """The text of the bullet."""


class Counts:
    """The numbers of a list so far, by level from 1."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def label(self, levels: dict[int, _Level], level: int, start: str | None) -> str:
        """The label of the next item; `start` is the number that the item itself gives."""
        form = levels.get(level)
        if form is None:
            return ""
        number = self._numbers.get(level, form.start - 1) + 1
        self._numbers[level] = min(whole(start, number), _MOST) if start is not None else number
        for deeper in [each for each in self._numbers if each > level]:
            del self._numbers[deeper]
        if not form.form:
            return form.sign or tidy(form.before + form.after)
        if form.pattern is not None:
            return tidy(_PLACE.sub(lambda match: self._number(levels, int(match[1])), form.pattern))
        numbers = (self._number(levels, each) for each in range(max(1, level - form.levels + 1), level + 1))
        return tidy(form.before + ".".join(text for text in numbers if text) + form.after)

    def _number(self, levels: dict[int, _Level], level: int) -> str:
        form = levels.get(level)
        if form is None or not form.form:
            return ""
        return numeral(self._numbers.setdefault(level, form.start), form.form)


class Lists:
    """The lists of a document, while they are read in order."""

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._levels: dict[str, dict[int, _Level]] = {}
        self._by_style: dict[str, Counts] = {}
        self._by_id: dict[str, Counts] = {}
        self._headings = Counts()

    def begin(self, element: Element, style: str) -> Counts:
        """The numbers of a list that begins, new or going on from another one's."""
        counts = self._by_id.get(attribute(element, "continue-list") or "")
        if counts is None and attribute(element, "continue-numbering") == "true":
            counts = self._by_style.get(style)
        counts = counts or Counts()
        self._by_style[style] = counts
        if name := attribute(element, "id"):
            self._by_id[name] = counts
        return counts

    def label(self, counts: Counts, item: Element, style: str, level: int) -> str:
        """The label of the next item of a list of a style; the one that the file writes out, if it does."""
        style = attribute(item, "style-override") or style
        label = counts.label(self._of(style), level, attribute(item, "start-value"))
        written = next((each.text for each in item if local(each) == "number" and each.text), None)
        return tidy(written) if written else label

    def heading(self, element: Element, level: int) -> str:
        """The number of the next heading, empty where headings have none."""
        if attribute(element, "is-list-header") == "true":
            return ""
        if not self._styles.numbered(attribute(element, "style-name")):
            return ""
        return self._headings.label(self._of(""), level, attribute(element, "start-value"))

    def _of(self, style: str) -> dict[int, _Level]:
        if style not in self._levels:
            element = self._styles.lists.get(style)
            self._levels[style] = {
                whole(attribute(each, "level")): self._level(each)
                for each in (element if element is not None else ())
                if attribute(each, "level")
            }
        return self._levels[style]

    def _level(self, element: Element) -> _Level:
        kind = local(element)
        sign = ""
        if kind == "list-level-style-bullet":
            font = self._styles.bullet_font(element)
            sign = bullet(in_font(font, attribute(element, "bullet-char") or ""))
        given = attribute(element, "num-format") or ""
        numbered = kind in {"list-level-style-number", "outline-level-style"}
        return _Level(
            _FORMS.get(given, "decimal" if given else "") if numbered else "",
            min(whole(attribute(element, "start-value"), 1), _MOST),
            (attribute(element, "num-prefix") or "") if numbered else "",
            (attribute(element, "num-suffix") or "") if numbered else "",
            max(1, whole(attribute(element, "display-levels"), 1)),
            attribute(element, "num-list-format") if numbered else None,
            sign,
        )
