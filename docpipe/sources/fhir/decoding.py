"""Decodes JSON of FHIR servers into Structs, member by member: one of the wrong type counts as missing.

`msgspec.convert` refuses an object as a whole. Servers send texts for numbers (in XML all values
are texts), and an object where FHIR has a list; a document must not be lost for the
type of its author.
"""

import functools
from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

_S = TypeVar("_S", bound=Struct)
_Read = Callable[[Any], Any]
"""Reads a member; returns None for what does not fit."""


def struct_of(kind: type[_S], value: object) -> _S | None:
    """Decode a JSON object; None for any other value. Unknown members are ignored.

    A text stands for the member that the class variable `plain` of the Struct names, where it has one.
    """
    if isinstance(value, str) and (plain := getattr(kind, "plain", None)) is not None:
        value = {plain: value}
    if not isinstance(value, dict):
        return None
    members = {}
    for name, key, read in _members(kind):
        part = value.get(key)
        if part is not None and (fit := read(part)) is not None:
            members[name] = fit
    return kind(**members)


@functools.cache
def _members(kind: type[Struct]) -> list[tuple[str, str, _Read]]:
    """The members of a Struct: their names here and in JSON, and what reads them."""
    hints = get_type_hints(kind)
    return [
        (member.name, member.encode_name, _reader(hints[member.name]))
        for member in msgspec.structs.fields(kind)
    ]


def _reader(annotation: Any) -> _Read:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        (annotation,) = (arg for arg in args if arg is not type(None))
        return _reader(annotation)
    if origin is list:
        return functools.partial(_list, _reader(args[0]))
    if origin is dict:
        return _object
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return functools.partial(struct_of, annotation)
    return _PLAIN[annotation]


def listed(value: object) -> list[Any]:
    """A value that should be a list, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text_of(value: object) -> str | None:
    """A text that is not empty, else None."""
    return value.strip() if isinstance(value, str) and value.strip() else None


def whole_number(value: object) -> int | None:
    """A number of things or bytes, also as the text that XML has; else None."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _list(read: _Read, value: object) -> list[Any]:
    return [fit for part in listed(value) if (fit := read(part)) is not None]


def _object(value: object) -> object:
    return value if isinstance(value, dict) else None


def _boolean(value: object) -> object:
    return value if isinstance(value, bool) else None


def _anything(value: object) -> object:
    return value


_PLAIN: dict[Any, _Read] = {str: text_of, int: whole_number, bool: _boolean, Any: _anything}
