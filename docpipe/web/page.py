"""The page and its files, and the way in to it."""

import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from docpipe.web.context import web_of
from docpipe.web.guard import COOKIE
from docpipe.web.problems import Problem
from docpipe.web.reading import bad, body_of, type_of
from docpipe.web.tokens import SESSION_S

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "svg": "image/svg+xml",
        "png": "image/png",
        "ico": "image/x-icon",
        "webmanifest": "application/manifest+json",
        "woff2": "font/woff2",
    }
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}(\.[a-z0-9_-]{1,40}){0,2}\.([a-z0-9]{2,11})")


class Files:
    """The files of the page, read once each."""

    def __init__(self) -> None:
        self._folder = resources.files("docpipe.web") / "static"
        self._read: dict[str, tuple[bytes, str]] = {}

    def answer(self, request: web.Request, name: str) -> web.Response:
        """A file, or 304 where the browser has it; raises Problem 404."""
        match = _NAME.fullmatch(name)
        media_type = _TYPES.get(match[2]) if match else None
        if media_type is None or (name not in self._read and not (self._folder / name).is_file()):
            raise Problem(404, "There is no such file.", "no-such-file")
        if name not in self._read:
            data = (self._folder / name).read_bytes()
            self._read[name] = data, hashlib.sha256(data).hexdigest()[:32]
        data, tag = self._read[name]
        headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers={**headers, "Content-Type": media_type})


FILES: Final = web.AppKey("files", Files)


async def page(request: web.Request) -> web.Response:
    """The page itself."""
    return request.app[FILES].answer(request, "index.html")


async def file(request: web.Request) -> web.Response:
    """A file that belongs to the page."""
    return request.app[FILES].answer(request, request.match_info["file"])


async def way_in(request: web.Request) -> web.Response:
    """The form that asks for the token; whoever is in goes on to the page."""
    guard = web_of(request).guard
    if not guard.needs_token or guard.has_session(request):
        raise web.HTTPSeeOther("/")
    return request.app[FILES].answer(request, "login.html")


async def log_in(request: web.Request) -> web.Response:
    """Take the token of the form, and begin a session. People are sent back to the form, programs told."""
    guard = web_of(request).guard
    type_of(request, "application/x-www-form-urlencoded")
    form = _form(await body_of(request))
    if "token" not in form:
        raise bad("The form has to bear a `token`.")
    try:
        guard.check_token(request, form["token"][0].strip())
    except Problem as problem:
        if wants_page(request):
            raise web.HTTPSeeOther(f"/login?problem={problem.status}") from problem
        raise
    answer = web.Response(status=303, headers={"Location": "/"})
    answer.set_cookie(
        COOKIE,
        guard.sessions.begin(),
        max_age=int(SESSION_S),
        httponly=True,
        samesite="Strict",
        secure=request.headers.get("X-Forwarded-Proto", "").lower() == "https",
    )
    return answer


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8"), keep_blank_values=True)
    except ValueError:
        raise bad("The body is not a form.") from None


async def log_out(request: web.Request) -> web.Response:
    """End the session."""
    web_of(request).guard.sessions.end(request.cookies.get(COOKIE, ""))
    answer = web.Response(status=204)
    answer.del_cookie(COOKIE, httponly=True, samesite="Strict")
    return answer


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks for something to show to people."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


ROUTES: Final = (
    web.get("/", page),
    web.get("/static/{file}", file),
    web.get("/login", way_in),
    web.post("/login", log_in),
    web.post("/logout", log_out),
)
