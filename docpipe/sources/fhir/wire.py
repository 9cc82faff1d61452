"""Requests to a FHIR server, through its gates until answered; where addresses lead, who sees credentials."""

import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import structlog

from docpipe.config.config import Docex
from docpipe.errors import ArchiveError, ServiceError
from docpipe.gates import Gate
from docpipe.http import NONE, Ask, Credentials, Download, DownloadError, Fetch, Http, origin_of
from docpipe.http.verdicts import describe_probe
from docpipe.model import Json, Ticket
from docpipe.sources.docex.partial import write
from docpipe.sources.fhir.vocabulary import Told, outcome, parsed
from docpipe.util.fsync import sync_file, sync_folder

log = structlog.get_logger(__name__)

FHIR: Final = "application/fhir+json"
LARGEST_WORD: Final = 2**20
"""Bytes of an answer that says something rather than holds something."""
LARGEST_PAGE: Final = 256 * 2**20
"""Bytes of a Bundle or a manifest."""
_NOT_FINAL: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


class DamagedError(Exception):
    """A body is not packed as the server says."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` is its JSON value, None where it went into a file, or is none."""

    status: int
    headers: Mapping[str, str]
    body: Json = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 -- RFC 9110, 15.3

    @property
    def told(self) -> Told | None:
        """The OperationOutcome in it."""
        return outcome(self.body)


@dataclass(frozen=True, slots=True)
class Wire:
    """The way to one FHIR server, and to where its files lie."""

    http: Http
    config: Docex
    searching: Gate
    asking: Gate
    files: Callable[[str], Gate]
    """The gate of an origin that files come from."""
    credentials: Credentials

    @property
    def home(self) -> str:
        """The origin that the credentials are for."""
        return origin_of(self.config.base_url)

    def trusted(self, origin: str) -> bool:
        """Whether an origin is the server's own, or named in the configuration."""
        return origin == self.home or origin in self.config.archive_origins

    def allowed(self, origin: str) -> bool:
        """Whether files may come from an origin."""
        return self.trusted(origin) or not self.config.archive_origins

    def at_home(self, address: str, told_by: str) -> str:
        """Where to ask after what the server told of: relative to its origin, else whole.

        Servers behind a proxy often tell the address that they have inside; asked is where they are known.

        Args:
            address: as of a header or a link, whole or relative.
            told_by: the address of the request that was answered so.

        Raises:
            ServiceError: if it cannot be used.
        """
        try:
            parts = urlsplit(urljoin(told_by, address))
        except ValueError as error:
            raise ServiceError("The exchange gave an address that cannot be used.") from error
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ServiceError("The exchange gave an address that cannot be used.")
        origin = origin_of(f"{parts.scheme}://{parts.netloc}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if origin != self.home and self.trusted(origin):
            return f"{parts.scheme}://{parts.netloc}{path}"
        if origin != self.home:
            log.warning("address_taken_home", host=parts.hostname)
        return path

    def whole(self, address: str) -> str:
        """An address that `at_home` gave, as it can be asked now: the server may have another port."""
        return urljoin(self.config.base_url, address)

    async def ask(
        self,
        ticket: Ticket,
        method: str,
        url: str,
        *,
        gate: Gate,
        accept: str = FHIR,
        headers: Mapping[str, str] | None = None,
        json: Json = None,
        into: Path | None = None,
        final: Callable[[int, bytes], bool] | None = None,
    ) -> Reply:
        """Send a request until it is answered, however long the server is down.

        Args:
            ticket: who asks.
            method: in capitals.
            url: whole.
            gate: to the endpoint.
            accept: the media type.
            headers: more of them.
            json: the body, a FHIR resource.
            into: the file that a 200's body goes into, there as a whole or not at all.
            final: whether a 5xx is what the server has to say; by default where it says `not-supported`.

        Raises:
            PoisonedError: if this request alone keeps failing while others succeed.
            ServiceError: if it leads where docpipe does not go, or the answer is too large.
            OSError: if the file cannot be written.
        """
        fetch = self.fetch(ticket, url, lambda _: gate, self.trusted)
        sent = {"Accept": accept, **(headers or {})} | ({} if json is None else {"Content-Type": FHIR})
        ask = Ask(method, json, gate.timeout, encoded=True, final=final or not_supported)
        while True:
            try:
                async with fetch.open(url, sent, ask) as answer:
                    if answer.status == HTTPStatus.OK and into is not None:
                        await save(answer, into)
                        return Reply(answer.status, answer.headers)
                    raw = await answer.body(LARGEST_WORD)
                    return Reply(answer.status, answer.headers, None if raw is None else parsed(raw))
            except DownloadError:  # the gate has seen it, and decides when to go on
                continue

    async def probe(self, ticket: Ticket) -> str:
        """Ask once what the server can do, which costs no search: what it answered, in a few words.

        Raises:
            UnfitError: if it cannot be used as it is.
        """
        url = f"{self.config.base_url}/metadata"
        answer = await self.http.once(url, gate=self.asking, ticket=ticket, credentials=self.credentials)
        return describe_probe(answer, self.config, "the question after what it can do", also=(404, 410))

    def fetch(
        self,
        ticket: Ticket,
        url: str,
        gate_of: Callable[[str], Gate],
        allowed: Callable[[str], bool],
        *,
        token: bool = True,
    ) -> Fetch:
        """Something to be fetched; the credentials are shown to its origin if that is one to trust."""
        origin = origin_of(url)
        shown = token and self.trusted(origin)
        return self.http.fetch(
            ticket,
            gate_of=gate_of,
            allowed=allowed,
            credentials=self.credentials if shown else NONE,
            home=origin if shown else "",
        )


def not_supported(status: int, body: bytes) -> bool:
    """Whether a 5xx says that the server does not know the operation."""
    told = outcome(parsed(body))
    return status == HTTPStatus.NOT_IMPLEMENTED or (told is not None and "not-supported" in told.codes)


def said(status: int, body: bytes) -> bool:
    """Whether a 5xx comes from the FHIR server itself, with its reason, and not from a proxy before it."""
    return status == HTTPStatus.NOT_IMPLEMENTED or (
        status not in _NOT_FINAL and outcome(parsed(body)) is not None
    )


def refused(status: int, body: bytes) -> bool:
    """Whether a 5xx is what the server itself has to say of a file, and not for now."""
    told = outcome(parsed(body))
    return status == HTTPStatus.NOT_IMPLEMENTED or (told is not None and not told.transient)


def broken(status: int, body: bytes) -> bool:
    """Whether a 5xx may be the fault of one file alone, if the server brings others."""
    bare = outcome(parsed(body)) is None and status == HTTPStatus.INTERNAL_SERVER_ERROR
    return bare or refused(status, body)


async def save(answer: Download, path: Path, limit: int = LARGEST_PAGE) -> None:
    """Write a body to a file, which is there as a whole and durably, or not at all.

    Raises:
        DownloadError: if it breaks off.
        ServiceError: if it is too large.
        OSError: if the disk fails or is full.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        await write(part, 0, decoded(answer), limit)
    except ArchiveError as error:
        raise ServiceError(f"An answer of the exchange is larger than {limit >> 20} MiB.") from error
    except DamagedError as error:
        raise ServiceError("An answer of the exchange is packed, and damaged.") from error
    publish(part, path)


def publish(part: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    sync_file(part)
    part.replace(path)
    sync_folder(path.parent)


async def decoded(answer: Download) -> AsyncIterator[bytes]:
    """The body of an answer as it was before the server packed it.

    Raises:
        DownloadError: if it breaks off.
        DamagedError: if it is not packed as the server says.
    """
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        async for chunk in answer.chunks():
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ServiceError("The exchange sends a file encoded in a way that docpipe did not ask for.")
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        async for chunk in answer.chunks():
            rest = chunk
            while rest and not machine.eof:
                yield machine.decompress(rest, 2**20)
                rest = machine.unconsumed_tail
    except zlib.error as error:
        raise DamagedError from error
    if not machine.eof:
        raise DamagedError
