"""Conditional formatting of sheets (ECMA-376-1, 18.3.1.18): what it flags or strikes by the values of cells.

Comparisons, formulas, highest values, averages, doubles and sets of icons are followed; scales, bars and what
depends on the day are not.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Final, TypeAlias

from lxml import etree

from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.flags import of_background, of_letters
from docpipe.convert.readers.office.ooxml import attribute, down, on, whole
from docpipe.convert.readers.sheets.areas import ICONS, Area, Row, Values, beyond_mean, is_top, threshold
from docpipe.convert.readers.sheets.conditions import Value, meets
from docpipe.convert.readers.sheets.formulas import (
    Formula,
    FormulaError,
    Read,
    UnknownFormulaError,
    column_of,
    compiled,
    is_true,
    number_of,
)

_CHUNK: Final = 1 << 20
_LONGEST: Final = 4 << 20
_MOST: Final = 500
_BEGIN: Final = re.compile(rb"<(\w{1,20}:)?conditionalFormatting\b")
_END: Final = b"conditionalFormatting>"
_AREA: Final = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})(?::\$?([A-Z]{1,3})\$?([0-9]{1,7}))?")
_SIGNS: Final = {
    "greaterThan": ">", "lessThan": "<", "greaterThanOrEqual": ">=", "lessThanOrEqual": "<=", "equal": "=",
    "notEqual": "!=",
}  # fmt: skip
_MOST_VALUES: Final = 200_000
_SAME_ROW: Final = re.compile(r"\$?[A-Z]{1,3}([0-9]{1,7})")


@dataclass(frozen=True, slots=True)
class At:
    """A cell that rules are asked about."""

    row: int
    column: int
    value: Value
    read: Read
    values: Values


Test: TypeAlias = Callable[[At], bool]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a rule makes of a cell."""

    flag: str = ""
    """Red, orange or yellow."""
    struck: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for some cells of some areas."""

    areas: tuple[Area, ...]
    test: Test
    effect: Effect


@dataclass(frozen=True, slots=True)
class Icons:
    """A set of icons: kind, value, and whether that itself counts, of the threshold of each but the first."""

    areas: tuple[Area, ...]
    signs: tuple[str, ...]
    limits: tuple[tuple[str, float, bool], ...]

    def sign(self, at: At) -> str:
        """The icon of a number."""
        if not isinstance(at.value, float):
            return ""
        numbers = at.values.numbers(self.areas)
        sign = self.signs[0]
        for name, (kind, given, equal) in zip(self.signs[1:], self.limits, strict=True):
            limit = threshold(kind, given, numbers)
            if limit is None:
                return ""
            if at.value > limit or (equal and at.value == limit):
                sign = name
        return sign


@dataclass(slots=True)
class Rules:
    """The rules of a sheet, the first of them first."""

    listed: list[Rule] = field(default_factory=list)
    icons: list[Icons] = field(default_factory=list)
    wide: bool = False
    """Whether some depend on other rows, whose values have to be known."""
    values: Values = field(default_factory=Values)
    unfollowed: bool = False
    """Whether there are others, which may colour cells."""

    def effect(self, number: int, row: Row, column: int) -> Effect | None:
        """What the first rule that holds makes of a cell, by the number of its row; None for no rule."""
        at = self._at(number, row, column)
        for rule in self.listed:
            if _inside(rule.areas, at) and _holds(rule.test, at):
                return rule.effect
        return None

    def sign(self, number: int, row: Row, column: int) -> str:
        """The icon of a cell, empty for none."""
        at = self._at(number, row, column)
        return next((each.sign(at) for each in self.icons if _inside(each.areas, at)), "")

    def _at(self, number: int, row: Row, column: int) -> At:
        rows = self.values.rows

        def read(at: int, where: int) -> Value | None:
            value = (row if at == number else rows.get(at, {})).get(where)
            return None if value == "" else value

        return At(number, column, row[column], read, self.values)

    def take(self, rows: Iterator[tuple[int, Row]]) -> None:
        """Keep the values of all rows; of more than fit the rules that need them are put off."""
        left = _MOST_VALUES
        for number, row in rows:
            left -= len(row)
            if left < 0:
                self.listed, self.icons, self.values, self.unfollowed = [], [], Values(), True
                return
            self.values.rows[number] = row


def _inside(areas: Sequence[Area], at: At) -> bool:
    return any(a <= at.column <= c and b <= at.row <= d for a, b, c, d in areas)


def _holds(test: Test, at: At) -> bool:
    try:
        return test(at)
    except FormulaError:
        return False


def effects_of(styles: Element | None) -> list[Effect]:
    """What the differential formats of a workbook flag and strike, by their index."""
    group = down(styles, "dxfs")
    return [_effect(each) for each in group if local(each) == "dxf"] if group is not None else []


def _effect(dxf: Element) -> Effect:
    fill = down(dxf, "fill", "patternFill")
    paper = attribute(down(fill, "bgColor"), "rgb") or attribute(down(fill, "fgColor"), "rgb")
    ink = attribute(down(dxf, "font", "color"), "rgb")
    return Effect(of_background(paper) or of_letters(ink), on(down(dxf, "font", "strike")))


def rules_of(opened: IO[bytes], effects: Sequence[Effect]) -> Rules:
    """The rules of a sheet, which stand behind its cells."""
    rules = Rules()
    try:
        behind = _behind(opened)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a damaged part raises a dozen types; its cells are read up to there
        return rules
    ordered: list[tuple[int, Rule]] = []
    for count, written in enumerate(_written(behind)):
        parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False)
        try:
            element = etree.fromstring(written, parser)
        except etree.XMLSyntaxError:
            element = None
        if element is None or count >= _MOST:
            rules.unfollowed = True
            continue
        areas = tuple(_areas(attribute(element, "sqref") or ""))
        for rule in (each for each in element if local(each) == "cfRule"):
            _take(rule, areas, rules, ordered, effects)
    rules.listed = [rule for _, rule in sorted(ordered, key=lambda each: each[0])]
    return rules


def _take(
    rule: Element,
    areas: tuple[Area, ...],
    rules: Rules,
    ordered: list[tuple[int, Rule]],
    effects: Sequence[Effect],
) -> None:
    """Add a rule, or the fact that there is one that is not judged."""
    at = whole(attribute(rule, "dxfId"), -1)
    kind = attribute(rule, "type") or ""
    made: Icons | Test | None = None
    with suppress(UnknownFormulaError, FormulaError):
        if areas and kind == "iconSet":
            made = _icons(rule, areas)
        elif areas and 0 <= at < len(effects):
            made = _test(rule, areas)
    if made is None:
        rules.unfollowed = True
    elif isinstance(made, Icons):
        rules.icons.append(made)
    else:
        ordered.append((whole(attribute(rule, "priority")), Rule(areas, made, effects[at])))
    rules.wide = rules.wide or (made is not None and (kind in _WIDE or _looks_afar(rule, areas[0][1])))


_WIDE: Final = frozenset({"top10", "aboveAverage", "duplicateValues", "uniqueValues", "iconSet"})


def _looks_afar(rule: Element, first: int) -> bool:
    """Whether a formula names cells of other rows than its own."""
    formulas = "".join(each.text or "" for each in rule if local(each) == "formula")
    names = len(re.findall(r"[A-Z]{1,3}\$?[0-9]{1,7}", formulas))
    return sum(int(row) == first for row in _SAME_ROW.findall(formulas)) < names


def _behind(opened: IO[bytes]) -> bytes:
    """The part from its first rule on."""
    tail = b""
    while chunk := opened.read(_CHUNK):
        tail += chunk
        if begin := _BEGIN.search(tail):
            return tail[begin.start() :] + opened.read(_LONGEST)
        tail = tail[-64:]
    return b""


def _written(data: bytes) -> Iterator[bytes]:
    """The elements of rules as they are written; an empty one for those of other programs."""
    at = 0
    while begin := _BEGIN.search(data, at):
        at = data.find(_END, begin.end())
        if at < 0:
            return
        at += len(_END)
        yield b"" if begin[1] else data[begin.start() : at]


def _areas(text: str) -> Iterator[tuple[int, int, int, int]]:
    for match in _AREA.finditer(text):
        left, top = column_of(match[1]), int(match[2])
        yield left, top, column_of(match[3] or match[1]), int(match[4] or match[2])


def _test(rule: Element, areas: tuple[Area, ...]) -> Test | None:
    """Whether a rule holds for a cell; None for one that is not judged. Raises: UnknownFormulaError."""
    formulas = [each.text or "" for each in rule if local(each) == "formula"]
    text = (attribute(rule, "text") or "").casefold()
    kind = attribute(rule, "type") or ""
    origin = areas[0][1], areas[0][0]
    if kind == "cellIs":
        return compared(attribute(rule, "operator") or "", [compiled(each, origin) for each in formulas])
    if kind in _MATCHES and text:
        return text_test(kind, text)
    if (made := _of_area(rule, kind, areas)) is not None:
        return made
    if formulas and kind in _BY_FORMULA:
        formula = compiled(formulas[0], origin)
        return lambda at: is_true(formula(at.read, (at.row, at.column)))
    return None


_MATCHES: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "containsText": lambda whole, part: part in whole,
    "notContainsText": lambda whole, part: part not in whole,
    "beginsWith": str.startswith,
    "endsWith": str.endswith,
}
_BY_FORMULA: Final = frozenset({"expression", "containsBlanks", "notContainsBlanks", *_MATCHES})


def text_test(kind: str, text: str) -> Test:
    """Whether a text is in a cell's, by a kind such as `beginsWith`; its case does not matter."""
    matches = _MATCHES[kind]
    return lambda at: matches(_text(at.value), text)


def _text(value: Value) -> str:
    return value.casefold() if isinstance(value, str) else f"{value:g}"


def _of_area(rule: Element, kind: str, areas: tuple[Area, ...]) -> Test | None:
    """A rule on all values of an area."""

    def switch(name: str, usual: str = "0") -> bool:
        return (attribute(rule, name) or usual) in {"1", "true"}

    match kind:
        case "top10":
            rank, percent, bottom = whole(attribute(rule, "rank"), 10), switch("percent"), switch("bottom")
            return lambda at: (
                isinstance(at.value, float)
                and is_top(at.values.numbers(areas), at.value, rank, percent=percent, bottom=bottom)
            )
        case "aboveAverage" if whole(attribute(rule, "stdDev")) == 0:
            below, equal = not switch("aboveAverage", "1"), switch("equalAverage")
            return lambda at: (
                isinstance(at.value, float)
                and beyond_mean(at.values.numbers(areas), at.value, below=below, equal=equal)
            )
        case "duplicateValues" | "uniqueValues":
            double = kind == "duplicateValues"
            return lambda at: at.value != "" and (at.values.count(areas, at.value) > 1) is double
        case "containsErrors" | "notContainsErrors":
            wrong = kind == "containsErrors"
            return lambda at: (isinstance(at.value, str) and at.value.startswith("#")) is wrong
    return None


def _icons(rule: Element, areas: tuple[Area, ...]) -> Icons | None:
    """A set of icons. Raises: UnknownFormulaError, FormulaError."""
    given = down(rule, "iconSet")
    signs = ICONS.get(attribute(given, "iconSet") or "3TrafficLights1")
    if given is None or signs is None:
        return None
    limits = []
    for each in (inner for inner in given if local(inner) == "cfvo"):
        kind, value = attribute(each, "type") or "", attribute(each, "val") or "0"
        constant = compiled(value, (1, 0))(_nowhere, (1, 0))
        limits.append((kind, number_of(constant), attribute(each, "gte") not in {"0", "false"}))
    if len(limits) != len(signs) or any(kind == "formula" for kind, _, _ in limits[1:]):
        return None
    turned = attribute(given, "reverse") in {"1", "true"}
    return Icons(areas, signs[::-1] if turned else signs, tuple(limits[1:]))


def _nowhere(_row: int, _column: int) -> Value | None:
    raise UnknownFormulaError


def compared(name: str, limits: Sequence[Formula]) -> Test | None:
    """Whether a value compares with one or two limits, by a name such as `greaterThan`."""
    if not limits:
        return None

    def against(at: At, sign: str, limit: Formula) -> bool:
        value = limit(at.read, (at.row, at.column))
        if isinstance(value, list):
            raise FormulaError
        value = ("" if isinstance(at.value, str) else 0.0) if value is None else value
        return meets(at.value, sign, value.casefold() if isinstance(value, str) else value)

    if name in {"between", "notBetween"} and len(limits) > 1:
        low, high = limits[:2]
        wanted = name == "between"
        return lambda at: (against(at, ">=", low) and against(at, "<=", high)) is wanted
    sign = _SIGNS.get(name)
    return None if sign is None else lambda at: against(at, sign, limits[0])
