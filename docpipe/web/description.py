"""The API's own description."""

from typing import Final

from aiohttp import web

from docpipe.web.answers import answer
from docpipe.web.context import web_of
from docpipe.web.reading import only


async def description(request: web.Request) -> web.Response:
    """OpenAPI 3.1 of all this."""
    from docpipe.web.openapi import document  # noqa: PLC0415 -- large, and seldom needed

    only(request)
    return answer(document(token=web_of(request).guard.needs_token))


ROUTES: Final = (web.get("/api/openapi.json", description),)
