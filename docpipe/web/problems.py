"""Errors as problem details (RFC 9457), and the headers that every answer has."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

log = structlog.get_logger(__name__)

NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of what is no page."""
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": NOTHING,
    "Cache-Control": "no-store",
}


class Problem(Exception):  # noqa: N818 -- RFC 9457 calls it so
    """An answer that is an error.

    Args:
        status: of HTTP.
        detail: a sentence with the cause and, if there is one, the cure.
        name: what programs tell it by, as `urn:docpipe:problem:<name>`; none where the status says it all.
        headers: further headers.
        more: further members.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        name: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.type = f"urn:docpipe:problem:{name}" if name else "about:blank"
        self.headers = dict(headers or {})
        self.more = more

    def answer(self, instance: str) -> web.Response:
        """The answer; `instance` is the path of the request."""
        members = {
            "type": self.type,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.more,
        }
        return web.Response(
            status=self.status,
            body=json.dumps(members).encode(),
            content_type="application/problem+json",
            headers=self.headers,
        )


@contextlib.contextmanager
def from_storage() -> Iterator[None]:
    """Read something of the storage; raises Problem 503 when it cannot be read."""
    try:
        yield
    except OSError as error:
        log.warning("storage_not_read", reason=error.strerror)
        raise Problem(503, f"The storage cannot be read: {error.strerror}.", "storage") from error


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem; details of unexpected ones go to the log only."""
    try:
        return await handler(request)
    except Problem as error:
        problem = error
    except web.HTTPNotFound:
        problem = Problem(404, "There is no such address. GET /api/openapi.json lists those that exist.")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        problem = Problem(405, f"This address takes {allowed} only.", headers={"Allow": allowed})
    except web.HTTPException:
        raise  # a redirect
    except ConnectionError:
        raise  # the caller has gone
    except Exception:
        log.exception("request_failed", method=request.method, route=route_of(request))
        problem = Problem(500, "An internal error of docpipe. Its log has the details; report it with them.")
    return problem.answer(request.rel_url.raw_path)


def route_of(request: web.BaseRequest) -> str:
    """The template of the path, which holds no ids; a dash for an unknown path."""
    try:
        match = request.match_info if isinstance(request, web.Request) else None
    except AssertionError:  # what came was no request, and never routed
        match = None
    resource = match.route.resource if match is not None else None
    return "-" if resource is None else resource.canonical


async def secure(_: web.Request, response: web.StreamResponse) -> None:
    """Secure a response that is about to be sent."""
    secured(response)


def secured(response: web.StreamResponse) -> web.StreamResponse:
    """The response, with the headers that every response has, unless it sets them itself."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "docpipe"  # aiohttp has put its own there before
    return response
