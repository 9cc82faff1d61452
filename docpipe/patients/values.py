"""Texts as values of a column's type."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa


def _python_type(of_type: sa.types.TypeEngine[Any]) -> type[Any]:
    try:
        return of_type.python_type
    except NotImplementedError:
        return str


def bound_type(of_type: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return the type to bind a value with: the column's type if `value_of` makes such values, else text."""
    return of_type if _python_type(of_type) in _READERS or isinstance(of_type, sa.Enum) else sa.String()


def _integer(text: str, of_type: sa.types.TypeEngine[Any]) -> int:
    bits = 15 if isinstance(of_type, sa.SmallInteger) else 63 if isinstance(of_type, sa.BigInteger) else 31
    if not re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text) or not -(2**bits) <= int(text) < 2**bits:
        raise ValueError
    return int(text)


def _switch(text: str, _: object) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _number(text: str, _: object) -> Decimal:
    if not (number := Decimal(text)).is_finite():
        raise ValueError
    return number


_READERS: Final[dict[type[Any], tuple[Callable[[str, Any], Any], str]]] = {
    bool: (_switch, "true or false"),
    int: (_integer, "a whole number"),
    float: (lambda text, _: float(text), "a number"),
    Decimal: (_number, "a number"),
    date: (lambda text, _: date.fromisoformat(text), "a date such as 1957-03-31"),
    datetime: (lambda text, _: datetime.fromisoformat(text), "a time such as 2026-03-31T08:00:00"),
    UUID: (lambda text, _: UUID(text), "a UUID"),
}


def value_of(text: str, of_type: sa.types.TypeEngine[Any]) -> Any:
    """Convert a text to a value for a column; raises ValueError with a description of valid values."""
    if (reader := _READERS.get(_python_type(of_type))) is None:
        return text
    read, right = reader
    try:
        value = read(text, of_type)
        return value if not isinstance(of_type, sa.Uuid) or of_type.as_uuid else text
    except (ValueError, KeyError, OverflowError, InvalidOperation):
        raise ValueError(right) from None
