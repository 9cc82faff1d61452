"""Brings all that a search found into a folder: pages, output files, and the documents that they refer to."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import structlog

from docpipe.archive.extract import Limits, collect
from docpipe.archive.member import BLOCK, BadMemberError, Member, Verdict
from docpipe.errors import ServiceError
from docpipe.http import Answer, origin_of
from docpipe.http.verdicts import refusal
from docpipe.model import Clock, Json, Outcome, Step
from docpipe.sources.fhir.files import NDJSON, Files, Got, Patience, Source
from docpipe.sources.fhir.intake import Counts, Intake, Item, in_words, loads
from docpipe.sources.fhir.vocabulary import is_id, listed, next_link, text_of
from docpipe.sources.fhir.wire import FHIR, Wire
from docpipe.util.fsync import sync_tree

log = structlog.get_logger(__name__)

ANSWER: Final = "answer.json"
TRIES_LINK: Final = 5
MOST_PAGES: Final = 10_000
_LINK_IS_OVER: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_FAILED: Final = 400
_SERVER_ERROR: Final = 500
_LISTS: Final = {
    "output": "",
    "error": "Messages",  # until STU 4 of the guide
    "outcome": "Messages",  # since then
    "status": "Messages",  # as a draft between them called it
    "deleted": "Deleted",
}


class _GoneError(Exception):
    """The server has the result no more, or its links are over."""


@dataclass(slots=True)
class _Output:
    """One file of a manifest."""

    url: str
    kind: str
    """The key of the manifest that it stands under."""
    type: str | None
    count: int | None
    size: int | None
    token: bool
    path: Path
    name: str


@dataclass(slots=True)
class Retrieval:
    """One result being brought home. May be begun again at any time: what is there is not fetched again."""

    wire: Wire
    clock: Clock
    limits: Limits
    folder: Path
    step: Step
    _size: int = field(default=0)

    @property
    def _work(self) -> Path:
        return self.folder / "fhir"

    @staticmethod
    def readable(path: Path) -> bool:
        """Whether an answer is a result: a manifest, or a Bundle."""
        value = loads(path)
        manifest = isinstance(value, dict) and (
            "transactionTime" in value or isinstance(value.get("output"), list)
        )
        return manifest or _is_bundle(value)

    async def retrieve(self, search: Json, answer_again: Callable[[], Awaitable[bool]]) -> Json:
        """Bring everything home.

        Args:
            search: as the search returned it.
            answer_again: brings the answer into the spool once more; False where the server has it no more.

        Returns:
            as of `FhirExchange.download`.

        Raises:
            ServiceError: if the result as a whole cannot be had.
            OSError: if the disk fails or is full.
        """
        if not await asyncio.to_thread(self._begin):
            if not await answer_again():
                return {"state": "expired"}
            if not await asyncio.to_thread(self.readable, self._work / ANSWER):
                raise ServiceError("The exchange answers the search with what is no result.")
        for tries in range(TRIES_LINK):
            try:
                intake = await self._found(search, last=tries == TRIES_LINK - 1)
            except _GoneError:
                if not await answer_again():
                    return {"state": "expired"}
                continue
            break
        else:
            raise ServiceError(f"The exchange gave {TRIES_LINK} lists of files, and none could be had.")
        await self._fetch(intake)
        members = await asyncio.to_thread(self._collected, intake)
        sizes = [item.path.stat().st_size for item in intake.items if item.path and item.path.exists()]
        whole = {"size": sum(sizes), "sha256": None}
        return {"state": "ready", **whole, "members": members, "release": search["status"]}

    def _begin(self) -> bool:
        """Prepare the folder; whether the answer is there. One of another address is of no use any more."""
        base, told = self._work / "base", self.wire.config.base_url
        if base.exists() and base.read_text("utf-8") != told:
            shutil.rmtree(self._work)
        for name in ("pages", "out", "documents"):
            (self._work / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        base.write_text(told, "utf-8")
        return self.readable(self._work / ANSWER)

    async def _found(self, search: Json, *, last: bool) -> Intake:
        """Everything that was found, documents yet to be fetched."""
        intake = Intake(self._work / "documents", search["patient"], self.limits.members)
        answer = await asyncio.to_thread(loads, self._work / ANSWER)
        url = self.wire.whole(search["status"]) if search["status"] else f"{self.wire.config.base_url}/"
        if _is_bundle(answer):
            await self._bundles(intake, answer, url)
            return intake
        outputs = [out async for page in self._pages(answer, url) for out in self._outputs(page, url)]
        await asyncio.to_thread(self._keep_fitting, outputs)
        for number, output in enumerate(outputs, 1):
            output.path = self._work / "out" / f"{number:05d}.ndjson"
        files = Files(self.wire, self.clock, self.limits.total)
        for output in sorted(outputs, key=lambda output: output.type != "Binary"):
            await self._output(intake, files, output, last=last)
        return intake

    def _keep_fitting(self, outputs: list[_Output]) -> None:
        """Files that are there are of use as long as the manifest lists the same; links may differ."""
        listed_now = json.dumps([[output.kind, output.type, output.count, output.size] for output in outputs])
        shape = self._work / "shape"
        if shape.exists() and shape.read_text("utf-8") != listed_now:
            for name in ("out", "documents"):
                shutil.rmtree(self._work / name)
                (self._work / name).mkdir(mode=0o700)
        shape.write_text(listed_now, "utf-8")

    async def _pages(self, page: Json, url: str) -> AsyncIterator[Json]:
        """A list and those it goes on in."""
        seen: set[str] = set()
        for number in range(1, MOST_PAGES):
            yield page
            link = next_link(page)
            if link is None:
                return
            place = self.wire.whole(self.wire.at_home(link, url))
            if place in seen:
                raise ServiceError("The exchange's list of documents goes round in a circle.")
            seen.add(place)
            page = await self._page(place, self._work / "pages" / f"{number:05d}.json")
        raise ServiceError(f"The exchange's list of documents has more than {MOST_PAGES:,} pages.")

    async def _page(self, url: str, path: Path) -> Json:
        if not _there(path):
            reply = await self.wire.ask(self.step.ticket, "GET", url, gate=self.wire.asking, into=path)
            if reply.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise _GoneError
            if reply.status != HTTPStatus.OK:
                answer = Answer(reply.status, {}, None)
                raise refusal("The exchange", self.wire.config, answer, "the next page of its list")
        page = await asyncio.to_thread(loads, path)
        if not isinstance(page, dict):
            await asyncio.to_thread(path.unlink)
            raise ServiceError("The exchange sent a page of its list that is no JSON.")
        return page

    # Bundles

    async def _bundles(self, intake: Intake, bundle: Json, url: str) -> None:
        inner = _searchset(bundle)
        number = 0
        async for page in self._pages(inner, url):
            number += 1
            path = self._work / (ANSWER if number == 1 else f"pages/{number - 1:05d}.json")
            others = self._work / "pages" / f"{number:05d}.others.ndjson"
            counts = await asyncio.to_thread(intake.bundle, page, others)
            if counts.others:
                intake.add(Item(f"Resources, page {number}.ndjson", {"media_type": NDJSON}, others))
                counts.others = 0
            if counts.lines:
                _add_list(intake, f"List of documents, page {number}.json", path, counts)

    # Manifests

    def _outputs(self, manifest: Json, url: str) -> Iterator[_Output]:
        token = manifest.get("requiresAccessToken") is not False
        for key, label in _LISTS.items():
            for entry in listed(manifest.get(key)):
                if not isinstance(entry, dict) or text_of(entry.get("url")) is None:
                    continue
                kind = entry.get("type") if key == "output" and is_id(entry.get("type")) else None
                yield _Output(
                    urljoin(url, entry["url"].strip()),
                    key,
                    kind,
                    _whole_number(entry.get("count")),
                    _whole_number(entry.get("fileSize")),
                    token,
                    self._work,
                    f"{label or kind or 'Resources'}.ndjson",
                )

    async def _output(self, intake: Intake, files: Files, output: _Output, *, last: bool) -> None:
        source = Source(output.url, NDJSON, output.size, None, output.token)
        got = await files.get(self.step.ticket, source, output.path, Patience(up=False))
        if got.problem is not None:
            if got.status in _LINK_IS_OVER and not last:
                raise _GoneError
            verdict = Outcome.REFUSED if got.too_large else Outcome.FAILED
            intake.add(Item(output.name, outcome=verdict, reason=got.problem))
            return
        counts, own = await asyncio.to_thread(intake.lines, output.path, output.name, token=output.token)
        item = _add_list(intake, output.name, own, counts, output.kind)
        warnings = list(got.warnings)
        if output.count is not None and output.count != counts.lines:
            held = f"The exchange says that it holds {output.count:,} resources; {counts.lines:,} came."
            warnings.append(held)
        item.told |= {"warnings": warnings} if warnings else {}

    # Documents

    async def _fetch(self, intake: Intake) -> None:
        """Every document once; those that the server fails at are asked for again when all others are there.

        Then it shows whose fault that is: a server that brings others is up, and the document is given up
        after a few tries; one that brings none is down, and waited for.
        """
        files = Files(self.wire, self.clock, self.limits.member)
        wanted: dict[Source, list[Item]] = {}
        for item in intake.items:
            if item.source is not None and item.path is not None:
                wanted.setdefault(self._reachable(item.source), []).append(item)
        self._size, late, alive = 0, [], set()
        for source, items in wanted.items():
            if not await self._one(files, source, items, Patience(tries=1)):
                late.append(source)
            elif items[0].path is not None:
                alive.add(origin_of(source.url))
        for source in late:
            await self._one(files, source, wanted[source], Patience(up=origin_of(source.url) in alive))

    async def _one(self, files: Files, source: Source, items: list[Item], patience: Patience) -> bool:
        """Fetch a document, for all that refer to it; False if it is to be asked for again later."""
        path = items[0].path
        if path is None:
            return True
        got = Got(f"All documents are larger than {self.limits.total >> 30} GiB.", too_large=True)
        if self._size <= self.limits.total:
            got = await files.get(self.step.ticket, source, path, patience)
        if patience.tries == 1 and got.status is not None and got.status >= _SERVER_ERROR:
            return False
        if got.problem is None:
            self._size += path.stat().st_size
        for item in items:
            if got.problem is not None:
                item.path, item.reason = None, got.problem
                item.outcome = Outcome.REFUSED if got.too_large else Outcome.FAILED
                continue
            item.path = path
            item.told |= {"warnings": got.warnings} if got.warnings else {}
            if got.media_type is not None:
                item.told.setdefault("media_type", got.media_type)
        return True

    def _reachable(self, source: Source) -> Source:
        """With the whole address; relative ones are below the base URL, as references are."""
        url = urljoin(f"{self.wire.config.base_url}/", source.url)
        return Source(url, source.media_type, source.size, source.sha1, source.token)

    def _collected(self, intake: Intake) -> list[dict[str, Any]]:
        """The items as members of one archive, those that are archives themselves taken apart."""
        folder = self.folder / "files"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        members = collect(map(_member, intake.items), folder, self.limits, more=intake.beyond)
        sync_tree(folder)  # a checkpoint will point to it
        told = {item.name: item.told for item in intake.items}
        for member in members:
            member["told"] = told.get(member["path"], {}) if member["parent"] is None else {}
            member["file"] = member["file"] and f"files/{member['file']}"
        return members


def _add_list(intake: Intake, name: str, path: Path, counts: Counts, kind: str = "output") -> Item:
    """The list itself as a file: a document where it holds more than what is listed on its own."""
    verdict, reason = None, None
    found = "1 document is" if counts.documents == 1 else f"{counts.documents:,} documents are"
    if counts.errors:
        what = "1 problem" if counts.errors == 1 else f"{counts.errors:,} problems"
        verdict, reason = Outcome.FAILED, f"The exchange tells of {what} with the search{in_words(counts)}."
    elif kind == "deleted":
        verdict, reason = Outcome.STORED, "A list of what the exchange has deleted."
    elif kind != "output":
        verdict, reason = Outcome.STORED, "Messages of the exchange about the search."
    elif not counts.others:
        verdict, reason = Outcome.STORED, f"A list; its {found} listed on their own."
    if counts.foreign:
        what = "1 resource" if counts.foreign == 1 else f"{counts.foreign:,} resources"
        why = f"The exchange sent {what} about other patients, which docpipe does not keep."
        if path.suffix == ".own":
            intake.add(Item(f"{name}, of other patients", outcome=Outcome.REFUSED, reason=why))
        else:
            verdict, reason = Outcome.REFUSED, why
    told: dict[str, Any] = {"media_type": FHIR if name.endswith(".json") else NDJSON}
    return intake.add(Item(name, told, path, outcome=verdict, reason=reason))


def _member(item: Item) -> Member:
    """An item as the extraction takes it."""
    if item.path is None or item.outcome in (Outcome.IGNORED, Outcome.REFUSED):
        verdict = Verdict(item.outcome or Outcome.FAILED, item.reason or "It is not there.")
        return Member(item.name, 0, lambda: iter(()), verdict=verdict)
    path = item.path
    settled = Verdict(item.outcome, item.reason or "") if item.outcome is not None else None
    return Member(item.name, path.stat().st_size, lambda: _chunks(path), settled=settled)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except FileNotFoundError as error:
        raise BadMemberError("It is not there any more.") from error


def _there(path: Path) -> bool:
    return path.exists()


def _is_bundle(value: Json) -> bool:
    return isinstance(value, dict) and value.get("resourceType") == "Bundle"


def _searchset(bundle: Json) -> Json:
    """The searchset that a batch-response answers with, or the Bundle itself.

    Raises:
        ServiceError: if it answers with a refusal.
    """
    if bundle.get("type") not in ("batch-response", "transaction-response"):
        return bundle
    for entry in listed(bundle.get("entry")):
        if not isinstance(entry, dict):
            continue
        if _is_bundle(entry.get("resource")):
            return entry["resource"]
        told = entry.get("response")
        status = str(told.get("status") or "")[:3] if isinstance(told, dict) else ""
        if status.isdecimal() and int(status) >= _FAILED:
            raise ServiceError(f"The exchange could not complete the search (status {status}).", int(status))
    return bundle


def _whole_number(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
