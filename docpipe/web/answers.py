"""Answers in JSON; long lists are built in slices, so that the event loop stays responsive."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, TypeVar

from aiohttp import web

from docpipe.util.json import to_json

_JSON: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "application/json"})
_PIECE: Final = 200
"""As many entries are made at a time; a millisecond or two."""

_T = TypeVar("_T")
_U = TypeVar("_U")


def answer(value: Any, status: int = 200) -> web.Response:
    """A short answer."""
    return of_text(to_json(value), status)


def of_text(text: str, status: int = 200) -> web.Response:
    """An answer whose JSON is there already."""
    return of_bytes(text.encode(), status)


def of_bytes(body: bytes, status: int = 200) -> web.Response:
    """The same, encoded."""
    return web.Response(body=body, status=status, headers=_JSON)


async def each(items: Iterable[_T], view: Callable[[_T], _U]) -> list[_U]:
    """The views of many items; the event loop gets its turn in between."""
    left, views = iter(items), list[_U]()
    while some := list(islice(left, _PIECE)):
        views += map(view, some)
        await asyncio.sleep(0)
    return views
