"""Downloads: one attempt at a time, across origins, each hop through the gate of its origin.

The caller decides what follows an attempt that broke off: resume, get a fresh link, or start over.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from yarl import URL

from docpipe.errors import ServiceError
from docpipe.gates import STREAMED, TROUBLE, Call, Failure, Gate, failure_of
from docpipe.http.answers import STRANGER, Check, Own, mixed_up
from docpipe.http.credentials import RequestAuth
from docpipe.http.reach import Reach
from docpipe.http.redirects import (
    MAX_REDIRECTS,
    REDIRECTS,
    address,
    follow,
    leads_away,
    operation_of,
    origin_of,
)
from docpipe.http.transport import TransportMap
from docpipe.model import Ticket, Wait

READ_S: Final = 60.0
"""Seconds without a byte after which an attempt ends: before the first, and between any two."""
CONNECT_S: Final = 10.0
SPEED_TIME_S: Final = 60.0
LEAST_SPEED_B_S: Final = 1000
"""A body that arrives more slowly than this over `SPEED_TIME_S` is broken off, and continued."""
_CHUNK_B: Final = 256 * 2**10
_PEEK_B: Final = 2**20
_OK: Final = 200
_BAD_REQUEST: Final = 400
_TOO_MANY: Final = 429


class DownloadError(Exception):
    """An attempt broke off; the gate has counted it, and the next attempt waits as long as it must."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, beside its address and headers."""

    method: str = "GET"
    json: Any = field(default=None, repr=False)
    timeout: float = READ_S
    """Seconds until the answer begins."""
    pages: bool = False
    """Whether a page of HTML may be the file; otherwise it counts as a proxy's error page."""
    encoded: bool = False
    """Whether the caller decodes a Content-Encoding."""
    final: Callable[[int, bytes], bool] | None = None
    """Whether a 5xx with this body is the service's final answer; by default it never is."""
    own: Own | None = None
    """Whether a 4xx comes from the service itself; by default each does. Others are failures."""
    maintenance: bool = False
    """Whether a redirect that is not followed is a failure of the service, as in maintenance."""
    check: Check | None = None
    """Whether a 200 with this JSON body answers the request; only for answers that are no files."""


@dataclass(frozen=True, slots=True)
class Download:
    """An answer whose body is not yet read. Headers ignore case."""

    status: int
    headers: Mapping[str, str]
    _response: aiohttp.ClientResponse = field(repr=False)
    _fetch: "Fetch" = field(repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body in chunks; read it to its end.

        Raises:
            DownloadError: if it breaks off.
        """
        speed = _Speed()
        try:
            async for chunk in speed.measured(self._response.content.iter_chunked(_CHUNK_B)):
                yield chunk
        except _SlowError as error:
            self._fetch.interrupted(Failure(f"a download below {LEAST_SPEED_B_S} bytes a second"))
            raise DownloadError from error
        except TROUBLE as error:
            self._fetch.interrupted(failure_of(error))
            if rest := _unread(self._response.content):
                yield rest
            raise DownloadError from error
        self._fetch.complete()

    def discard(self) -> None:
        """Skip the body; the service counts as having answered."""
        self._fetch.complete()

    async def body(self, limit: int) -> bytes | None:
        """The whole body, None where it is larger than `limit` bytes.

        Raises:
            DownloadError: if it breaks off.
        """
        if (peeked := self._fetch.peeked) is not None:
            if self.status in STREAMED:
                self._fetch.complete()
            return peeked if len(peeked) <= limit else None
        raw = bytearray()
        async for chunk in self.chunks():
            raw += chunk
            if len(raw) > limit:
                return None
        return bytes(raw)


class _SlowError(Exception):
    """A body arrives too slowly."""


class _Speed:
    """Measures how fast a body arrives; the time that its reader takes does not count."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._bytes = 0

    async def measured(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks as they arrive.

        Raises:
            _SlowError: after a chunk, if they are below `LEAST_SPEED_B_S` over `SPEED_TIME_S`.
        """
        now = asyncio.get_running_loop().time
        began = now()
        async for chunk in chunks:
            self._seconds += now() - began
            self._bytes += len(chunk)
            yield chunk
            if self._seconds >= SPEED_TIME_S:
                if self._bytes < LEAST_SPEED_B_S * self._seconds:
                    raise _SlowError
                self._seconds, self._bytes = 0.0, 0
            began = now()


def _unread(content: aiohttp.StreamReader) -> bytes:
    """The unread bytes of a body that broke off: aiohttp keeps them behind its exception."""
    content._exception = None  # noqa: SLF001 -- nothing public gives these bytes
    return content.read_nowait()


class Fetch:
    """The download of one file, through all its attempts. Made by `Http.fetch`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        ticket: Ticket,
        *,
        reach: Reach | None,
        foreign: Callable[[Reach], aiohttp.ClientSession],
        transports: TransportMap,
        gate_of: Callable[[str], Gate],
        allowed: Callable[[str], bool],
        auth: RequestAuth,
        home: str,
    ) -> None:
        self._session = session
        self._ticket = ticket
        self._reach = reach
        self._foreign = foreign
        self._transports = transports
        self._gate_of = gate_of
        self._auth = auth
        self._home = home
        self._allowed = allowed
        self._calls: dict[tuple[str, int], Call] = {}  # by service and hop: where a failure counts
        self._at: tuple[Gate, Call, int] | None = None
        self._origin: str | None = None
        self._failure: Failure | None = None
        self._ask = Ask()
        self.peeked: bytes | None = None
        """The body of the latest answer, or its beginning, where judging the answer required it."""

    @property
    def unreached(self) -> bool:
        """Whether the last attempt failed before anything was sent."""
        return self._failure is not None and not self._failure.sent

    @property
    def refused_by_stranger(self) -> bool:
        """Whether a proxy seems to have refused the last attempt."""
        failure = self._failure
        return failure is not None and failure.stranger and (failure.status or 0) >= _BAD_REQUEST

    @property
    def origin(self) -> str | None:
        """The origin of the latest hop, None before the first."""
        return self._origin

    @property
    def service_wait(self) -> Wait | None:
        """What all callers of the latest hop's service wait for, None while it is up."""
        return None if self._at is None else self._at[0].service.wait()

    @contextlib.asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str] | None = None, ask: Ask | None = None
    ) -> AsyncIterator[Download]:
        """Request the file, after a pause if the last attempt failed.

        Args:
            url: its address.
            headers: such as Range and If-Range.
            ask: the rest of the request.

        Raises:
            DownloadError: if the service failed (here, or while the body is read), or answered 429.
            PoisonedError: if this download alone keeps failing while others succeed.
            ServiceError: if it leads to an origin that is not allowed, or the file comes encoded.
        """
        if self._at is not None and self._failure is not None:
            gate, call, _ = self._at
            await gate.pause(call, self._failure)
        self._failure = None
        self._ask = ask or Ask()
        self._auth.reset()
        response = await self._hops(address(url), {"Accept": "application/zip, */*;q=0.5", **(headers or {})})
        try:
            yield Download(response.status, response.headers, response, self)
        finally:
            response.close()

    async def _hops(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if not self._allowed(origin_of(url)):
            raise ServiceError(f"The archive is at an origin ({url.host}) that is not allowed.")
        for number in range(MAX_REDIRECTS + 1):
            response = await self._hop(url, headers, number)
            if await self._auth.renew(response.status):
                response.close()
                response = await self._hop(url, headers, number)
            if response.status not in REDIRECTS:
                return response
            response.close()
            url = follow(response, self._ask.method, url, self._allowed)
        raise ServiceError(f"The archive's address redirects more than {MAX_REDIRECTS} times.")

    async def _hop(self, url: URL, headers: Mapping[str, str], number: int) -> aiohttp.ClientResponse:
        self._origin = origin = origin_of(url)
        self.peeked = None
        session = await self._session_of(url, origin)
        gate = self._gate_of(origin)
        new = gate.call(self._ticket, operation_of(self._ask.method, url))
        call = self._calls.setdefault((gate.service.name, number), new)
        self._at = gate, call, number
        if origin == self._home:
            await self._auth.wait()
        ask = self._ask
        final = None if ask.final is None else self._final
        passage = gate.passage(call, self._judge, stream=True, timeout=ask.timeout, final=final)
        body = {} if ask.json is None else {"json": ask.json}
        try:
            async with passage:
                response = await session.request(
                    ask.method,
                    url,
                    **body,
                    **self._transports.request_options(url),
                    headers=await self._auth.headers(headers, home=origin == self._home),
                    allow_redirects=False,
                    auto_decompress=False,
                    middlewares=(passage,),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S),
                )
        except TROUBLE as error:
            if passage.failure is None:  # it failed before the gate
                raise ServiceError("The archive's address cannot be used.") from error
            self._failure = passage.failure
            raise DownloadError from error
        if passage.failure is not None or response.status == _TOO_MANY:
            self._failure = passage.failure
            response.close()
            raise DownloadError
        if response.status not in STREAMED:
            self._calls.pop((gate.service.name, number))  # an answer ends a call
        elif not ask.encoded and response.headers.get("Content-Encoding", "identity").lower() != "identity":
            response.close()
            raise ServiceError(
                "The archive is sent encoded, although docpipe requested it without an encoding."
            )
        return response

    async def _session_of(self, url: URL, origin: str) -> aiohttp.ClientSession:
        """The session for a hop. A name is checked at the address it connects to, unless a proxy connects."""
        if self._reach is None or self._reach.trusted(origin):
            return self._session
        await self._reach.check(url)
        return (
            self._session if "proxy" in self._transports.request_options(url) else self._foreign(self._reach)
        )

    def interrupted(self, failure: Failure) -> None:
        """Note that the body broke off."""
        if self._at is not None:
            gate, call, _ = self._at
            self._failure = failure
            gate.report(call, failure)

    def complete(self) -> None:
        """Note that the body is complete."""
        if self._at is not None:
            gate, call, number = self._at
            gate.service.answered(call)
            self._calls.pop((gate.service.name, number), None)

    async def _judge(self, response: aiohttp.ClientResponse) -> Failure | None:
        """The failure of an answer: a page of HTML instead of the file is a proxy's error page."""
        if self._ask.maintenance and response.status in REDIRECTS:
            return leads_away(response, self._ask.method, response.url, self._allowed)
        if (own := self._ask.own) is not None and response.status >= _BAD_REQUEST:
            if own(response.status, response.headers, await self._peek(response)):
                return None
            reason = f"status {response.status}, not in the form of its contract"
            return Failure(reason, status=response.status, cure=STRANGER, stranger=True)
        if response.status in STREAMED and response.content_type == "text/html" and not self._ask.pages:
            return Failure("an answer that breaks the contract", status=response.status, stranger=True)
        if response.status == _OK and self._ask.check is not None:
            return mixed_up(await self._peek(response), self._ask.check)
        return None

    async def _final(self, response: aiohttp.ClientResponse) -> bool:
        body = await self._peek(response)
        return self._ask.final is not None and self._ask.final(response.status, body)

    async def _peek(self, response: aiohttp.ClientResponse) -> bytes:
        raw = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_B):
            raw += chunk
            if len(raw) >= _PEEK_B:
                break
        self.peeked = bytes(raw[:_PEEK_B])
        return self.peeked
