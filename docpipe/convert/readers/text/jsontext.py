"""JSON of any origin: in any encoding, one value or one a line, without loss.

Numbers stay as they are written, since 1.10 is not 1.1 in a laboratory; a name that occurs twice in an
object keeps both values.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.encoding import decode

MENDED: Final = "the JSON was not well-formed and was mended; check it against the original"
TWICE: Final = "a name stands twice in the JSON; both values are kept"
BROKEN_LINES: Final = "some lines of the file could not be read"
_LARGEST: Final = 150_000_000
"""The largest JSON in bytes: objects take several times their text."""
_STRING: Final = r'"(?:[^"\\]|\\.)*+"'
_TRAILING_COMMA: Final = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)


class Number(str):
    """A number as it is written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """The values of a file (several where it has one a line), and what was wrong with it."""

    values: tuple[Any, ...]
    warnings: tuple[str, ...] = ()


def load(data: bytes) -> Loaded:
    """The values of a JSON file, or of one with a value on each line (NDJSON).

    Raises: UnreadableError with what is wrong and where, never with the file's text.
    """
    if len(data) > _LARGEST:
        raise UnreadableError("The JSON is too large to be read in one piece.")
    decoded = decode(data)
    del data
    text = decoded.text.strip("\ufeff\0 \t\r\n")
    try:
        loaded = _values(text)
    except RecursionError as error:
        raise UnreadableError("The JSON is nested too deeply to be read.") from error
    return Loaded(loaded.values, (*decoded.warnings, *loaded.warnings))


def _values(text: str) -> Loaded:
    try:
        return _parsed((text,))
    except json.JSONDecodeError as error:
        first = error
    lines = [line for line in text.splitlines() if line.strip(" \t\x1e\0,")]
    if len(lines) > 1 and (records := _by_line(lines)):
        return records
    try:
        mended = _parsed((_TRAILING_COMMA.sub(lambda match: match[1] or "", text),))
    except json.JSONDecodeError:
        raise UnreadableError(_plainly(first, text)) from first
    return Loaded(mended.values, (MENDED, *mended.warnings))


def _parsed(texts: tuple[str, ...]) -> Loaded:
    reader = _Reader()
    decoder = json.JSONDecoder(
        strict=False,
        parse_float=Number,
        parse_int=Number,
        parse_constant=Number,
        object_pairs_hook=reader.object,
    )
    values = tuple(decoder.decode(text) for text in texts)
    return Loaded(values, (TWICE,) if reader.twice else ())


class _Reader:
    """Makes objects; notes when a name occurs twice in one."""

    def __init__(self) -> None:
        self.twice = False

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            self.twice = True
            made = {}
            for name, value in pairs:
                before = made.get(name)
                if name not in made:
                    made[name] = value
                elif before != value:
                    made[name] = [*_listed(before), *_listed(value)]
        return made


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _by_line(lines: list[str]) -> Loaded | None:
    """One value a line, None where the lines are not that; a line cut short does not lose the others."""
    values: list[Any] = []
    warnings: dict[str, None] = {}
    broken = 0
    for line in lines:
        try:
            one = _parsed((line.strip(" \t\x1e\0,"),))
        except json.JSONDecodeError:
            broken += 1
            continue
        values += one.values
        warnings.update(dict.fromkeys(one.warnings))
    objects = sum(isinstance(value, dict) for value in values)
    if objects <= broken or objects < len(values):
        return None
    return Loaded(tuple(values), (*warnings, *((BROKEN_LINES,) if broken else ())))


def _plainly(error: json.JSONDecodeError, text: str) -> str:
    if error.pos >= len(text) - 1 or "Unterminated" in error.msg:
        return "The file is cut short."
    return f"The JSON is damaged at line {error.lineno}, column {error.colno}."
