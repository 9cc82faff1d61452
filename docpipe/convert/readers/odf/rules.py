"""Conditional formatting of OpenDocument sheets as LibreOffice writes it, for whole areas of a table."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute, whole
from docpipe.convert.readers.sheets.areas import ICONS, Area, Row, beyond_mean, is_top
from docpipe.convert.readers.sheets.formulas import (
    FormulaError,
    UnknownFormulaError,
    column_of,
    compiled,
    is_true,
    number_of,
)
from docpipe.convert.readers.sheets.rules import Effect, Icons, Rule, Rules, Test, compared, text_test

_AREA: Final = re.compile(
    r"\$?([A-Z]{1,3})\$?([0-9]{1,7})(?::[^\s:]*?\.?\$?([A-Z]{1,3})\$?([0-9]{1,7}))?(?=\s|$)"
)
_REFERENCE: Final = re.compile(r"\[\.([$A-Z0-9]+)(?::\.([$A-Z0-9]+))?\]")
_COMPARED: Final = re.compile(r"(<=|>=|!=|<>|=|<|>)(.+)", re.DOTALL)
_BETWEEN: Final = re.compile(r"(not-)?between\(([^,]+),([^,]+)\)")
_FORMULA: Final = re.compile(r"formula-is\((.*)\)", re.DOTALL)
_TEXT: Final = re.compile(r'(begins-with|ends-with|contains-text|not-contains-text)\("(.*)"\)', re.DOTALL)
_TOP: Final = re.compile(r"(top|bottom)-(elements|percent)\(([0-9]{1,6})\)")
_MEAN: Final = re.compile(r"(above|below)(-equal)?-average")
_NAMES: Final = {
    "<": "lessThan", "<=": "lessThanOrEqual", ">": "greaterThan", ">=": "greaterThanOrEqual", "=": "equal",
    "!=": "notEqual", "<>": "notEqual",
}  # fmt: skip
_TEXTS: Final = {
    "begins-with": "beginsWith", "ends-with": "endsWith", "contains-text": "containsText",
    "not-contains-text": "notContainsText",
}  # fmt: skip


def rules_of(table: Element, effect: Callable[[str], Effect], rows: Iterator[tuple[int, Row]]) -> Rules:
    """The rules of a table; `effect` gives what a style of cells flags or strikes, `rows` are its values."""
    rules = Rules()
    formats = list(table.iter("{*}conditional-format"))
    for each in formats:
        areas = tuple(_areas(attribute(each, "target-range-address") or ""))
        for rule in each:
            with suppress(UnknownFormulaError, FormulaError):
                if areas and _take(rule, areas, rules, effect):
                    continue
            rules.unfollowed = True
    if formats:
        rules.take(rows)
    return rules


def _take(rule: Element, areas: tuple[Area, ...], rules: Rules, effect: Callable[[str], Effect]) -> bool:
    """Add a rule; False for one that is not judged. Raises: UnknownFormulaError, FormulaError."""
    if local(rule) == "condition":
        test = _test(attribute(rule, "value") or "", areas)
        if test is not None:
            rules.listed.append(Rule(areas, test, effect(attribute(rule, "apply-style-name") or "")))
        return test is not None
    signs = ICONS.get(attribute(rule, "icon-set-type") or "") if local(rule) == "icon-set" else None
    entries = [each for each in rule if local(each) == "formatting-entry"]
    if signs is None or len(entries) != len(signs):
        return False
    limits = tuple(_limit(each) for each in entries[1:])
    if any(kind not in _LIMITS for kind, _, _ in limits):
        return False
    rules.icons.append(
        Icons(areas, signs, tuple((_LIMITS[kind], value, equal) for kind, value, equal in limits))
    )
    return True


_LIMITS: Final[Mapping[str, str]] = {
    "number": "num", "percent": "percent", "percentile": "percentile", "minimum": "min", "maximum": "max",
}  # fmt: skip


def _limit(entry: Element) -> tuple[str, float, bool]:
    return attribute(entry, "type") or "", number_of(attribute(entry, "value") or "0"), True


def _areas(text: str) -> Iterator[Area]:
    for match in _AREA.finditer(text):
        left, top = column_of(match[1]), int(match[2])
        yield left, top, column_of(match[3] or match[1]), int(match[4] or match[2])


def _plain(formula: str) -> str:
    """A formula whose cells are written as in other formulas."""
    return _REFERENCE.sub(lambda each: each[1] + (f":{each[2]}" if each[2] else ""), formula.strip())


def _test(condition: str, areas: tuple[Area, ...]) -> Test | None:
    """Whether a condition holds; None for one that is not judged. Raises: UnknownFormulaError."""
    condition = condition.strip()
    origin = areas[0][1], areas[0][0]
    if match := _FORMULA.fullmatch(condition):
        formula = compiled(_plain(match[1]), origin)
        return lambda at: is_true(formula(at.read, (at.row, at.column)))
    if match := _BETWEEN.fullmatch(condition):
        limits = [compiled(_plain(each), origin) for each in match.groups()[1:]]
        return compared("notBetween" if match[1] else "between", limits)
    if match := _TEXT.fullmatch(condition):
        return text_test(_TEXTS[match[1]], match[2].casefold())
    if match := _COMPARED.fullmatch(condition):
        return compared(_NAMES[match[1]], [compiled(_plain(match[2]), origin)])
    return _of_area(condition, areas)


def _of_area(condition: str, areas: tuple[Area, ...]) -> Test | None:
    if top := _TOP.fullmatch(condition):
        rank, percent, bottom = whole(top[3]), top[2] == "percent", top[1] == "bottom"
        return lambda at: (
            isinstance(at.value, float)
            and is_top(at.values.numbers(areas), at.value, rank, percent=percent, bottom=bottom)
        )
    if mean := _MEAN.fullmatch(condition):
        below, equal = mean[1] == "below", bool(mean[2])
        return lambda at: (
            isinstance(at.value, float)
            and beyond_mean(at.values.numbers(areas), at.value, below=below, equal=equal)
        )
    if condition in {"duplicate", "unique"}:
        double = condition == "duplicate"
        return lambda at: (at.values.count(areas, at.value) > 1) is double
    return None
