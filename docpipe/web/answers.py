"""Answers in JSON, made piece by piece where they are long, so that nobody waits for them."""

import asyncio
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, TypeVar

from aiohttp import web

from docpipe.model import Json

_PIECE: Final = 200
"""As many entries are made at a time; a millisecond or two."""

_T = TypeVar("_T")


def answer(value: Json, status: int = 200) -> web.Response:
    """A short answer."""
    return of_text(json.dumps(value), status)


def of_text(text: str, status: int = 200) -> web.Response:
    """An answer whose JSON is there already."""
    return web.Response(body=text.encode(), status=status, content_type="application/json")


async def array(items: Iterable[_T], view: Callable[[_T], Json]) -> str:
    """The JSON of a list."""
    left, pieces = iter(items), []
    while some := list(islice(left, _PIECE)):
        pieces += [json.dumps(view(item)) for item in some]
        await asyncio.sleep(0)
    return f"[{', '.join(pieces)}]"
