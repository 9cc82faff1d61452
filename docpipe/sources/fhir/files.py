"""Fetches single files: resumed after a break, unwrapped from Binaries, compared with their declarations.

A problem of one file is its own, and never stops the others.
"""

import asyncio
import base64
import binascii
import hashlib
import json
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog

from docpipe.errors import ArchiveError, ServiceError
from docpipe.gates.line import waiting
from docpipe.http import Ask, Download, DownloadError, Fetch, origin_of
from docpipe.model import Clock, Ticket, Wait, WaitKind
from docpipe.sources.docex.partial import Part, write
from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.patience import OriginPatience, UnansweredError
from docpipe.sources.fhir.resources import Binary, Resource
from docpipe.sources.fhir.vocabulary import is_id, parsed, referred
from docpipe.sources.fhir.wanted import foreign
from docpipe.sources.fhir.wire import (
    AGAIN_S,
    DOUBTS,
    FHIR,
    LARGEST_PAGE,
    LARGEST_WORD,
    DamagedError,
    Wire,
    broken,
    decoded,
    is_own,
    publish,
    refused,
)

log = structlog.get_logger(__name__)

NDJSON: Final = "application/fhir+ndjson"
TRIES: Final = 5
"""Attempts at a file for which the server answers 5xx, while it is up."""
TRIES_DAMAGED: Final = 3
_BODY_COMES: Final = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_ANOTHER_FORM: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_ANY: Final = "*/*"
_PAGES: Final = ("text/html", "application/xhtml+xml")
_JSON: Final = (FHIR, "application/json", "application/json+fhir")
_XML: Final = ("application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir")
_WITHOUT_DATA: Final = "The exchange sends its entry without the data."
_ANOTHER: Final = "The exchange sends another file than the one that it lists."
_REASONS: Final = {
    401: "The exchange does not let docpipe have it (401).",
    403: "The exchange does not let docpipe have it (403).",
    404: "The exchange lists it, but does not have it (404).",
    406: "The exchange offers it in none of the formats that docpipe requested (406).",
    410: "The exchange lists it, but does not have it any more (410).",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from, and what is declared of it."""

    url: str
    media_type: str | None = None
    size: int | None = None
    sha1: str | None = None
    token: bool = True
    """Whether the credentials may be sent."""
    patient: str | None = None
    """The logical id of the patient that it may name."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How failures of the server at one file are handled."""

    tries: int = TRIES
    up: bool = True
    """Whether the server is known to be up; else a 500 without OperationOutcome is waited out."""


@dataclass(frozen=True, slots=True)
class Got:
    """The result of fetching a file."""

    problem: str | None = None
    """Why it could not be fetched, for people."""
    status: int | None = None
    """The last answer's, where there is a problem."""
    too_large: bool = False
    media_type: str | None = None
    """As the answer declares it."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    media_type: str
    own: bool = True
    """Whether a 4xx of the server's origin comes from the server itself."""


_NO_BODY: Final = 0
_DAMAGED: Final = _Answer(_NO_BODY, "")
_DAMAGES: Final = (_NO_BODY, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


class _Tries:
    """The attempts at one file."""

    def __init__(self, source: Source, most: int) -> None:
        self.forms = [NDJSON, _ANY] if source.media_type == NDJSON else [_form(source.media_type), FHIR, _ANY]
        self.source = source
        self.url = source.url
        self._most = most
        self.failures = 0
        self.damages = 0
        self.doubts = 0
        """Refusals that may be a proxy's."""

    def read_data(self) -> bool:
        """Request the data alone next, of a Binary without data; False where that is not possible."""
        if self.url != self.source.url or not _is_of_binary(self.source):
            return False
        self.url = f"{self.source.url.partition('?')[0]}/$binary-access-read?path=Binary"
        self.forms = [_ANY]
        return True

    def refused(self, status: int) -> Got | None:
        """Count an answer without the file; returns the final result, None for another attempt."""
        if status in _DAMAGES:
            self.damages += 1
            if self.damages < TRIES_DAMAGED:
                return None
            return Got(f"It arrived damaged {self.damages} times.")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.failures += 1
            if self.failures < self._most:
                return None
            return Got(f"The exchange fails at it each time (status {status}).", status)
        if status in _ANOTHER_FORM and len(self.forms) > 1:
            del self.forms[0]
            return None
        reason = _REASONS.get(status, f"The exchange refuses it (status {status}).")
        return Got(reason if self.url == self.source.url else _WITHOUT_DATA, status)


class Files:
    """Fetches files of one server.

    Args:
        wire: to the server.
        clock: the wall clock.
        largest: bytes of a file.
        patience: seconds for which another origin than the server's may not answer; None for no bound.
    """

    def __init__(self, wire: Wire, clock: Clock, largest: int, patience: float | None = None) -> None:
        self._wire = wire
        self._clock = clock
        self._largest = largest
        self._patience = patience
        self._doubts = DOUBTS
        """Of one file; fewer once such refusals have proved to be the server's."""

    async def get(self, ticket: Ticket, source: Source, path: Path, patience: Patience) -> Got:
        """Fetch a file to `path`; what earlier attempts left there is continued, or used where complete.

        Raises:
            OSError: if it cannot be written.
        """
        if (known := _known(path)) is not None:
            return known
        try:
            got = await self._get(ticket, source, path, patience)
        except ServiceError as error:  # of this file alone: others are fetched all the same
            return Got(str(error), error.status)
        except UnansweredError as error:
            return Got(str(error))
        except ArchiveError:
            return Got(f"It is larger than {self._largest >> 20:,} MiB.", too_large=True)
        if got.problem is None:
            await asyncio.to_thread(_finished, path, got)
        return got

    async def _get(self, ticket: Ticket, source: Source, path: Path, patience: Patience) -> Got:
        fetch = self._wire.fetch(ticket, source.url, self._wire.files, self._wire.allowed, token=source.token)
        tries = _Tries(source, patience.tries)
        part = path.with_name(f"{path.name}.part")
        bounded = OriginPatience(fetch, self._wire.home, self._patience, self._clock)
        bounded.begin(origin_of(source.url), self._wire.files)
        while True:
            try:
                async with bounded.attempt() as bound:
                    answer = await self._try(fetch, tries, part, bound, up=patience.up)
            except DownloadError:  # the gate has counted it, and decides when to retry
                continue
            except DamagedError:
                answer = _DAMAGED
            if answer.status in _BODY_COMES:
                got = await self._arrived(ticket, answer, tries, part)
            else:
                got = await self._refused(ticket, answer, tries, part)
            if got is not None:
                return got

    async def _arrived(self, ticket: Ticket, answer: _Answer, tries: _Tries, part: Path) -> Got | None:
        """Judge a file that arrived; None for another attempt."""
        judged = await asyncio.to_thread(_judged, part, tries.source, answer.media_type)
        last = tries.damages + 1 == TRIES_DAMAGED
        if judged.empty:
            await asyncio.to_thread(part.unlink)
            return None if tries.read_data() else Got(_WITHOUT_DATA)
        if not judged.problems or (last and not judged.another):
            return Got(media_type=judged.media_type, warnings=judged.problems)
        if last:
            await asyncio.to_thread(part.unlink)
            return Got(_ANOTHER)
        return await self._refused(ticket, _DAMAGED, tries, part)

    async def _refused(self, ticket: Ticket, answer: _Answer, tries: _Tries, part: Path) -> Got | None:
        """Judge an answer without the file, or with a damaged one; None for another attempt."""
        if not answer.own and tries.doubts < self._doubts:
            await self._wire.confirm(ticket, AGAIN_S * 2**tries.doubts)
            tries.doubts += 1
            return None
        if not answer.own:
            self._doubts = 1
        if (got := tries.refused(answer.status)) is not None:
            return got
        if answer.status in _DAMAGES:
            await asyncio.to_thread(part.unlink, missing_ok=True)
            log.warning("file_damaged", run_id=ticket.run_id, tries=tries.damages)
        elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            await self._pause(ticket, 2.0 ** (tries.failures - 1))
        return None

    async def _try(
        self, fetch: Fetch, tries: _Tries, part: Path, bound: asyncio.Timeout, *, up: bool
    ) -> _Answer:
        source, form = tries.source, tries.forms[0]
        tag = part.with_name(f"{part.name}.etag")
        there = Part.of(part, None, _etag_in(tag))
        encodings = {"Accept-Encoding": "gzip, identity;q=0.5"} if source.media_type == NDJSON else {}
        pages = _plain(source.media_type) in _PAGES
        final = broken if up else refused
        ask = Ask(timeout=self._wire.asking.timeout, pages=pages, encoded=True, final=final)
        async with fetch.open(tries.url, {"Accept": form, **encodings, **there.headers()}, ask) as answer:
            bound.reschedule(None)
            if answer.status in _BODY_COMES:
                if (start := there.start(answer)) is None:
                    there.refuse(answer)
                    raise DamagedError
                there.begin(start)
                if not start or "ETag" in answer.headers:
                    _note_etag(tag, answer)
                await write(part, start, decoded(answer), self._largest)
            own = True
            if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                own = fetch.origin != self._wire.home or is_own(
                    answer.status, answer.headers, await answer.body(LARGEST_WORD) or b""
                )
            return _Answer(answer.status, _plain(answer.headers.get("Content-Type")), own)

    async def _pause(self, ticket: Ticket, seconds: float) -> None:
        now = self._clock()
        with waiting(ticket, Wait(WaitKind.RETRY, "docex", now, now + seconds)):
            await asyncio.sleep(seconds)


def _etag_in(tag: Path) -> object:
    """The ETag that `_note_etag` wrote, None where it wrote none."""
    noted = parsed(tag.read_bytes()) if tag.exists() else None
    return noted.get("etag") if isinstance(noted, dict) else None


def _note_etag(tag: Path, answer: Download) -> None:
    """Write down the ETag of the bytes to come, where the rest can be requested later."""
    etag = answer.headers.get("ETag")
    if etag and "Content-Encoding" not in answer.headers:
        tag.write_text(json.dumps({"etag": etag}), "utf-8")
    else:
        tag.unlink(missing_ok=True)


def _known(path: Path) -> Got | None:
    """The result of an earlier attempt, None where there is none."""
    if not path.exists():
        return None
    notes = path.with_name(f"{path.name}.json")
    return Got(**(parsed(notes.read_bytes()) if notes.exists() else {}))


def _finished(path: Path, got: Got) -> None:
    notes = path.with_name(f"{path.name}.json")
    notes.write_text(json.dumps(asdict(got)), "utf-8")
    part = path.with_name(f"{path.name}.part")
    publish(part, path)
    part.with_name(f"{part.name}.etag").unlink(missing_ok=True)


def _form(media_type: str | None) -> str:
    """A media type as a header may contain it."""
    return media_type if media_type and media_type.isascii() and media_type.isprintable() else _ANY


def _plain(media_type: str | None) -> str:
    return (media_type or "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a file that arrived is."""

    problems: list[str] = field(default_factory=list)
    media_type: str | None = None
    another: bool = False
    """Whether it is another file."""
    empty: bool = False
    """Whether it is a Binary without data."""


def _judged(part: Path, source: Source, came_as: str) -> _Judged:
    """Compare a file that arrived with what is declared of it; a Binary is replaced by its content.

    Servers answer with the resource Binary where the media type is one of FHIR (https://hl7.org/fhir/binary.html).
    """
    media_type = came_as or None
    binary = _binary_in(part, source, came_as)
    if binary is not None:
        if _is_another(binary, source):
            return _Judged([_ANOTHER], media_type, another=True)
        fields = struct_of(Binary, binary) or Binary()
        content = from_base64(fields.data)
        if not content:
            return _Judged([_WITHOUT_DATA], media_type, empty=True)
        part.write_bytes(content)
        media_type = fields.content_type
    problems = mismatches(part, source.size, source.sha1)
    return _Judged(problems, media_type, another=len(problems) > 1)  # neither size nor checksum


def _binary_in(part: Path, source: Source, came_as: str) -> Resource | None:
    """The Binary that a file is, in JSON or XML; None for any other file."""
    declared = _plain(source.media_type)
    if came_as not in (*_JSON, *_XML) or declared == NDJSON or part.stat().st_size > 2 * LARGEST_PAGE:
        return None
    if declared in (*_JSON, *_XML) and not _is_of_binary(source):
        return None
    raw = part.read_bytes()
    value = parsed(raw) if b"Binary" in raw else None
    return value if isinstance(value, dict) and value.get("resourceType") == "Binary" else None


def _is_of_binary(source: Source) -> bool:
    """Whether the address is that of a Binary."""
    place = referred(source.url)
    return place is not None and place[0] == "Binary"


def _is_another(binary: Resource, source: Source) -> bool:
    """Whether a Binary has another id, or names another patient."""
    asked, id_ = referred(source.url), binary.get("id")
    if asked is not None and asked[0] == "Binary" and is_id(id_) and id_ != asked[1]:
        return True
    return source.patient is not None and foreign(binary, source.patient)


def mismatches(path: Path, size: int | None, sha1: str | None) -> list[str]:
    """The differences between a file and what is declared of it."""
    problems = []
    if size is not None and path.stat().st_size != size:
        problems.append(f"The exchange says that it has {size:,} bytes; {path.stat().st_size:,} came.")
    if sha1 is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha1").digest()
        if sha1 not in (base64.b64encode(digest).decode(), digest.hex(), digest.hex().upper()):
            problems.append("Its checksum is not what the exchange says.")
    return problems


def from_base64(data: object) -> bytes | None:
    """Decode a base64Binary, None where it is none; white space is ignored, padding may be missing."""
    if not isinstance(data, str):
        return None
    plain = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
