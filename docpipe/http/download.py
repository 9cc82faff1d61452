"""Downloads: one try at a time, over origins, each hop through the gate of its origin.

What to do after a try that broke off (resume, ask for a fresh link, begin anew) is the archive's to decide.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from docpipe.errors import ServiceError
from docpipe.gates import STREAMED, TROUBLE, Call, Failure, Gate, failure_of
from docpipe.http.credentials import Shown
from docpipe.http.redirects import MAX_REDIRECTS, REDIRECTS, address, follow, origin_of
from docpipe.http.transport import TransportMap
from docpipe.model import Json, Ticket

READ_S: Final = 60.0
"""The longest silence: before the first byte, and between any two."""
CONNECT_S: Final = 10.0
_CHUNK_B: Final = 256 * 2**10
_PEEK_B: Final = 64 * 2**10
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class DownloadError(Exception):
    """A try broke off; the gate has seen it, and the next try will wait as long as it must."""


@dataclass(frozen=True, slots=True)
class Ask:
    """How something is asked for, beside its address and headers."""

    method: str = "GET"
    json: Json = field(default=None, repr=False)
    timeout: float = READ_S
    """Seconds until the answer begins."""
    pages: bool = False
    """Whether a page of HTML may be what is asked for; else it is taken for some proxy's apology."""
    encoded: bool = False
    """Whether the caller undoes a Content-Encoding."""
    final: Callable[[int, bytes], bool] | None = None
    """Whether a 5xx with this body is what the service has to say; by default it never is."""


@dataclass(frozen=True, slots=True)
class Download:
    """An answer whose body is still to come. Headers ignore case."""

    status: int
    headers: Mapping[str, str]
    _response: aiohttp.ClientResponse = field(repr=False)
    _fetch: "Fetch" = field(repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, a chunk at a time; to be read to its end.

        Raises:
            DownloadError: if it breaks off.
        """
        try:
            async for chunk in self._response.content.iter_chunked(_CHUNK_B):
                yield chunk
        except TROUBLE as error:
            self._fetch.interrupted(failure_of(error))
            raise DownloadError from error
        self._fetch.complete()

    async def body(self, limit: int) -> bytes | None:
        """The whole body, None where it is larger than `limit` bytes.

        Raises:
            DownloadError: if it breaks off.
        """
        if self.status >= _SERVER_ERROR:
            return self._fetch.peeked
        raw = bytearray()
        async for chunk in self.chunks():
            raw += chunk
            if len(raw) > limit:
                return None
        return bytes(raw)


class Fetch:
    """One file's download, through all its tries. Made by `Http.fetch`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        ticket: Ticket,
        *,
        ways: TransportMap,
        gate_of: Callable[[str], Gate],
        allowed: Callable[[str], bool],
        shown: Shown,
        home: str,
    ) -> None:
        self._session = session
        self._ticket = ticket
        self._ways = ways
        self._gate_of = gate_of
        self._shown = shown
        self._home = home
        self._allowed = allowed
        self._calls: dict[tuple[str, int], Call] = {}  # by service and hop: whom a failure speaks against
        self._at: tuple[Gate, Call, int] | None = None
        self._failure: Failure | None = None
        self._ask = Ask()
        self.peeked = b""
        """The body of the latest 5xx, or as much of it as was read to judge it."""

    @property
    def unreached(self) -> bool:
        """Whether the last try failed before anything was sent: nobody is there."""
        return self._failure is not None and not self._failure.sent

    @contextlib.asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str] | None = None, ask: Ask | None = None
    ) -> AsyncIterator[Download]:
        """Ask for the file, after a pause if the last try failed.

        Args:
            url: its address.
            headers: such as Range and If-Range.
            ask: how, beside that.

        Raises:
            DownloadError: if the service failed (here, or while the body is read), or said 429.
            PoisonedError: if this download alone keeps failing while others succeed.
            ServiceError: if it leads where docpipe does not go, or sends the file encoded.
        """
        if self._at is not None and self._failure is not None:
            gate, call, _ = self._at
            await gate.pause(call, self._failure)
        self._failure = None
        self._ask = ask or Ask()
        self._shown.afresh()
        response = await self._hops(address(url), {"Accept": "application/zip, */*;q=0.5", **(headers or {})})
        try:
            yield Download(response.status, response.headers, response, self)
        finally:
            response.close()

    async def _hops(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if not self._allowed(origin_of(url)):
            raise ServiceError(f"The archive lies at an origin ({url.host}) that is not allowed.")
        for number in range(MAX_REDIRECTS + 1):
            response = await self._hop(url, headers, number)
            if await self._shown.again(response.status):
                response.close()
                response = await self._hop(url, headers, number)
            if response.status not in REDIRECTS:
                return response
            response.close()
            url = follow(response, self._ask.method, url, self._allowed)
        raise ServiceError(f"The archive's address redirects more than {MAX_REDIRECTS} times.")

    async def _hop(self, url: URL, headers: Mapping[str, str], number: int) -> aiohttp.ClientResponse:
        origin = origin_of(url)
        gate = self._gate_of(origin)
        call = self._calls.setdefault((gate.service.name, number), gate.call(self._ticket))
        self._at = gate, call, number
        if origin == self._home:
            await self._shown.ready()
        ask = self._ask
        final = None if ask.final is None else self._final
        passage = gate.passage(call, self._judge, stream=True, timeout=ask.timeout, final=final)
        body = {} if ask.json is None else {"json": ask.json}
        try:
            async with passage:
                response = await self._session.request(
                    ask.method,
                    url,
                    **body,
                    **self._ways.words(url),
                    headers=await self._shown.on(headers, home=origin == self._home),
                    allow_redirects=False,
                    auto_decompress=False,
                    middlewares=(passage,),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S),
                )
        except TROUBLE as error:
            if passage.failure is None:  # it did not come as far as the gate
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
            raise ServiceError("The archive is sent encoded, although docpipe asked for it as it is.")
        return response

    def interrupted(self, failure: Failure) -> None:
        """The body broke off."""
        if self._at is not None:
            gate, call, _ = self._at
            self._failure = failure
            gate.report(call, failure)

    def complete(self) -> None:
        """The body came to its end."""
        if self._at is not None:
            gate, call, number = self._at
            gate.service.answered(call)
            self._calls.pop((gate.service.name, number), None)

    async def _judge(self, response: aiohttp.ClientResponse) -> Failure | None:
        """A page of HTML in place of what was asked for is some proxy's apology."""
        if response.status in STREAMED and response.content_type == "text/html" and not self._ask.pages:
            return Failure("an answer that breaks the contract", status=response.status)
        return None

    async def _final(self, response: aiohttp.ClientResponse) -> bool:
        raw = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_B):
            raw += chunk
            if len(raw) >= _PEEK_B:
                break
        self.peeked = bytes(raw[:_PEEK_B])
        return self._ask.final is not None and self._ask.final(response.status, self.peeked)
