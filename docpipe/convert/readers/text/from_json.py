"""JSON of no known kind: indented, as typewritten text."""

from collections.abc import Iterator
from typing import Any, Final

from docpipe.convert.core.base import Content, NothingToReadError, Source
from docpipe.convert.core.blocks import Preformatted, clean
from docpipe.convert.readers.text.jsontext import Number, load

MOST: Final = 500_000
"""Characters that are converted: the PDF has 600 pages by then."""
_CUT: Final = "only the first 500,000 characters of the JSON are converted"
_NESTED: Final = 200


def read(source: Source) -> Content:
    """The values, indented.

    Raises: UnreadableError; NothingToReadError for a file without values.
    """
    loaded = load(source.data())
    warnings = list(loaded.warnings)
    lines: list[str] = []
    size = 0
    for value in loaded.values:
        for line in _lines(value):
            lines.append(line)
            size += len(line) + 1
            if size > MOST:
                break
    if size > MOST:
        warnings.append(_CUT)
    text = clean("\n".join(lines))[:MOST]
    if not any(character.isalnum() for character in text):
        raise NothingToReadError("This is a JSON file without any values.")
    return Content(blocks=(Preformatted(text),), warnings=tuple(warnings), libraries=("chardet",))


def _lines(value: Any, indent: int = 0, lead: str = "", tail: str = "") -> Iterator[str]:
    blank = "  " * min(indent, _NESTED)
    if isinstance(value, (dict, list)) and value:
        opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
        yield f"{blank}{lead}{opened}"
        inner = (
            [(f'"{name}": ', part) for name, part in value.items()]
            if isinstance(value, dict)
            else [("", part) for part in value]
        )
        for at, (name, part) in enumerate(inner, 1):
            yield from _lines(part, indent + 1, name, "," if at < len(inner) else "")
        yield f"{blank}{closed}{tail}"
    else:
        yield f"{blank}{lead}{_simple(value)}{tail}"


def _simple(value: Any) -> str:
    match value:
        case Number():
            return str(value)
        case str():
            return f'"{value}"'
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return "{}" if isinstance(value, dict) else "[]"
