"""Conditional formatting of sheets (ECMA-376-1, 18.3.1.18): what it flags or strikes by the values of cells.

Rules that compare a cell, or another of its row, with a constant are followed; scales, bars, icons, averages
and formulas are not.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final, TypeAlias

from lxml import etree

from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.conditions import Value, constant, meets
from docpipe.convert.readers.flags import of_background, of_letters
from docpipe.convert.readers.ooxml import attribute, down, on, whole

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
_OTHER: Final = re.compile(r"(\$?)([A-Z]{1,3})(\$?)([0-9]{1,7})\s*(>=|<=|<>|=|<|>)\s*(.+)")
Row: TypeAlias = Mapping[int, Value]
"""The values of a row's cells by column, from 0."""
Test: TypeAlias = Callable[[Row, int], bool]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a rule makes of a cell."""

    flag: str = ""
    """Red, orange or yellow."""
    struck: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    areas: tuple[tuple[int, int, int, int], ...]
    """Columns from 0 and rows from 1: first column, first row, last column, last row."""
    test: Test
    effect: Effect


@dataclass(slots=True)
class Rules:
    """The rules of a sheet, the first of them first."""

    listed: list[_Rule] = field(default_factory=list)
    untold: bool = False
    """Whether there are others, which may colour cells."""

    def effect(self, number: int, row: Row, column: int) -> Effect | None:
        """What the first rule that holds makes of a cell, by the number of its row; None for no rule."""
        for rule in self.listed:
            inside = any(a <= column <= c and b <= number <= d for a, b, c, d in rule.areas)
            if inside and rule.test(row, column):
                return rule.effect
        return None


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
    ordered: list[tuple[int, _Rule]] = []
    for count, written in enumerate(_written(_behind(opened))):
        parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False)
        try:
            element = etree.fromstring(written, parser)
        except etree.XMLSyntaxError:
            element = None
        if element is None or count >= _MOST:
            rules.untold = True
            continue
        areas = tuple(_areas(attribute(element, "sqref") or ""))
        for rule in (each for each in element if local(each) == "cfRule"):
            at = whole(attribute(rule, "dxfId"), -1)
            test = _test(rule, areas) if areas and 0 <= at < len(effects) else None
            if test is None:
                rules.untold = True
            else:
                ordered.append((whole(attribute(rule, "priority")), _Rule(areas, test, effects[at])))
    rules.listed = [rule for _, rule in sorted(ordered, key=lambda each: each[0])]
    return rules


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
        left, top = _column(match[1]), int(match[2])
        yield left, top, _column(match[3] or match[1]), int(match[4] or match[2])


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _test(rule: Element, areas: Sequence[tuple[int, int, int, int]]) -> Test | None:
    """Whether a rule holds for a cell; None for a rule that cannot be told."""
    formulas = [each.text or "" for each in rule if local(each) == "formula"]
    text = (attribute(rule, "text") or "").casefold()
    kind = attribute(rule, "type") or ""
    if kind == "cellIs":
        return _compared(attribute(rule, "operator") or "", [constant(each) for each in formulas])
    if kind == "expression":
        return _of_other(formulas[0], areas[0]) if formulas else None
    matches = _MATCHES.get(kind)
    return (lambda row, at: matches(_text(row, at), text)) if matches and text else None


_MATCHES: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "containsText": lambda whole, part: part in whole,
    "notContainsText": lambda whole, part: part not in whole,
    "beginsWith": str.startswith,
    "endsWith": str.endswith,
}


def _text(row: Row, column: int) -> str:
    value = row.get(column, "")
    return value.casefold() if isinstance(value, str) else f"{value:g}"


def _compared(name: str, limits: Sequence[Value | None]) -> Test | None:
    known = [limit for limit in limits if limit is not None]
    if len(known) != len(limits) or not known:
        return None
    if name in {"between", "notBetween"} and len(known) > 1:
        low, high = known[:2]
        wanted = name == "between"
        return lambda row, at: (meets(row[at], ">=", low) and meets(row[at], "<=", high)) is wanted
    sign = _SIGNS.get(name)
    return None if sign is None else lambda row, at: meets(row[at], sign, known[0])


def _of_other(formula: str, area: tuple[int, int, int, int]) -> Test | None:
    """A comparison of a cell of the same row, such as `$B2="yes"`, which is written for the area's first."""
    match = _OTHER.fullmatch(formula.strip())
    limit = constant(match[6]) if match else None
    if match is None or limit is None or match[3] or int(match[4]) != area[1]:
        return None
    column, sign = _column(match[2]), match[5]
    moves = 0 if match[1] else 1
    return lambda row, at: meets(row.get(column + moves * (at - area[0]), 0.0), sign, limit)
