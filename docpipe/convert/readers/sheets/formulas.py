"""Formulas of conditional formatting, as far as they can be judged by what a file stores: comparisons, sums,
texts, and a few dozen functions. Times of today, names and other sheets cannot.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from docpipe.convert.readers.sheets.conditions import Value, meets

Read: TypeAlias = Callable[[int, int], Value | None]
"""The value of a cell by row (from 1) and column (from 0), None for a blank one."""
Place: TypeAlias = tuple[int, int]
Formula: TypeAlias = Callable[[Read, Place], Any]
"""What a formula yields for the cell of a place; raises FormulaError where a sheet would show an error."""

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?)"
    r'|(?P<text>"(?:[^"]|"")*")'
    r"|(?P<range>\$?[A-Z]{1,3}\$?[0-9]{1,7}:\$?[A-Z]{1,3}\$?[0-9]{1,7})"
    r"|(?P<cell>\$?[A-Z]{1,3}\$?[0-9]{1,7})(?![\w(!.])"
    r"|(?P<name>[A-Z][A-Z0-9.]*)(?=\s*\()"
    r"|(?P<truth>TRUE|FALSE)(?![\w(])"
    r"|(?P<sign><=|>=|<>|[-+*/&=<>(),;]))"
)
_CELL: Final = re.compile(r"(\$?)([A-Z]{1,3})(\$?)([0-9]{1,7})")
_COMPARING: Final = frozenset({"<=", ">=", "<>", "=", "<", ">"})
_MOST_CELLS: Final = 20_000
_DEEPEST: Final = 30
_LONGEST: Final = 1_000


class FormulaError(Exception):
    """What a sheet shows as an error, such as the length of nothing."""


class UnknownFormulaError(Exception):
    """The formula has parts that are not judged."""


def column_of(letters: str) -> int:
    """The number of a column, from 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def compiled(formula: str, origin: Place) -> Formula:
    """A formula that was written for the cell of `origin`; cells without `$` move with the place.

    Raises: UnknownFormulaError.
    """
    if len(formula) > _LONGEST:
        raise UnknownFormulaError
    parser = _Parser(list(_tokens(formula.strip().removeprefix("="))), origin)
    made = parser.comparison(0)
    if parser.at < len(parser.tokens):
        raise UnknownFormulaError
    return made


def _tokens(formula: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(formula):
        match = _TOKEN.match(formula, at)
        if match is None or match.lastgroup is None:
            if formula[at:].strip():
                raise UnknownFormulaError
            return
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


class _Parser:
    """Reads tokens into a function, by falling precedence."""

    def __init__(self, tokens: list[tuple[str, str]], origin: Place) -> None:
        self.tokens = tokens
        self.at = 0
        self._origin = origin

    def _next(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise UnknownFormulaError
        self.at += 1
        return self.tokens[self.at - 1]

    def _taken(self, signs: frozenset[str]) -> str:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "sign":
            sign = self.tokens[self.at][1]
            if sign in signs:
                self.at += 1
                return sign
        return ""

    def comparison(self, depth: int) -> Formula:
        """A comparison, or what one may compare."""
        if depth > _DEEPEST:
            raise UnknownFormulaError
        left = self._chain(depth, 0)
        while sign := self._taken(_COMPARING):
            left = _comparing(left, sign, self._chain(depth, 0))
        return left

    def _chain(self, depth: int, level: int) -> Formula:
        """Joined texts, then sums, then products."""
        if level == len(_LEVELS):
            return self._atom(depth)
        left = self._chain(depth, level + 1)
        while sign := self._taken(_LEVELS[level]):
            left = _calculating(left, sign, self._chain(depth, level + 1))
        return left

    def _atom(self, depth: int) -> Formula:
        if depth > _DEEPEST:
            raise UnknownFormulaError
        kind, written = self._next()
        if kind in {"number", "text", "truth"}:
            return _constant(_value_of(kind, written))
        if kind in {"cell", "range"}:
            return self._cell(written) if kind == "cell" else self._range(written)
        if kind == "name":
            return self._call(written, depth)
        if written in {"-", "+"}:
            return _calculating(_constant(0.0), written, self._atom(depth + 1))
        if written != "(":
            raise UnknownFormulaError
        inner = self.comparison(depth + 1)
        if not self._taken(frozenset(")")):
            raise UnknownFormulaError
        return inner

    def _cell(self, token: str) -> Formula:
        place = self._moved(token)
        return lambda read, at: read(*place(at))

    def _moved(self, token: str) -> Callable[[Place], Place]:
        match = _CELL.fullmatch(token)
        if match is None:
            raise UnknownFormulaError
        column, row = column_of(match[2]), int(match[4])
        rows = 0 if match[3] else 1
        columns = 0 if match[1] else 1
        top, left = self._origin
        return lambda at: (row + rows * (at[0] - top), column + columns * (at[1] - left))

    def _range(self, token: str) -> Formula:
        first, last = (self._moved(each) for each in token.split(":"))

        def cells(read: Read, at: Place) -> list[Value | None]:
            (top, left), (bottom, right) = first(at), last(at)
            if (bottom - top + 1) * (right - left + 1) > _MOST_CELLS:
                raise FormulaError
            return [read(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)]

        return cells

    def _call(self, name: str, depth: int) -> Formula:
        self._next()  # the opening bracket
        arguments: list[Formula] = []
        while not self._taken(frozenset(")")):
            arguments.append(self.comparison(depth + 1))
            if not self._taken(frozenset(",;")) and self.tokens[self.at : self.at + 1] != [("sign", ")")]:
                raise UnknownFormulaError
        if name in {"ROW", "COLUMN"} and not arguments:
            return (lambda _, at: float(at[0])) if name == "ROW" else (lambda _, at: float(at[1] + 1))
        function = _FUNCTIONS.get(name)
        if function is None:
            raise UnknownFormulaError
        if name == "IF":
            return _if(arguments)
        if name in _OF_ERRORS:
            arguments = [_guarded(each) for each in arguments]
        return lambda read, at: _applied(function, [each(read, at) for each in arguments])


_OF_ERRORS: Final = frozenset({"ISNUMBER", "ISTEXT", "ISERROR", "ISBLANK"})


def _guarded(formula: Formula) -> Formula:
    """The formula with an error as the text that a sheet stores for one."""

    def guarded(read: Read, at: Place) -> Any:
        try:
            return formula(read, at)
        except FormulaError:
            return "#VALUE!"

    return guarded


_LEVELS: Final = (frozenset("&"), frozenset("+-"), frozenset("*/"))


def _value_of(kind: str, written: str) -> Value:
    if kind == "text":
        return written[1:-1].replace('""', '"')
    return float(written) if kind == "number" else float(written == "TRUE")


def _applied(function: Callable[..., Any], arguments: list[Any]) -> Any:
    try:
        return function(*arguments)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise FormulaError from error


def _constant(value: Value) -> Formula:
    return lambda _read, _at: value


def _if(arguments: Sequence[Formula]) -> Formula:
    if len(arguments) not in {2, 3}:
        raise UnknownFormulaError
    condition, then = arguments[:2]
    otherwise = arguments[2] if len(arguments) > 2 else _constant(0.0)  # noqa: PLR2004 - the third of three
    return lambda read, at: (then if is_true(condition(read, at)) else otherwise)(read, at)


def _comparing(left: Formula, sign: str, right: Formula) -> Formula:
    def compared(read: Read, at: Place) -> float:
        one, other = left(read, at), right(read, at)
        if isinstance(one, list) or isinstance(other, list):
            raise FormulaError
        limit = _coerced(other, one)
        return float(meets(_coerced(one, other), sign, limit.casefold() if isinstance(limit, str) else limit))

    return compared


def _coerced(value: Value | None, other: Value | None) -> Value:
    """A value; a blank one beside a text is an empty text, and beside a number 0."""
    if value is None:
        return "" if isinstance(other, str) else 0.0
    return value


def _calculating(left: Formula, sign: str, right: Formula) -> Formula:
    def calculated(read: Read, at: Place) -> Value:
        one, other = left(read, at), right(read, at)
        if sign == "&":
            return text_of(one) + text_of(other)
        a, b = number_of(one), number_of(other)
        if sign == "/" and not b:
            raise FormulaError
        return {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[sign]

    return calculated


def number_of(value: Any) -> float:
    """A value as a number. Raises: FormulaError."""
    if isinstance(value, list):
        raise FormulaError
    try:
        return float(value or 0.0)
    except ValueError as error:
        raise FormulaError from error


def text_of(value: Any) -> str:
    """A value as a text. Raises: FormulaError."""
    if isinstance(value, list):
        raise FormulaError
    return "" if value is None else value if isinstance(value, str) else f"{value:.15g}"


def is_true(value: Any) -> bool:
    """Whether a condition holds. Raises: FormulaError."""
    return number_of(value) != 0.0


def _flat(arguments: Sequence[Any]) -> Iterator[Any]:
    for each in arguments:
        yield from each if isinstance(each, list) else (each,)


def numbers(*arguments: Any) -> list[float]:
    """The numbers among values; blanks and texts are left out."""
    return [each for each in _flat(arguments) if isinstance(each, float)]


def _position(part: Any, whole: Any, *, folded: bool) -> float:
    one, other = text_of(part), text_of(whole)
    if folded and re.search(r"[*?~]", one):
        raise FormulaError
    at = other.casefold().find(one.casefold()) if folded else other.find(one)
    if at < 0:
        raise FormulaError
    return at + 1.0


def _count_if(cells: Any, wanted: Any) -> float:
    match = re.fullmatch(r"(<=|>=|<>|=|<|>)(.*)", text_of(wanted))
    sign, limit = (match[1], match[2]) if match else ("=", text_of(wanted))
    try:
        value: Value = float(limit)
    except ValueError:
        value = limit.casefold()
    return float(sum(meets(each, sign, value) for each in _flat([cells]) if each is not None))


def _mid(text: Any, start: Any, length: Any) -> str:
    begin = max(int(number_of(start)), 1) - 1
    return text_of(text)[begin : begin + int(number_of(length))]


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "AND": lambda *a: float(all(is_true(each) for each in _flat(a))),
    "OR": lambda *a: float(any(is_true(each) for each in _flat(a))),
    "NOT": lambda a: float(not is_true(a)),
    "IF": lambda *_: None,
    "ISBLANK": lambda a: float(a is None),
    "ISNUMBER": lambda a: float(isinstance(a, float)),
    "ISTEXT": lambda a: float(isinstance(a, str)),
    "ISERROR": lambda a: float(isinstance(a, str) and a.startswith("#")),
    "LEN": lambda a: float(len(text_of(a))),
    "TRIM": lambda a: " ".join(text_of(a).split()),
    "UPPER": lambda a: text_of(a).upper(),
    "LOWER": lambda a: text_of(a).lower(),
    "EXACT": lambda a, b: float(text_of(a) == text_of(b)),
    "LEFT": lambda a, b=1.0: text_of(a)[: int(number_of(b))],
    "RIGHT": lambda a, b=1.0: text_of(a)[-int(number_of(b)) :] if number_of(b) >= 1 else "",
    "MID": _mid,
    "SEARCH": lambda a, b: _position(a, b, folded=True),
    "FIND": lambda a, b: _position(a, b, folded=False),
    "ABS": lambda a: abs(number_of(a)),
    "INT": lambda a: number_of(a) // 1,
    "MOD": lambda a, b: number_of(a) % number_of(b),
    "ROUND": lambda a, b=0.0: round(number_of(a), int(number_of(b))),
    "VALUE": number_of,
    "ISODD": lambda a: number_of(a) // 1 % 2,
    "ISEVEN": lambda a: float(not number_of(a) // 1 % 2),
    "SUM": lambda *a: sum(numbers(*a)),
    "MIN": lambda *a: min(numbers(*a), default=0.0),
    "MAX": lambda *a: max(numbers(*a), default=0.0),
    "AVERAGE": lambda *a: sum(numbers(*a)) / len(numbers(*a)),
    "COUNT": lambda *a: float(len(numbers(*a))),
    "COUNTIF": _count_if,
}
