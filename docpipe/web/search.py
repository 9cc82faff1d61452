"""Full-text search in the stored documents of one patient, or of all."""

from typing import Final

from aiohttp import web

from docpipe.search import QueryError, SearchIndexError
from docpipe.web.answers import answer
from docpipe.web.context import web_of
from docpipe.web.problems import Problem
from docpipe.web.reading import LONGEST_ID, bad, number_in, one_in, only

MOST: Final = 100
"""Hits of one answer."""
FURTHEST: Final = 10_000
"""The largest offset."""
LONGEST: Final = 500
"""Characters of a query."""


async def search(request: web.Request) -> web.Response:
    """The documents in which every word of the query occurs, with the lines around."""
    only(request, "q", "patient", "limit", "offset")
    index = web_of(request).source.index
    if index is None:
        raise Problem(
            404,
            "The search in texts is off: those who run docpipe can set search.index.",
            "no-search",
        )
    query, patient_id = one_in(request, "q"), one_in(request, "patient")
    if len(query) > LONGEST or len(patient_id) > LONGEST_ID:
        raise bad(f"`q` may have at most {LONGEST} characters, `patient` at most {LONGEST_ID}.")
    limit, offset = number_in(request, "limit", 1, MOST, 20), number_in(request, "offset", 0, FURTHEST, 0)
    try:
        hits = await index.search(query, patient_id=patient_id or None, limit=limit, offset=offset)
    except QueryError as error:
        raise bad(str(error)) from error
    except SearchIndexError as error:
        raise Problem(503, str(error), "search-index") from error
    return answer(hits)


ROUTES: Final = (web.get("/api/search", search),)
