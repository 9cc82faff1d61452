"""Answers in JSON, made piece by piece where they are long, so that nobody waits for them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final, TypeVar

from aiohttp import web

from docpipe.model import Json
from docpipe.util.json import to_json

_JSON: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "application/json"})
_PIECE: Final = 200
"""As many entries are made at a time; a millisecond or two."""

_T = TypeVar("_T")


def answer(value: Json, status: int = 200) -> web.Response:
    """A short answer."""
    return of_text(to_json(value), status)


def of_text(text: str, status: int = 200) -> web.Response:
    """An answer whose JSON is there already."""
    return of_bytes(text.encode(), status)


def of_bytes(body: bytes, status: int = 200) -> web.Response:
    """The same, encoded."""
    return web.Response(body=body, status=status, headers=_JSON)


async def array(items: Iterable[_T], view: Callable[[_T], Json]) -> str:
    """The JSON of a list."""
    left, pieces = iter(items), []
    while some := list(islice(left, _PIECE)):
        pieces += [to_json(view(item)) for item in some]
        await asyncio.sleep(0)
    return f"[{','.join(pieces)}]"
