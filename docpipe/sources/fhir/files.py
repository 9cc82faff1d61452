"""Fetches single files: resumed after a break, unwrapped from Binaries, compared with their declarations.

A problem of one file is its own, and never stops the others.
"""

import asyncio
import json
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog

from docpipe.archive.limits import size_in_words
from docpipe.errors import ArchiveError, ServiceError
from docpipe.gates.line import waiting
from docpipe.http import Ask, Download, DownloadError, Fetch, origin_of
from docpipe.http.redirects import address, operation_of
from docpipe.model import Clock, Ticket, Wait, WaitKind
from docpipe.sources.docex.partial import Part, write
from docpipe.sources.encodings import DamagedError, decoded
from docpipe.sources.fhir.arrived import (
    ANOTHER,
    NDJSON,
    WITHOUT_DATA,
    Source,
    is_of_binary,
    judged,
    plain_type,
)
from docpipe.sources.fhir.doubts import Doubt, Refusal, is_page
from docpipe.sources.fhir.patience import OriginPatience, UnansweredError
from docpipe.sources.fhir.vocabulary import parsed
from docpipe.sources.fhir.wire import (
    FHIR,
    LARGEST_WORD,
    Wire,
    broken,
    is_own,
    publish,
    refused,
)

log = structlog.get_logger(__name__)

TRIES: Final = 5
"""Attempts at a file for which the server answers 5xx, while it is up."""
TRIES_DAMAGED: Final = 3
_BODY_COMES: Final = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_ANOTHER_FORM: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_ANY: Final = "*/*"
_PAGES: Final = ("text/html", "application/xhtml+xml")
_REASONS: Final = {
    401: "The exchange does not let docpipe have it (401).",
    403: "The exchange does not let docpipe have it (403).",
    404: "The exchange lists it, but does not have it (404).",
    406: "The exchange offers it in none of the formats that docpipe requested (406).",
    410: "The exchange lists it, but does not have it any more (410).",
}


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
    stranger: bool = False
    """Whether a proxy may have refused it."""
    media_type: str | None = None
    """As the answer declares it."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    media_type: str
    stranger: Refusal | None = None
    """A 4xx that may come from a proxy."""


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

    def has_another_form(self, answer: _Answer) -> bool:
        """Whether an answer may mean that another media type has to be requested."""
        page = answer.stranger is not None and answer.stranger.page
        return answer.status in _ANOTHER_FORM and len(self.forms) > 1 and not page

    def read_data(self) -> bool:
        """Request the data alone next, of a Binary without data; False where that is not possible."""
        if self.url != self.source.url or not is_of_binary(self.source):
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
        return Got(reason if self.url == self.source.url else WITHOUT_DATA, status)


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
        self._doubts: dict[str, Doubt] = {}
        """By kind of file: they began with the first file that may have been refused by a proxy."""

    async def get(self, ticket: Ticket, source: Source, path: Path, patience: Patience) -> Got:
        """Fetch a file to `path`; what earlier attempts left there is continued, or used where complete.

        Raises:
            OSError: if it cannot be written.
        """
        if (known := _earlier_result(path)) is not None:
            return known
        try:
            got = await self._get(ticket, source, path, patience)
        except ServiceError as error:  # of this file alone: others are fetched all the same
            return Got(str(error), error.status)
        except UnansweredError as error:
            return Got(str(error))
        except ArchiveError:
            return Got(f"It is larger than {size_in_words(self._largest)}.", too_large=True)
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
            elif answer.stranger is not None and not tries.has_another_form(answer):
                got = await self._doubted(ticket, answer, answer.stranger, tries, patience)
            else:
                got = await self._refused(ticket, answer, tries, part)
            if got is not None:
                return got

    async def _arrived(self, ticket: Ticket, answer: _Answer, tries: _Tries, part: Path) -> Got | None:
        """Judge a file that arrived; None for another attempt."""
        verdict = await asyncio.to_thread(judged, part, tries.source, answer.media_type)
        last = tries.damages + 1 == TRIES_DAMAGED
        if verdict.empty:
            await asyncio.to_thread(part.unlink)
            return None if tries.read_data() else Got(WITHOUT_DATA)
        if not verdict.problems or (last and not verdict.another):
            return Got(media_type=verdict.media_type, warnings=verdict.problems)
        if last:
            await asyncio.to_thread(part.unlink)
            return Got(ANOTHER)
        return await self._refused(ticket, _DAMAGED, tries, part)

    async def _doubted(
        self, ticket: Ticket, answer: _Answer, refusal: Refusal, tries: _Tries, patience: Patience
    ) -> Got | None:
        """Judge a refusal that may be a proxy's; None for another attempt."""
        origin = origin_of(tries.url)
        doubt = self._doubts.setdefault(kind_of(tries.url), self._wire.experience.doubt(kind_of(tries.url)))
        if patience.tries == 1 or doubt.believes(refusal, others=patience.up):
            got = tries.refused(answer.status)
            return got and replace(got, stranger=True)
        log.warning("refusal_without_outcome", run_id=ticket.run_id, status=answer.status)
        if origin == self._wire.home:
            await self._wire.confirm(ticket, doubt.pause())
        else:
            await self._pause(ticket, doubt.pause())
        return None

    async def _refused(self, ticket: Ticket, answer: _Answer, tries: _Tries, part: Path) -> Got | None:
        """Judge an answer without the file, or with a damaged one; None for another attempt."""
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
        pages = plain_type(source.media_type) in _PAGES
        final = broken if up else refused
        ask = Ask(timeout=self._wire.polling.timeout, pages=pages, encoded=True, final=final)
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
                self._wire.experience.answers[kind_of(tries.url)] += 1
            stranger = None
            if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                stranger = await self._stranger(fetch, answer)
            return _Answer(answer.status, plain_type(answer.headers.get("Content-Type")), stranger)

    async def _stranger(self, fetch: Fetch, answer: Download) -> Refusal | None:
        """A refusal that may be a proxy's: in the wrong form from the server, a page from another origin."""
        body = await answer.body(LARGEST_WORD) or b""
        if fetch.origin == self._wire.home:
            own = is_own(answer.status, answer.headers, body)
        else:
            own = not is_page(answer.headers)
        return None if own else Refusal.of(answer.status, answer.headers, body)

    async def _pause(self, ticket: Ticket, seconds: float) -> None:
        now = self._clock()
        with waiting(ticket, Wait(WaitKind.RETRY, "docex", now, now + seconds)):
            await asyncio.sleep(seconds)


def kind_of(url: str) -> str:
    """The origin of a file and the depth of its path: proxies judge by path.

    Raises:
        ServiceError: if the address cannot be used.
    """
    return f"{origin_of(url)} {operation_of('GET', address(url))}"


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


def _earlier_result(path: Path) -> Got | None:
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
