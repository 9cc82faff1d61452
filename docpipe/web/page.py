"""The page, its static files, and sign-in."""

import functools
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from docpipe.web.context import web_of
from docpipe.web.guard import cookie_name, over_tls
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
_SIGN_OUT: Final = b'id="sign-out" class="quiet"'
_STATIC: Final = b"/static/"
_FOREVER: Final = "public, max-age=31536000, immutable"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}(\.[a-z0-9_-]{1,40}){0,2}\.([a-z0-9]{2,11})")


class Files:
    """The files of the page, read once each.

    Pages name the other files below a folder that is named after the bytes of all of them, so that a browser
    keeps them without asking again, and takes new ones with a new docpipe.
    """

    def __init__(self) -> None:
        self._folder = resources.files("docpipe.web") / "static"
        self._read: dict[tuple[str, bool], tuple[bytes, str]] = {}

    @functools.cached_property
    def version(self) -> str:
        """The name of the folder: 16 hex digits."""
        digest = hashlib.sha256()
        for file in sorted(self._folder.iterdir(), key=lambda file: file.name):
            if file.is_file():
                digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def answer(
        self, request: web.Request, name: str, *, version: str | None = None, signed_in: bool = False
    ) -> web.Response:
        """A file, or 304 where the browser has it; raises Problem 404.

        Args:
            request: that asks for it.
            name: of the file.
            version: the folder that the request names; of another docpipe's, browsers keep nothing unasked.
            signed_in: whether it has the button that ends the session.
        """
        match = _NAME.fullmatch(name)
        media_type = _TYPES.get(match[2]) if match else None
        if media_type is None or ((name, False) not in self._read and not (self._folder / name).is_file()):
            raise Problem(404, "There is no such file.", "no-such-file")
        key = name, signed_in
        if key not in self._read:
            data = (self._folder / name).read_bytes()
            if name.endswith(".html"):
                data = data.replace(_STATIC, _STATIC + self.version.encode() + b"/")
            data = data.replace(_SIGN_OUT + b" hidden", _SIGN_OUT) if signed_in else data
            self._read[key] = data, hashlib.sha256(data).hexdigest()[:32]
        data, tag = self._read[key]
        keeping = _FOREVER if version == self.version else "no-cache"
        headers = {"ETag": f'"{tag}"', "Cache-Control": keeping, "Content-Security-Policy": POLICY}
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers={**headers, "Content-Type": media_type})


FILES: Final = web.AppKey("files", Files)


async def page(request: web.Request) -> web.Response:
    """The page itself; a request with a session gets the sign-out button."""
    signed_in = web_of(request).guard.has_session(request)
    return request.app[FILES].answer(request, "index.html", signed_in=signed_in)


async def file(request: web.Request) -> web.Response:
    """A file that belongs to the page."""
    named = request.match_info
    return request.app[FILES].answer(request, named["file"], version=named.get("version"))


async def sign_in_form(request: web.Request) -> web.Response:
    """The sign-in form; a request that is already authenticated is redirected to the page."""
    guard = web_of(request).guard
    if not guard.needs_token or guard.has_session(request):
        raise web.HTTPSeeOther("/")
    return request.app[FILES].answer(request, "login.html")


async def sign_in(request: web.Request) -> web.Response:
    """Begin a session for a good token; for a bad one, browsers return to the form and programs get 401."""
    guard = web_of(request).guard
    type_of(request, "application/x-www-form-urlencoded")
    form = _form(await body_of(request))
    if "token" not in form:
        raise bad("The form has to bear a `token`.")
    try:
        cookie = guard.sign_in(request, form["token"][0].strip())
    except Problem as problem:
        if wants_page(request):
            raise web.HTTPSeeOther(f"/login?problem={problem.status}") from problem
        raise
    answer = web.Response(status=303, headers={"Location": "/"})
    answer.set_cookie(
        cookie_name(request),
        cookie,
        max_age=int(SESSION_S),
        httponly=True,
        samesite="Strict",
        secure=over_tls(request),
    )
    return answer


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8"), keep_blank_values=True)
    except ValueError:
        raise bad("The body is not a form.") from None


async def sign_out(request: web.Request) -> web.Response:
    """End the session."""
    web_of(request).guard.sessions.end(request.cookies.get(cookie_name(request), ""))
    answer = web.Response(status=204)
    answer.del_cookie(cookie_name(request), httponly=True, samesite="Strict", secure=over_tls(request))
    return answer


def wants_page(request: web.Request) -> bool:
    """Whether the client is a browser that navigates."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


ROUTES: Final = (
    web.get("/", page),
    web.get("/static/{file}", file),
    web.get("/static/{version}/{file}", file),
    web.get("/login", sign_in_form),
    web.post("/login", sign_in),
    web.post("/logout", sign_out),
)
