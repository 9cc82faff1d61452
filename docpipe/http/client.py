"""Requests to services: retried while there is an outage, each attempt through its gate."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from docpipe import __version__
from docpipe.errors import ServiceError
from docpipe.gates import TROUBLE, Call, Failure, Gate
from docpipe.http.answers import Answer, Check, Own, Reading
from docpipe.http.credentials import NONE, Credentials, RequestAuth
from docpipe.http.download import Fetch
from docpipe.http.har import Har
from docpipe.http.reach import GuardedResolver, Reach
from docpipe.http.redirects import MAX_REDIRECTS, REDIRECTS, follow, leads_away, operation_of, origin_of
from docpipe.http.transport import TransportMap
from docpipe.model import Ticket

CONNECT_S: Final = 10.0
KEEPALIVE_S: Final = 4.0
"""Below what common servers keep (gunicorn 2 to 5 s, uvicorn and Node 5 s): a POST that meets a connection
which its server has just closed is a lost POST."""
LONGEST_HEADER_B: Final = 64 * 2**10
"""Policies and signed addresses are longer than the 8 KiB that aiohttp takes."""
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class Signed:
    """A body as bytes, with headers made anew for every attempt, such as a signature with its time."""

    body: bytes = field(repr=False)
    headers: Callable[[], Mapping[str, str]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; the same at every try, except for headers of what is signed."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    signed: Signed | None = field(default=None, repr=False)
    reach: Reach | None = None

    def own_headers(self) -> Mapping[str, str]:
        """The headers of one attempt, without credentials."""
        return self.headers if self.signed is None else {**self.headers, **self.signed.headers()}

    def body(self) -> Mapping[str, Any]:
        """As aiohttp names it: nothing, `json`, or `data`."""
        if self.signed is not None:
            return {"data": self.signed.body}
        if self.form is not None:
            return {"data": dict(self.form)}
        return {} if self.json is None else {"json": self.json}


def _request(
    method: str,
    url: str,
    *,
    json: object = None,
    form: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    signed: Signed | None = None,
    reach: Reach | None = None,
) -> Request:
    target = URL(url).update_query(params) if params else URL(url)
    accepting = {"Accept": "application/json", **(headers or {})}
    return Request(method, target, accepting, json, form, signed, reach)


class Http:
    """The one HTTP client of a process. Use as an async context manager."""

    def __init__(self, har: Har | None = None, transports: TransportMap | None = None) -> None:
        self._har = har
        self.transports = transports or TransportMap()
        self._session: aiohttp.ClientSession | None = None
        self._foreign: dict[Reach, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        # Gates bound concurrency; a limit of the pool would add a line that no status displays.
        self._session = self._make_session(aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S))
        return self

    def _make_session(self, connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A body cut off within gzip reads as complete, so none is asked for.
            headers={"User-Agent": f"docpipe/{__version__}", "Accept-Encoding": "identity"},
            trust_env=False,
            max_line_size=LONGEST_HEADER_B,
            max_field_size=LONGEST_HEADER_B,
            trace_configs=[self._har.trace()] if self._har else None,
        )

    async def __aexit__(self, *_: object) -> None:
        async with contextlib.AsyncExitStack() as stack:  # each is closed, also where another's end fails
            for session in (*self._foreign.values(), *filter(None, [self._session])):
                stack.push_async_callback(session.close)

    def foreign(self, reach: Reach) -> aiohttp.ClientSession:
        """The session for origins that only an exchange names; it shares no connections."""
        if reach not in self._foreign:
            resolver = GuardedResolver(reach)
            self._foreign[reach] = self._make_session(
                aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=KEEPALIVE_S, resolver=resolver, use_dns_cache=False
                )
            )
        return self._foreign[reach]

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, while the client is open."""
        if self._session is None:
            raise RuntimeError("Http is used as an async context manager")
        return self._session

    async def call(
        self,
        method: str,
        url: str,
        *,
        gate: Gate,
        ticket: Ticket,
        credentials: Credentials = NONE,
        json: object = None,
        form: Mapping[str, str] | None = None,
        signed: Signed | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        check: Check | None = None,
        own: Own | None = None,
        limit: int | None = None,
        reach: Reach | None = None,
        before_retry: Callable[[], Awaitable[Answer | None]] | None = None,
    ) -> Answer:
        """Send a request until it is answered, however long the service is down.

        Args:
            method: in capitals.
            url: of the service; it may redirect within its origin.
            gate: to the endpoint.
            ticket: of the caller; its `wait` says what the call waits for.
            credentials: sent to this origin only. After a 401 or 403 they are renewed, once.
            json: the body.
            form: instead of that, the fields of a form.
            signed: instead of both, bytes with headers of their own.
            params: the query.
            headers: more of them, such as Idempotency-Key.
            check: whether a good answer's body keeps the contract. One that does not is a failure
                of the service, as are one that is not JSON, one over 4 MiB, and one cut off.
            own: whether a 4xx comes from the service itself; by default each does. Others are failures of
                it, and so is a redirect that is not followed: a proxy under maintenance sends such.
            limit: bytes of a good answer, beyond which the request fails; by default an answer over 4 MiB
                is a failure of the service.
            reach: judges the addresses that the name of the server resolves to; None for no check.
            before_retry: called after a failure of a request that may have had an effect; an answer ends it.

        Returns:
            The answer; 2xx, or 4xx other than 408, 425 and 429.

        Raises:
            PoisonedError: if this request alone keeps failing while others succeed.
            ServiceError: if it redirects where it must not, or the answer is larger than `limit`.
        """
        request = _request(
            method, url, json=json, form=form, params=params, headers=headers, signed=signed, reach=reach
        )
        auth = RequestAuth(credentials, ticket)
        call = gate.call(ticket, operation_of(method, request.url))
        while True:
            reading = Reading(check, self._har, own, limit)
            result = await self._send(request, gate, call, reading, auth)
            if result is None:  # 429: the quota is closed for a time
                continue
            renewed = await auth.renew(result.status or 0)
            if isinstance(result, Answer):
                if not renewed:
                    return result
                call = Call(ticket, call.since, call.operation)  # an answer ends a call
                continue
            if renewed:
                continue
            await gate.pause(call, result)
            if before_retry is not None and result.sent and (answer := await before_retry()) is not None:
                return answer

    async def once(
        self,
        url: str,
        *,
        gate: Gate,
        ticket: Ticket,
        credentials: Credentials = NONE,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        signed: Signed | None = None,
        headers: Mapping[str, str] | None = None,
        check: Check | None = None,
        own: Own | None = None,
        reach: Reach | None = None,
    ) -> Answer | Failure | None:
        """Send one GET, or one POST with `form` or `signed`, as `call` does, but return a failure.

        Returns:
            The answer, the failure, or None for a 429.

        Raises:
            ServiceError: if it redirects where it must not.
        """
        method = "GET" if form is None and signed is None else "POST"
        request = _request(method, url, params=params, form=form, headers=headers, signed=signed, reach=reach)
        auth = RequestAuth(credentials, ticket)
        reading = Reading(check, self._har, own)
        result = await self._send(request, gate, gate.call(ticket), reading, auth)
        if result is not None and await auth.renew(result.status or 0):
            return await self._send(request, gate, gate.call(ticket), reading, auth)
        return result

    async def _session_of(self, request: Request) -> aiohttp.ClientSession:
        """The common session, or the one that judges addresses."""
        if request.reach is None:
            return self.session
        await request.reach.check(request.url)
        return self.foreign(request.reach)

    async def _send(
        self,
        request: Request,
        gate: Gate,
        call: Call,
        reading: Reading,
        auth: RequestAuth,
    ) -> Answer | Failure | None:
        """Make one attempt, redirects included."""
        url, home = request.url, origin_of(request.url)
        session = await self._session_of(request)
        for _ in range(MAX_REDIRECTS + 1):
            passage = gate.passage(call, partial(self._judge, request.method, url, reading))
            await auth.wait()
            try:
                async with (
                    passage,
                    session.request(
                        request.method,
                        url,
                        headers=await auth.headers(request.own_headers()),
                        allow_redirects=False,
                        middlewares=(passage,),
                        **request.body(),
                        **self.transports.request_options(url),
                    ) as response,
                ):
                    pass
            except TROUBLE as error:
                if passage.failure is None:  # it failed before the gate
                    raise ServiceError(
                        "The request cannot be made: check the address of the service."
                    ) from error
                return passage.failure
            if passage.failure is not None or response.status == _TOO_MANY:
                return passage.failure
            if reading.too_large:
                raise ServiceError("The service sends a larger answer than docpipe reads.")
            if response.status not in REDIRECTS:
                return reading.answer
            url = follow(response, request.method, url, lambda origin: origin == home)
        raise ServiceError(f"The service redirects more than {MAX_REDIRECTS} times.")

    @staticmethod
    async def _judge(
        method: str, url: URL, reading: Reading, response: aiohttp.ClientResponse
    ) -> Failure | None:
        """Read an answer within its attempt; under a contract a redirect to another origin is a failure."""
        home = origin_of(url)
        if reading.strict and response.status in REDIRECTS:
            away = leads_away(response, method, url, lambda origin: origin == home)
            if away is not None:
                return away
        return await reading(response)

    def fetch(
        self,
        ticket: Ticket,
        *,
        gate_of: Callable[[str], Gate],
        allowed: Callable[[str], bool] = lambda _: True,
        credentials: Credentials = NONE,
        home: str = "",
        reach: Reach | None = None,
    ) -> Fetch:
        """A download with any number of attempts.

        Args:
            ticket: of the caller.
            gate_of: the gate to an origin (as `origin_of` writes it).
            allowed: whether requests may go to an origin.
            credentials: sent to `home` only.
            home: an address of the service that the credentials belong to.
            reach: judges the addresses of other origins; None for no check beside `allowed`.
        """
        return Fetch(
            self.session,
            ticket,
            reach=reach,
            foreign=self.foreign,
            transports=self.transports,
            gate_of=gate_of,
            allowed=allowed,
            auth=RequestAuth(credentials, ticket),
            home=origin_of(home) if home else "",
        )
