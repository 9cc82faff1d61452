"""Fetches the result of a search into a folder: pages, output files, and the documents that they refer to."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import msgspec.structs
import structlog

from docpipe.archive.delivered import DeliveredFile
from docpipe.archive.extract import Entry
from docpipe.archive.limits import Limits, size_in_words
from docpipe.errors import ServiceError
from docpipe.http import Answer, joined, origin_of
from docpipe.http.verdicts import refusal
from docpipe.model import Clock, Outcome, Step
from docpipe.results.files import Archive, Declared
from docpipe.results.files import Member as ArchiveMember
from docpipe.results.search import EXPIRED, READY, Search
from docpipe.sources.fhir.arrived import NDJSON, Source
from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.files import Files, Got, Patience, kind_of
from docpipe.sources.fhir.intake import Counts, Intake, Item, in_words
from docpipe.sources.fhir.listing import Listing
from docpipe.sources.fhir.manifest import Output, outputs_of, refuse_if_lost
from docpipe.sources.fhir.resources import Bundle, Manifest, Page
from docpipe.sources.fhir.wire import AGAIN_S, FHIR, Wire
from docpipe.util.fsync import emptied
from docpipe.workers.unpacking import Unpacker

_P = TypeVar("_P", bound=Page)
log = structlog.get_logger(__name__)

ANSWER: Final = "answer.json"
TRIES_LINK: Final = 5
MOST_PAGES: Final = 10_000
_LINK_IS_OVER: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_FAILED: Final = 400
_SERVER_ERROR: Final = 500


class _GoneError(Exception):
    """The server no longer has the result, or its links have expired."""


@dataclass(slots=True)
class Retrieval:
    """The download of one result. A repetition fetches only what is missing."""

    wire: Wire
    clock: Clock
    limits: Limits
    unpacker: Unpacker
    folder: Path
    step: Step
    _size: int = field(default=0)

    @property
    def _work(self) -> Path:
        return self.folder / "fhir"

    @staticmethod
    def readable(path: Path) -> bool:
        """Whether an answer is a result: a manifest, or a Bundle."""
        listing = _listing(path)
        if listing is None:
            return False
        manifest = "transactionTime" in listing.head or isinstance(listing.head.get("output"), list)
        return manifest or listing.bundle is not None

    async def retrieve(self, search: Search, answer_again: Callable[[], Awaitable[bool]]) -> Archive:
        """Fetch everything.

        Args:
            search: the search.
            answer_again: fetches the answer into the spool again; False where the server no longer has it.

        Raises:
            ServiceError: if the result as a whole cannot be fetched.
            OSError: if the disk fails or is full.
        """
        if not await asyncio.to_thread(self._begin):
            if not await answer_again():
                return Archive(state=EXPIRED)
            if not await asyncio.to_thread(self.readable, self._work / ANSWER):
                raise ServiceError("The exchange answers the search with what is no result.")
        for tries in range(TRIES_LINK):
            try:
                intake = await self._listed_documents(search, last=tries == TRIES_LINK - 1)
            except _GoneError:
                if tries:  # the first is likely to have expired
                    await asyncio.sleep(AGAIN_S * 2 ** (tries - 1))
                if not await answer_again():
                    return Archive(state=EXPIRED)
                continue
            break
        else:
            raise ServiceError(f"The exchange gave {TRIES_LINK} lists of files, and none could be fetched.")
        await self._fetch(intake)
        members = await self._collected(intake)
        sizes = [item.path.stat().st_size for item in intake.items if item.path and item.path.exists()]
        return Archive(state=READY, size=sum(sizes), members=members, release=search.status)

    def _begin(self) -> bool:
        """Prepare the folder; returns whether it has the answer. One of another base URL is removed."""
        base, base_url = self._work / "base", self.wire.config.base_url
        if base.exists() and base.read_text("utf-8") != base_url:
            shutil.rmtree(self._work)
        for name in ("pages", "out", "documents"):
            (self._work / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        base.write_text(base_url, "utf-8")
        return self.readable(self._work / ANSWER)

    async def _listed_documents(self, search: Search, *, last: bool) -> Intake:
        """Read all lists; documents are not fetched yet."""
        intake = Intake(self._work / "documents", search.patient, self.limits.members)
        answer = await asyncio.to_thread(_listing, self._work / ANSWER)
        url = self.wire.whole(search.status) if search.status else f"{self.wire.config.base_url}/"
        if answer is not None and answer.bundle is not None:
            searchset = (await asyncio.to_thread(_searchset, answer)).bundle
            del answer
            await self._bundles(intake, searchset or Bundle(), url)
            intake.settle()
            return intake
        manifest = struct_of(Manifest, answer and answer.head) or Manifest()
        pages = self._pages(manifest, url)
        outputs = [output async for page in pages for output in outputs_of(page, url, self._work)]
        await asyncio.to_thread(self._keep_fitting, outputs)
        for number, output in enumerate(outputs, 1):
            output.path = self._work / "out" / f"{number:05d}.ndjson"
        files = Files(self.wire, self.clock, self.limits.total)
        for output in sorted(outputs, key=lambda output: output.type != "Binary"):
            await self._output(intake, files, output, last=last)
        refuse_if_lost(outputs, intake)
        intake.settle()
        return intake

    def _keep_fitting(self, outputs: list[Output]) -> None:
        """Keep fetched files if the manifest lists the same files as before; links may differ."""
        listed_now = json.dumps([[output.kind, output.type, output.count, output.size] for output in outputs])
        shape = self._work / "shape"
        if shape.exists() and shape.read_text("utf-8") != listed_now:
            for name in ("out", "documents"):
                shutil.rmtree(self._work / name)
                (self._work / name).mkdir(mode=0o700)
        shape.write_text(listed_now, "utf-8")

    async def _pages(self, page: _P, url: str) -> AsyncIterator[_P]:
        """All pages of a list."""
        seen: set[str] = set()
        for number in range(1, MOST_PAGES):
            yield page
            if page.next is None:
                return
            place = self.wire.whole(self.wire.at_home(page.next, url))
            if place in seen:
                raise ServiceError("The pages of the exchange's list of documents form a circle.")
            seen.add(place)
            page = await self._page(type(page), place, self._work / "pages" / f"{number:05d}.json")
        raise ServiceError(f"The exchange's list of documents has more than {MOST_PAGES:,} pages.")

    async def _page(self, kind: type[_P], url: str, path: Path) -> _P:
        if not _there(path):
            reply = await self.wire.request(self.step.ticket, "GET", url, gate=self.wire.polling, into=path)
            if reply.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise _GoneError
            if reply.status != HTTPStatus.OK:
                answer = Answer(reply.status, {}, None)
                raise refusal("The exchange", self.wire.config, answer, "the next page of its list")
        listing = await asyncio.to_thread(_listing, path)
        page = struct_of(kind, listing and listing.head)
        if page is None:
            await asyncio.to_thread(path.unlink)
            raise ServiceError("The exchange sent a page of its list that is no JSON.")
        return page

    # Bundles

    async def _bundles(self, intake: Intake, first: Bundle, url: str) -> None:
        number, total, matches = 0, first.expected, 0
        async for _page in self._pages(first, url):
            number += 1
            path = self._work / (ANSWER if number == 1 else f"pages/{number - 1:05d}.json")
            others = self._work / "pages" / f"{number:05d}.others.ndjson"
            name = f"List of documents, page {number}.json"
            counts, matched = await asyncio.to_thread(_read_page, intake, path, number, others, name)
            matches += matched
            if counts.others:
                listed = Declared(media_type=NDJSON)
                intake.add(Item(f"Resources, page {number}.ndjson", listed, others))
                counts.others = 0
            if counts.lines:
                _add_list(intake, name, path, counts)
        if total is not None and matches < total:
            reason = f"The exchange says that it has {total:,} entries; {matches:,} came."
            intake.add(Item("Missing documents", outcome=Outcome.FAILED, reason=reason, refetch=True))

    # Manifests

    async def _output(self, intake: Intake, files: Files, output: Output, *, last: bool) -> None:
        source = Source(output.url, NDJSON, output.size, None, output.token)
        got = await files.get(self.step.ticket, source, output.path, Patience(up=False))
        if got.problem is not None:
            if got.status in _LINK_IS_OVER and not last:
                raise _GoneError
            verdict = Outcome.REFUSED if got.too_large else Outcome.FAILED
            lost = Item(output.name, outcome=verdict, reason=got.problem, refetch=not got.too_large)
            intake.add(lost)
            return
        counts, own = await asyncio.to_thread(intake.lines, output.path, output.name, token=output.token)
        item = _add_list(intake, output.name, own, counts, output.kind)
        warnings = list(got.warnings)
        if output.count is not None and output.count != counts.lines:
            held = f"The exchange says that it holds {output.count:,} resources; {counts.lines:,} came."
            warnings.append(held)
        if warnings:
            item.declared = msgspec.structs.replace(item.declared, warnings=warnings)

    # Documents

    async def _fetch(self, intake: Intake) -> None:
        """Fetch every document once; those answered with 5xx, 404 or 410 are requested again at the end.

        Then the cause is clear: a server that delivers others is up, and the document has failed after a few
        attempts; one that delivers none is down, and waited for.
        """
        patience = self.wire.config.attachment_patience
        files = Files(self.wire, self.clock, self.limits.member, patience)
        wanted: dict[Source, list[Item]] = {}
        for item in intake.items:
            if item.source is not None and item.path is not None:
                wanted.setdefault(self._reachable(item.source), []).append(item)
        self._size, late, alive = 0, [], set()
        # The server's own first: another origin may not answer.
        for source, items in sorted(wanted.items(), key=lambda pair: self._is_foreign(pair[0])):
            if not await self._one(files, source, items, Patience(tries=1)):
                late.append(source)
            elif items[0].path is not None:
                alive.add(kind_of(source.url))
        if late:  # what is not there is believed the second time, some seconds later
            await asyncio.sleep(AGAIN_S)
        for source in late:
            await self._one(files, source, wanted[source], Patience(up=self._is_alive(source, alive)))
            if wanted[source][0].path is not None:
                alive.add(kind_of(source.url))

    async def _one(self, files: Files, source: Source, items: list[Item], patience: Patience) -> bool:
        """Fetch a document for all items that refer to it; False if it is to be requested again later."""
        path = items[0].path
        if path is None:
            return True
        got = Got(f"All documents are larger than {size_in_words(self.limits.total)}.", too_large=True)
        if self._size <= self.limits.total:
            got = await files.get(self.step.ticket, source, path, patience)
        if (
            patience.tries == 1
            and got.status is not None
            and (got.status >= _SERVER_ERROR or got.status in _GONE or got.stranger)
        ):
            return False
        if got.problem is None:
            self._size += path.stat().st_size
        for item in items:
            if got.problem is not None:
                item.path, item.reason = None, got.problem
                item.outcome = Outcome.REFUSED if got.too_large else Outcome.FAILED
                item.refetch = not got.too_large
                continue
            item.path = path
            known = item.declared
            item.declared = msgspec.structs.replace(
                known,
                warnings=got.warnings or known.warnings,
                media_type=got.media_type if known.media_type is None else known.media_type,
            )
        return True

    @staticmethod
    def _is_alive(source: Source, alive: set[str]) -> bool:
        """Whether other documents of its kind came."""
        try:
            return kind_of(source.url) in alive
        except ServiceError:  # an address that cannot be used, which the download reports
            return False

    def _is_foreign(self, source: Source) -> bool:
        try:
            return origin_of(source.url) != self.wire.home
        except ServiceError:  # an address that cannot be used, which the download reports
            return False

    def _reachable(self, source: Source) -> Source:
        """With an absolute address; relative ones are below the base URL, as references are."""
        url = joined(f"{self.wire.config.base_url}/", source.url)
        return replace(source, url=url)

    async def _collected(self, intake: Intake) -> list[ArchiveMember]:
        """The items as members of one archive; archives among them are unpacked."""
        folder = self.folder / "files"
        await asyncio.to_thread(emptied, folder)
        given, ticket = [_as_delivered(item) for item in intake.items], self.step.ticket
        members = await self.unpacker.gather(given, folder, self.limits, ticket, intake.beyond)
        return await asyncio.to_thread(_declared, members, intake)


def _declared(members: list[Entry], intake: Intake) -> list[ArchiveMember]:
    """The members with what the exchange declares of them."""
    declared = {item.name: item.declared for item in intake.items}
    refetch = {item.name for item in intake.items if item.refetch}
    for member in members:
        known = declared.get(member["path"]) if member["parent"] is None else None
        member["told"] = msgspec.to_builtins(known or Declared())
        member["file"] = member["file"] and f"files/{member['file']}"
        member["refetch"] = member["path"] in refetch and member["parent"] is None
    return msgspec.convert(members, list[ArchiveMember])


def _add_list(intake: Intake, name: str, path: Path, counts: Counts, kind: str = "output") -> Item:
    """Add the list itself as a file: as a document where it holds more than listed documents."""
    verdict, reason = None, None
    documents = "1 document is" if counts.documents == 1 else f"{counts.documents:,} documents are"
    if counts.errors:
        what = "1 problem" if counts.errors == 1 else f"{counts.errors:,} problems"
        verdict, reason = Outcome.FAILED, f"The exchange reports {what} with the search{in_words(counts)}."
    elif counts.warnings:
        why = f"The exchange warns that its result is incomplete{in_words(counts)}."
        verdict, reason = Outcome.FAILED, why
    elif kind == "deleted":
        verdict, reason = Outcome.STORED, "A list of what the exchange has deleted."
    elif kind != "output":
        verdict, reason = Outcome.STORED, "Messages of the exchange about the search."
    elif not counts.others:
        verdict, reason = Outcome.STORED, f"A list; its {documents} listed on their own."
    if counts.foreign:
        what = "1 resource" if counts.foreign == 1 else f"{counts.foreign:,} resources"
        why = f"The exchange sent {what} about other patients, which docpipe does not keep."
        if path.suffix == ".own":
            intake.add(Item(f"{name}, of other patients", outcome=Outcome.REFUSED, reason=why))
        else:
            verdict, reason = Outcome.REFUSED, why
    declared = Declared(media_type=FHIR if name.endswith(".json") else NDJSON)
    # Else it holds bytes to which others may refer, or links to pages of others.
    owned = not counts.binaries and path.suffix != ".json"
    return intake.add(Item(name, declared, path, outcome=verdict, reason=reason, owned=owned))


def _as_delivered(item: Item) -> DeliveredFile:
    """An item as the extraction takes it."""
    if item.path is None or item.outcome in (Outcome.IGNORED, Outcome.REFUSED):
        return DeliveredFile(item.name, None, item.outcome or Outcome.FAILED, item.reason or "It is missing.")
    return DeliveredFile(item.name, item.path, item.outcome, item.reason or "")


def _there(path: Path) -> bool:
    return path.exists()


def _listing(path: Path) -> Listing | None:
    """The JSON object in a file, None where there is none."""
    try:
        return Listing.of(path)
    except (ValueError, RecursionError, OSError):
        return None


def _read_page(intake: Intake, path: Path, number: int, others: Path, name: str) -> tuple[Counts, int]:
    """Take the documents of a page; returns also how many matches it has."""
    listing = Listing.of(path)
    if number == 1:
        listing = _searchset(listing)
    return intake.bundle(listing.resources, others, name), listing.matches


def _searchset(listing: Listing) -> Listing:
    """The searchset in a batch-response, or the Bundle itself.

    Raises:
        ServiceError: if the batch-response holds a refusal.
    """
    bundle = listing.bundle
    if bundle is None or bundle.type not in ("batch-response", "transaction-response"):
        return listing
    for entry, resource in listing.parts():
        if resource is not None and resource.bundle is not None:
            return resource
        status = str(entry.response.status or "")[:3]
        if status.isdecimal() and int(status) >= _FAILED:
            raise ServiceError(f"The exchange could not complete the search (status {status}).", int(status))
    return listing
