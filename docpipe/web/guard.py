"""Checks of every request: host, token or session, cross-site origin, and size of the body."""

import ipaddress
import math
import re
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from docpipe.config.config import Service
from docpipe.config.parsing import Secret
from docpipe.web.problems import Problem, route_of
from docpipe.web.tokens import Guesses, OneTimeCodes, Sessions, Token

COOKIE: Final = "docpipe_session"
TLS_COOKIE: Final = f"__Host-{COOKIE}"
"""Over TLS: browsers take it from this host alone, and only with Secure (RFC 6265bis, 4.1.3.2)."""
CSRF_HEADER: Final = "X-Docpipe-CSRF"
LARGE: Final = 4 * 2**20
"""Most bytes of a body that lists patients."""
SMALL: Final = 64 * 2**10
"""Most bytes of any other body."""
_BEARS_PATIENTS: Final = (("POST", "/api/runs"), ("POST", "/api/submissions/check"))
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
_OPEN: Final = frozenset({"/healthz", "/readyz", "/login", "/static/{file}", "/static/{version}/{file}"})
"""Routes that need no token; none of them returns data of patients."""
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]*)(?::(\d{1,5}))?", re.ASCII)
_HTTP_PORT: Final = 80


class Guard:
    """Lets requests in, or answers with a problem.

    Args:
        service: the configuration.
        port: that is listened on.
        token: that requests have to present, None if the service is open.
        clock: any steady clock.
    """

    def __init__(
        self, service: Service, port: int, token: Secret | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._port = port
        host = service.host.lower()
        self._names = {"localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host}
        self._others = frozenset(service.hosts)
        self._token = Token(token) if token else None
        self._proxies = tuple(map(ipaddress.ip_network, service.trusted_proxies))
        self.codes = OneTimeCodes(clock)
        self.sessions = Sessions(clock)
        self._guesses = Guesses(clock)

    @property
    def needs_token(self) -> bool:
        """Whether callers have to show a token."""
        return self._token is not None

    def check(self, request: web.Request) -> None:
        """Raises Problem: 400, 401, 403, 413, 415, 421 or 429."""
        self._check_host(request)
        _check_body(request)
        unsafe = request.method not in SAFE
        if unsafe and _from_another_site(request):
            raise Problem(
                403, "Another site has sent this request; only docpipe's own page may.", "cross-site"
            )
        if self._token is None or route_of(request) in _OPEN:
            return
        by_cookie = self._authenticated(request)
        if by_cookie and unsafe and CSRF_HEADER not in request.headers:
            raise Problem(403, f"A change by way of the cookie needs the header {CSRF_HEADER}: 1.", "csrf")

    def _check_host(self, request: web.Request) -> None:
        given = request.headers.getall(hdrs.HOST, [])
        if len(given) != 1:
            raise Problem(400, "A request has to name one host.")
        match = _HOST.fullmatch(given[0].lower())
        if match is not None:
            name, port = match[1], int(match[2] or _HTTP_PORT)
            if name in self._others or (name in self._names and port == self._port):
                return
        raise Problem(
            421,
            "docpipe does not go by this name: use the address it listens on, "
            "or add the host's name to service.hosts.",
            "unknown-host",
        )

    def _authenticated(self, request: web.Request) -> bool:
        """Whether the session cookie authenticated the request; raises Problem if nothing does."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            self.check_token(request, token.strip())
            return False
        if self.has_session(request):
            return True
        raise _unknown("A token is needed.")

    def has_session(self, request: web.Request) -> bool:
        """Whether the request has the cookie of a session."""
        cookie = request.cookies.get(cookie_name(request))
        return cookie is not None and self.sessions.good(cookie)

    def check_token(self, request: web.Request, token: str) -> None:
        """Raises Problem: 401 for a bad token, 429 for a bad one after too many from the same address.

        The right token is always accepted: others behind the same address cannot lock it out.
        """
        if self._token is None or self._token.same(token):
            return
        caller = self._caller(request)
        if (pause := self._guesses.pause(caller)) > 0:
            raise Problem(
                429,
                "Too many bad tokens came from this address.",
                "too-many-bad-tokens",
                headers={"Retry-After": str(math.ceil(pause))},
            )
        self._guesses.bad(caller)
        raise _unknown("This is not the token.")

    def sign_in(self, request: web.Request, token: str) -> str:
        """Begin a session with the token or a one-time code; returns its cookie. Raises Problem as above."""
        if not self.codes.redeem(token):
            self.check_token(request, token)
        return self.sessions.begin()

    def _caller(self, request: web.Request) -> str | None:
        """The address of the caller: behind trusted proxies, the last one that none of them has added."""
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        address = request.remote
        while self._is_proxy(address) and forwarded:
            nearer = forwarded.pop().strip()
            if not nearer:
                break
            address = nearer
        return address

    def _is_proxy(self, address: str | None) -> bool:
        try:
            parsed = ipaddress.ip_address((address or "").partition("%")[0])
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)


def over_tls(request: web.Request) -> bool:
    """Whether the caller reached a proxy by TLS; a false claim only harms the caller's own session."""
    return request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def cookie_name(request: web.Request) -> str:
    """The name of the session's cookie on this connection."""
    return TLS_COOKIE if over_tls(request) else COOKIE


def _unknown(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="docpipe"'})


def _check_body(request: web.Request) -> None:
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Problem(
            415, "A body has to be sent as it is, not compressed.", headers={"Accept-Encoding": "identity"}
        )
    if (request.content_length or 0) > limit_of(request):
        raise too_large(limit_of(request))


def limit_of(request: web.Request) -> int:
    """Most bytes that the body may have."""
    return LARGE if (request.method, route_of(request)) in _BEARS_PATIENTS else SMALL


def too_large(limit: int) -> Problem:
    """The problem of a body that has more bytes."""
    return Problem(413, f"The body may have at most {limit >> 10} KiB.", "body-too-large")


def _from_another_site(request: web.Request) -> bool:
    """Whether a browser sent it for another site, by Sec-Fetch-Site, or by Origin in old browsers."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site != "same-origin"
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and _netloc(origin) != request.headers[hdrs.HOST].lower()


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin.lower()).netloc
    except ValueError:
        return None
