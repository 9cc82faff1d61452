"""Fetches single files: resumed where they broke off, unwrapped, held against what is said of them.

What is wrong with one file is told of it, and never stops the others.
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
from docpipe.http import Ask, Download, DownloadError, Fetch
from docpipe.model import Clock, Ticket, Wait, WaitKind
from docpipe.sources.docex.partial import Part, write
from docpipe.sources.fhir.vocabulary import parsed
from docpipe.sources.fhir.wire import (
    FHIR,
    LARGEST_PAGE,
    DamagedError,
    Wire,
    broken,
    decoded,
    publish,
    refused,
)

log = structlog.get_logger(__name__)

NDJSON: Final = "application/fhir+ndjson"
TRIES: Final = 5
"""Of a file that the server itself fails at, while it is up."""
TRIES_DAMAGED: Final = 3
_BODY_COMES: Final = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_ANOTHER_FORM: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_ANY: Final = "*/*"
_PAGES: Final = ("text/html", "application/xhtml+xml")
_JSON: Final = (FHIR, "application/json", "application/json+fhir")
_REASONS: Final = {
    401: "The exchange does not let docpipe have it (401).",
    403: "The exchange does not let docpipe have it (403).",
    404: "The exchange lists it, but does not have it (404).",
    406: "The exchange has it in no form that docpipe asked for (406).",
    410: "The exchange lists it, but does not have it any more (410).",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from, and what is said of it."""

    url: str
    media_type: str | None = None
    size: int | None = None
    sha1: str | None = None
    token: bool = True
    """Whether the credentials may be shown."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What is made of it that the server fails at a file."""

    tries: int = TRIES
    up: bool = True
    """Whether the server is known to be up; else a 500 without a word of FHIR is waited out."""


@dataclass(frozen=True, slots=True)
class Got:
    """How a file came."""

    problem: str | None = None
    """Why it did not; for people."""
    status: int | None = None
    """The last answer's, where there is a problem."""
    too_large: bool = False
    media_type: str | None = None
    """As the answer says."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    media_type: str


_NO_BODY: Final = 0
_DAMAGED: Final = _Answer(_NO_BODY, "")
_DAMAGES: Final = (_NO_BODY, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


class _Tries:
    """What has been tried of one file."""

    def __init__(self, source: Source, most: int) -> None:
        self.forms = [NDJSON, _ANY] if source.media_type == NDJSON else [_form(source.media_type), FHIR, _ANY]
        self._most = most
        self.failures = 0
        self.damages = 0

    def refused(self, status: int) -> Got | None:
        """Note an answer that brought no file; how that ends, None where it is to be tried again."""
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
        return Got(_REASONS.get(status, f"The exchange refuses it (status {status})."), status)


class Files:
    """Fetches files of one server."""

    def __init__(self, wire: Wire, clock: Clock, largest: int) -> None:
        self._wire = wire
        self._clock = clock
        self._largest = largest

    async def get(self, ticket: Ticket, source: Source, path: Path, patience: Patience) -> Got:
        """Bring a file to `path`; what earlier tries left there is gone on with, or is all there is to do.

        Raises:
            OSError: if it cannot be written.
        """
        if (known := _known(path)) is not None:
            return known
        try:
            got = await self._get(ticket, source, path, patience)
        except ServiceError as error:  # of this file alone: others are fetched all the same
            return Got(str(error), error.status)
        except ArchiveError:
            return Got(f"It is larger than {self._largest >> 20:,} MiB.", too_large=True)
        if got.problem is None:
            await asyncio.to_thread(_finished, path, got)
        return got

    async def _get(self, ticket: Ticket, source: Source, path: Path, patience: Patience) -> Got:
        fetch = self._wire.fetch(ticket, source.url, self._wire.files, self._wire.allowed, token=source.token)
        tries = _Tries(source, patience.tries)
        part = path.with_name(f"{path.name}.part")
        while True:
            try:
                answer = await self._try(fetch, source, tries.forms[0], part, up=patience.up)
            except DownloadError:  # the gate has seen it, and decides when to go on
                continue
            except DamagedError:
                answer = _DAMAGED
            if answer.status in _BODY_COMES:
                wrong, media_type = await asyncio.to_thread(_judged, part, source, answer.media_type)
                if not wrong or tries.damages + 1 == TRIES_DAMAGED:
                    return Got(media_type=media_type, warnings=wrong)
                answer = _DAMAGED
            if (got := tries.refused(answer.status)) is not None:
                return got
            if answer.status in _DAMAGES:
                part.unlink(missing_ok=True)
                log.warning("file_damaged", run_id=ticket.run_id, tries=tries.damages)
            elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                await self._pause(ticket, 2.0 ** (tries.failures - 1))

    async def _try(self, fetch: Fetch, source: Source, form: str, part: Path, *, up: bool) -> _Answer:
        tag = part.with_name(f"{part.name}.etag")
        there = Part.of(part, {"size": None}, parsed(tag.read_bytes()) if tag.exists() else None)
        packed = {"Accept-Encoding": "gzip, identity;q=0.5"} if source.media_type == NDJSON else {}
        pages = _plain(source.media_type) in _PAGES
        final = broken if up else refused
        ask = Ask(timeout=self._wire.asking.timeout, pages=pages, encoded=True, final=final)
        async with fetch.open(source.url, {"Accept": form, **packed, **there.headers()}, ask) as answer:
            if answer.status in _BODY_COMES:
                _note_etag(tag, answer)
                await write(part, there.start(answer), decoded(answer), self._largest)
            return _Answer(answer.status, _plain(answer.headers.get("Content-Type")))

    async def _pause(self, ticket: Ticket, seconds: float) -> None:
        now = self._clock()
        with waiting(ticket, Wait(WaitKind.RETRY, "docex", now, now + seconds)):
            await asyncio.sleep(seconds)


def _note_etag(tag: Path, answer: Download) -> None:
    """Remember of which bytes those to come are, where more can be asked for."""
    etag = answer.headers.get("ETag")
    if etag and "Content-Encoding" not in answer.headers:
        tag.write_text(json.dumps({"etag": etag}), "utf-8")
    else:
        tag.unlink(missing_ok=True)


def _known(path: Path) -> Got | None:
    """How a file that is there came."""
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
    """A media type as a header may bear it."""
    return media_type if media_type and media_type.isascii() and media_type.isprintable() else _ANY


def _plain(media_type: str | None) -> str:
    return (media_type or "").partition(";")[0].strip().lower()


def _judged(part: Path, source: Source, came_as: str) -> tuple[list[str], str | None]:
    """What is wrong with a file that arrived, and its type; a Binary as JSON is replaced by its content."""
    told = _plain(source.media_type)
    media_type = came_as or None
    if came_as in _JSON and told not in _JSON and told != NDJSON and part.stat().st_size <= 2 * LARGEST_PAGE:
        binary = parsed(part.read_bytes())
        if isinstance(binary, dict) and binary.get("resourceType") == "Binary":
            content = from_base64(binary.get("data"))
            if content is None:
                return ["The exchange sent a Binary whose data cannot be read."], media_type
            part.write_bytes(content)
            kind = binary.get("contentType")
            media_type = kind if isinstance(kind, str) else None
    return mismatches(part, source.size, source.sha1), media_type


def mismatches(path: Path, size: int | None, sha1: str | None) -> list[str]:
    """In which ways a file is not what is said of it."""
    found = []
    if size is not None and path.stat().st_size != size:
        found.append(f"The exchange says that it has {size:,} bytes; {path.stat().st_size:,} came.")
    if sha1 is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha1").digest()
        if sha1 not in (base64.b64encode(digest).decode(), digest.hex(), digest.hex().upper()):
            found.append("Its checksum is not what the exchange says.")
    return found


def from_base64(data: object) -> bytes | None:
    """The bytes of a base64Binary, None where it is none; white space is left out, padding may be missing."""
    if not isinstance(data, str):
        return None
    plain = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
