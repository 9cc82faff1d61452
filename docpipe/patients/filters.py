"""Conditions on columns as people write them."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from docpipe.errors import UsageError

if TYPE_CHECKING:  # costs 0.1 s
    import sqlalchemy as sa

_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition such as ward = "B2"; the value is the text that was given."""

    column: str
    operator: str
    value: str
    source: str = "--where"
    """Where a person has written it: an option or a key, for messages."""

    @classmethod
    def parse(cls, text: str, source: str = "--where") -> "Filter":
        """Read "column=value", with one of = != < <= > >=.

        Raises:
            UsageError: if the text is not a condition.
        """
        match = re.fullmatch(r"([^=!<>]+)(=|!=|<=|>=|<|>)(.*)", text, re.DOTALL)
        if match is None or not match[1].strip():
            raise UsageError(
                f"{source} has to be a column, one of {' '.join(_OPERATORS)}, and a value: ward=B2."
            )
        return cls(match[1].strip(), match[2], match[3].strip(), source)

    def compare(
        self, column: "sa.ColumnElement[Any]", value: "sa.BindParameter[Any]"
    ) -> "sa.ColumnElement[bool]":
        """Make the condition on a column."""
        condition: sa.ColumnElement[bool] = _OPERATORS[self.operator](column, value)
        return condition
