"""Requests to a FHIR server, through its gates until answered; which addresses get credentials."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from json import dumps as json_of
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from docpipe.config.config import Docex
from docpipe.errors import ArchiveError, ServiceError
from docpipe.gates import Gate
from docpipe.gates.line import waiting
from docpipe.http import (
    NONE,
    Ask,
    Check,
    Credentials,
    Download,
    DownloadError,
    Fetch,
    Http,
    Reach,
    is_problem,
    origin_of,
)
from docpipe.http.redirects import address, joined, operation_of
from docpipe.http.verdicts import describe_probe
from docpipe.model import Ticket, Wait, WaitKind
from docpipe.sources.docex.partial import write
from docpipe.sources.encodings import DamagedError, decoded
from docpipe.sources.fhir.doubts import Doubt, Experience, Refusal
from docpipe.sources.fhir.resources import Resource
from docpipe.sources.fhir.vocabulary import Issues, outcome, parsed
from docpipe.sources.fhir.xml import resource_of
from docpipe.util.fsync import sync_file, sync_folder

log = structlog.get_logger(__name__)

FHIR: Final = "application/fhir+json"
FHIR_XML: Final = "application/fhir+xml"
LARGEST_WORD: Final = 2**20
"""Bytes of an answer that is no result, such as an OperationOutcome."""
LARGEST_PAGE: Final = 256 * 2**20
"""Bytes of a Bundle or a manifest."""
LARGEST_STATEMENT: Final = 32 * 2**20
"""Bytes of a CapabilityStatement."""
AGAIN_S: Final = 5.0
"""A refusal is requested again after this many seconds, before it is final."""
_HEAD: Final = 1024
_NOT_FINAL: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` is its JSON value, None where it was written to a file, or is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: object = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300  # noqa: PLR2004 -- RFC 9110, 15.3

    @property
    def refused(self) -> bool:
        """Whether it is a 4xx."""
        return HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def issues(self) -> Issues | None:
        """Those of its OperationOutcome."""
        return outcome(self.body)


@dataclass(frozen=True, slots=True)
class Wire:
    """Requests to one FHIR server, and to the origins of its files."""

    http: Http
    config: Docex
    searching: Gate
    polling: Gate
    files: Callable[[str], Gate]
    """The gate of an origin of files."""
    credentials: Credentials
    _forms: list[str] = field(default_factory=lambda: [FHIR])
    """The media type of resources that the server sends: JSON, unless it refuses that."""
    experience: Experience = field(default_factory=Experience)
    """Of refusals without an OperationOutcome."""

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

    def at_home(self, address: str, base: str) -> str:
        """An address that the server gives, relative to its origin where it is the server's, else absolute.

        Servers behind a proxy often give their internal address; the configured origin is used instead.

        Args:
            address: of a header or a link, absolute or relative.
            base: the address of the request that was answered so.

        Raises:
            ServiceError: if it cannot be used.
        """
        try:
            parts = urlsplit(joined(base, address))
        except ValueError as error:
            raise ServiceError("The exchange gave an address that cannot be used.") from error
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ServiceError("The exchange gave an address that cannot be used.")
        origin = origin_of(f"{parts.scheme}://{parts.netloc}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if origin != self.home and self.trusted(origin):
            return f"{parts.scheme}://{parts.netloc}{path}"
        if origin != self.home:
            log.warning("internal_address_replaced", host=parts.hostname)
        return path

    def whole(self, address: str) -> str:
        """An address of `at_home` as absolute: the server may have another port after a restart."""
        return joined(self.config.base_url, address)

    async def request(
        self,
        ticket: Ticket,
        method: str,
        url: str,
        *,
        gate: Gate,
        accept: str = FHIR,
        headers: Mapping[str, str] | None = None,
        json: Resource | None = None,
        into: Path | None = None,
        final: Callable[[int, bytes], bool] | None = None,
        check: Check | None = None,
        lacking: Callable[[object], bool] | None = None,
    ) -> Reply:
        """Send a request until it is answered, however long the server is down.

        A 4xx that is no OperationOutcome may come from a proxy: the request is sent again while the server
        itself answers, until `Doubt.believes` it.

        Args:
            ticket: of the caller.
            method: in capitals.
            url: absolute.
            gate: to the endpoint.
            accept: the media type.
            headers: more of them.
            json: the body, a FHIR resource.
            into: the file for the body of a 200; it is complete or absent.
            final: whether a 5xx is a final answer; by default where it has the code `not-supported`.
            check: whether the body of a 200 answers this request; not with `into`.
            lacking: whether the server does not offer the request, by its CapabilityStatement: then a refusal
                is believed.

        Raises:
            PoisonedError: if this request alone keeps failing while others succeed.
            ServiceError: if it leads to an origin that is not allowed, or the answer is too large.
            OSError: if the file cannot be written.
        """
        fetch = self.fetch(ticket, url, lambda _: gate, self.trusted)
        form = self._forms[0] if accept == FHIR else accept
        sent = {"Accept": form, **(headers or {})} | ({} if json is None else {"Content-Type": FHIR})
        ask = Ask(
            method,
            json,
            gate.timeout,
            encoded=True,
            final=final or not_supported,
            maintenance=True,
            check=check,
        )
        operation = operation_of(method, address(url))
        doubt: Doubt | None = None
        while True:
            try:
                async with fetch.open(url, sent, ask) as answer:
                    reply, raw = await self._read(answer, into)
            except DownloadError:  # the gate has counted it, and decides when to retry
                continue
            if reply.status == HTTPStatus.NOT_ACCEPTABLE and form == FHIR:  # a server that has XML alone
                self._forms[0] = form = sent["Accept"] = FHIR_XML
                continue
            self.experience.answers[operation] += reply.ok
            if not reply.refused or origin_of(url) != self.home or is_own(reply.status, reply.headers, raw):
                return reply
            doubt = doubt or self.experience.doubt(operation)
            if doubt.believes(Refusal.of(reply.status, reply.headers, raw)):
                return reply
            log.warning("refusal_without_outcome", run_id=ticket.run_id, status=reply.status)
            statement = await self.confirm(ticket, doubt.pause())
            if lacking is not None and lacking(statement):
                return reply

    @staticmethod
    async def _read(answer: Download, into: Path | None) -> tuple[Reply, bytes]:
        """An answer, and its body where it was not written to the file."""
        if answer.status == HTTPStatus.OK and into is not None:
            await save(answer, into)
            await asyncio.to_thread(_convert_to_json, into)
            return Reply(answer.status, answer.headers), b""
        raw = await answer.body(LARGEST_WORD)
        return Reply(answer.status, answer.headers, None if raw is None else parsed(raw)), raw or b""

    async def confirm(self, ticket: Ticket, pause: float) -> object:
        """After a pause in seconds, wait until the FHIR server itself answers: a refusal may be a proxy's.

        Its capabilities are requested: while a proxy answers in its place, the server is down.

        Returns:
            The JSON of the answer, None where it is none.
        """
        now = self.searching.service.clock()
        with waiting(ticket, Wait(WaitKind.RETRY, "docex", now, now + pause)):
            await asyncio.sleep(pause)
        url = f"{self.config.base_url}/metadata"
        fetch = self.fetch(ticket, url, lambda _: self.polling, self.trusted)
        ask = Ask(timeout=self.polling.timeout, encoded=True, final=from_server, own=is_own, maintenance=True)
        while True:
            try:
                async with fetch.open(url, {"Accept": FHIR}, ask) as answer:
                    raw = await answer.body(LARGEST_STATEMENT)
                    return None if raw is None else parsed(raw)
            except DownloadError:
                continue

    async def probe(self, ticket: Ticket) -> str:
        """Request the capabilities of the server, once, at no cost of a search; returns the answer in words.

        Raises:
            UnfitError: if docpipe cannot use the server.
        """
        url = f"{self.config.base_url}/metadata"
        answer = await self.http.once(url, gate=self.polling, ticket=ticket, credentials=self.credentials)
        return describe_probe(answer, self.config, "the request for its capabilities", also=(404, 410))

    def fetch(
        self,
        ticket: Ticket,
        url: str,
        gate_of: Callable[[str], Gate],
        allowed: Callable[[str], bool],
        *,
        token: bool = True,
    ) -> Fetch:
        """A download; credentials are sent to its origin if that is trusted."""
        origin = origin_of(url)
        trusted = token and self.trusted(origin)
        return self.http.fetch(
            ticket,
            gate_of=gate_of,
            allowed=allowed,
            credentials=self.credentials if trusted else NONE,
            home=origin if trusted else "",
            reach=Reach(self.config.base_url, self.config.archive_origins, self.config.allow_http),
        )


def is_own(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 4xx comes from the FHIR server itself: an OperationOutcome in JSON or XML, or a challenge."""
    return is_problem(status, headers, body) or outcome(parsed(body)) is not None


def not_supported(status: int, body: bytes) -> bool:
    """Whether a 5xx says that the server does not know the operation."""
    issues = outcome(parsed(body))
    return status == HTTPStatus.NOT_IMPLEMENTED or (issues is not None and "not-supported" in issues.codes)


def from_server(status: int, body: bytes) -> bool:
    """Whether a 5xx comes from the FHIR server itself, with an OperationOutcome, and not from a proxy."""
    return status == HTTPStatus.NOT_IMPLEMENTED or (
        status not in _NOT_FINAL and outcome(parsed(body)) is not None
    )


def refused(status: int, body: bytes) -> bool:
    """Whether a 5xx is the server's final answer for a file."""
    issues = outcome(parsed(body))
    return status == HTTPStatus.NOT_IMPLEMENTED or (issues is not None and not issues.transient)


def broken(status: int, body: bytes) -> bool:
    """Whether a 5xx may concern one file alone, where the server delivers others."""
    bare = outcome(parsed(body)) is None and status == HTTPStatus.INTERNAL_SERVER_ERROR
    return bare or refused(status, body)


async def save(answer: Download, path: Path, limit: int = LARGEST_PAGE) -> None:
    """Write a body to a file durably; the file is complete or absent.

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
        raise ServiceError("An answer of the exchange is compressed, and damaged.") from error
    publish(part, path)


def _convert_to_json(path: Path) -> None:
    """Replace a resource in XML by the same in JSON; any other file stays as it is."""
    with path.open("rb") as file:
        if file.read(_HEAD).lstrip()[:1] != b"<":
            return
    resource = resource_of(path.read_bytes())
    if resource is not None:
        part = path.with_name(f"{path.name}.part")
        part.write_text(json_of(resource), "utf-8")
        publish(part, path)


def publish(part: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    sync_file(part)
    part.replace(path)
    sync_folder(path.parent)
