"""Requests to services: retried while there is an outage, each attempt through its gate."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp
from yarl import URL

from docpipe import __version__
from docpipe.errors import ServiceError
from docpipe.gates import TROUBLE, Call, Failure, Gate
from docpipe.http.answers import Answer, Check, Reading
from docpipe.http.credentials import NONE, Credentials, Shown
from docpipe.http.download import Fetch
from docpipe.http.har import Har
from docpipe.http.redirects import MAX_REDIRECTS, REDIRECTS, follow, origin_of
from docpipe.http.transport import TransportMap
from docpipe.model import Json, Ticket

CONNECT_S: Final = 10.0
KEEPALIVE_S: Final = 4.0
"""Below what common servers keep (gunicorn 2 to 5 s, uvicorn and Node 5 s): a POST that meets a connection
which its server has just closed is a lost POST."""
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; the same at every try."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    json: Json = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)

    def body(self) -> Mapping[str, Json]:
        """As aiohttp names it: nothing, `json`, or `data`."""
        if self.form is not None:
            return {"data": dict(self.form)}
        return {} if self.json is None else {"json": self.json}


def _request(
    method: str,
    url: str,
    *,
    json: Json = None,
    form: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    target = URL(url).update_query(params) if params else URL(url)
    return Request(method, target, {"Accept": "application/json", **(headers or {})}, json, form)


class Http:
    """The one HTTP client of a process. Use as an async context manager."""

    def __init__(self, har: Har | None = None, ways: TransportMap | None = None) -> None:
        self._har = har
        self.ways = ways or TransportMap()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # Gates bound what is under way; a pool's limit would only add a line that nobody sees.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A body cut off within gzip reads as complete, so none is asked for.
            headers={"User-Agent": f"docpipe/{__version__}", "Accept-Encoding": "identity"},
            trust_env=False,
            trace_configs=[self._har.trace()] if self._har else None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

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
        json: Json = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        check: Check | None = None,
        before_retry: Callable[[], Awaitable[Answer | None]] | None = None,
    ) -> Answer:
        """Send a request until it is answered, however long the service is down.

        Args:
            method: in capitals.
            url: of the service; it may redirect within its origin.
            gate: to the endpoint.
            ticket: who asks; bears what it waits for.
            credentials: shown to this origin only. After a 401 or 403 they are asked for others, once.
            json: the body.
            form: instead of that, the fields of a form.
            params: the query.
            headers: more of them, such as Idempotency-Key.
            check: whether the body of a good answer keeps the contract. One that does not is a failure
                of the service, as are one that is not JSON, one over 4 MiB, and one cut off.
            before_retry: asked after a failure that may have had its effect; an answer from it ends the call.

        Returns:
            The answer; 2xx, or 4xx other than 408, 425 and 429.

        Raises:
            PoisonedError: if this request alone keeps failing while others succeed.
            ServiceError: if it redirects where it must not.
        """
        request = _request(method, url, json=json, form=form, params=params, headers=headers)
        shown = Shown(credentials, ticket)
        call = gate.call(ticket)
        while True:
            result = await self._send(request, gate, call, check, shown)
            if isinstance(result, Answer):
                if await shown.again(result.status):
                    call = Call(ticket, call.since)  # an answer ends a call
                    continue
                return result
            if result is None:  # 429: the quota is closed for a time
                continue
            await gate.pause(call, result)
            if before_retry is not None and result.sent and (found := await before_retry()) is not None:
                return found

    async def once(
        self,
        url: str,
        *,
        gate: Gate,
        ticket: Ticket,
        credentials: Credentials = NONE,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        check: Check | None = None,
    ) -> Answer | Failure | None:
        """Ask once, with GET, or with POST and a form; as of `call`, but a failure is told and not retried.

        Returns:
            The answer, what was wrong, or None for a 429.

        Raises:
            ServiceError: if it redirects where it must not.
        """
        method = "GET" if form is None else "POST"
        request = _request(method, url, params=params, form=form, headers=headers)
        shown = Shown(credentials, ticket)
        result = await self._send(request, gate, gate.call(ticket), check, shown)
        if isinstance(result, Answer) and await shown.again(result.status):
            return await self._send(request, gate, gate.call(ticket), check, shown)
        return result

    async def _send(
        self, request: Request, gate: Gate, call: Call, check: Check | None, shown: Shown
    ) -> Answer | Failure | None:
        """Try once, redirects included."""
        url, home = request.url, origin_of(request.url)
        for _ in range(MAX_REDIRECTS + 1):
            reading = Reading(check, self._har)
            passage = gate.passage(call, reading)
            await shown.ready()
            try:
                async with (
                    passage,
                    self.session.request(
                        request.method,
                        url,
                        headers=await shown.on(request.headers),
                        allow_redirects=False,
                        middlewares=(passage,),
                        **request.body(),
                        **self.ways.words(url),
                    ) as response,
                ):
                    pass
            except TROUBLE as error:
                if passage.failure is None:  # it did not come as far as the gate
                    raise ServiceError(
                        "The request cannot be made: check the address of the service."
                    ) from error
                return passage.failure
            if passage.failure is not None or response.status == _TOO_MANY:
                return passage.failure
            if response.status not in REDIRECTS:
                return reading.answer
            url = follow(response, request.method, url, lambda origin: origin == home)
        raise ServiceError(f"The service redirects more than {MAX_REDIRECTS} times.")

    def fetch(
        self,
        ticket: Ticket,
        *,
        gate_of: Callable[[str], Gate],
        allowed: Callable[[str], bool] = lambda _: True,
        credentials: Credentials = NONE,
        home: str = "",
    ) -> Fetch:
        """A download, with as many tries as it takes.

        Args:
            ticket: who asks.
            gate_of: the gate to an origin (as `origin_of` writes it).
            allowed: whether an origin may be gone to.
            credentials: shown to `home` only.
            home: an address of the service that the credentials belong to.
        """
        return Fetch(
            self.session,
            ticket,
            ways=self.ways,
            gate_of=gate_of,
            allowed=allowed,
            shown=Shown(credentials, ticket),
            home=origin_of(home) if home else "",
        )
