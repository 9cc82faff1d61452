"""Conditions of spreadsheets on the values of cells, as far as they can be decided without calculating."""

import operator
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

Value: TypeAlias = float | str
RULED: Final = "colours of conditional formatting are left out; see the original"
"""The warning for rules whose colours are left out."""
_SIGNS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq,
    "!=": operator.ne, "<>": operator.ne,
}  # fmt: skip
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?")
_TEXT: Final = re.compile(r'"((?:[^"]|"")*)"')


def constant(formula: str) -> Value | None:
    """The value of a formula that is a number, a text or a truth value; None for any other."""
    formula = formula.strip()
    if _NUMBER.fullmatch(formula):
        return float(formula)
    if text := _TEXT.fullmatch(formula):
        return text[1].replace('""', '"').casefold()
    return {"TRUE": 1.0, "FALSE": 0.0}.get(formula.upper())


def meets(value: Value, sign: str, limit: Value) -> bool:
    """Whether a comparison holds; a text is above any number, and its case does not matter."""
    if isinstance(value, str) != isinstance(limit, str):
        order = 1 if isinstance(value, str) else -1
        return _SIGNS[sign](order, 0)
    return _SIGNS[sign](value.casefold() if isinstance(value, str) else value, limit)


_COMPARED: Final = re.compile(r"(?:cell-content|value)\(\)\s*(>=|<=|!=|<>|=|<|>)\s*(.+)")
_RANGE: Final = re.compile(r"cell-content-is-(not-)?between\(\s*([^,]+),\s*([^,)]+)\)")


def holds(condition: str, value: Value) -> bool | None:
    """Whether a condition of OpenDocument holds for a cell (ODF 1.3, part 3, 19.463); None if unclear."""
    condition = condition.strip()
    if compared := _COMPARED.fullmatch(condition):
        limit = constant(compared[2])
        return None if limit is None else meets(value, compared[1], limit)
    if between := _RANGE.fullmatch(condition):
        low, high = constant(between[2]), constant(between[3])
        if low is None or high is None:
            return None
        return (meets(value, ">=", low) and meets(value, "<=", high)) is not bool(between[1])
    return None
