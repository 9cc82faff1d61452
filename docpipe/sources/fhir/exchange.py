"""A FHIR server as an exchange: searches, their polls, and the documents of their results.

A search is one of several requests, with `Prefer: respond-async`; servers answer it at once, or with 202 and
a status address to poll. FHIR has no Idempotency-Key: a lost answer leaves a request at the server.
"""

import asyncio
import contextlib
import hashlib
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import structlog
from msgspec.structs import replace

from docpipe.archive.limits import Limits
from docpipe.errors import RunError, ServiceError
from docpipe.gates.line import waiting
from docpipe.gates.local_trouble import retry_while_in_trouble
from docpipe.http import Answer, retry_after
from docpipe.http.pending import Repeats
from docpipe.http.verdicts import refusal, scrubbed
from docpipe.model import Clock, Patient, Spool, Step, Ticket, Wait, WaitKind
from docpipe.results.files import Archive
from docpipe.results.search import EXPIRED, READY, Ready, Search
from docpipe.results.states import SearchIntent
from docpipe.sources import polling
from docpipe.sources.fhir.doubts import lacks
from docpipe.sources.fhir.people import People
from docpipe.sources.fhir.resources import Resource
from docpipe.sources.fhir.retrieval import ANSWER, Retrieval
from docpipe.sources.fhir.vocabulary import outcome, parsed, progress
from docpipe.sources.fhir.wire import AGAIN_S, Reply, Wire, from_server
from docpipe.sources.fhir.wire import refused as is_final
from docpipe.sources.polling import Polls
from docpipe.workers.unpacking import Unpacker

log = structlog.get_logger(__name__)

WHO: Final = "The exchange"
DOUBTS: Final = 3
"""A search has failed after this many 5xx in a row: servers also send one for a passing fault."""
ATTEMPTS: Final = 20
LONGEST_PAUSE_S: Final = 60.0
"""A request that fails at the server in 20 attempts, a quarter of an hour, has failed."""
UNREADABLE: Final = 10
"""A search has failed after this many results that cannot be read."""
RELEASE_S: Final = 10.0
_ASYNC: Final = "respond-async"
"""Alone: servers compare the whole header. Without handling=lenient they have to refuse unknown parameters
(bulk-data); what a server that ignores the patient exports of others is refused line by line."""
_UNKNOWN: Final = frozenset({400, 404, 405, 406, 410, 415, 422, 501})
"""Answers to a request that a server does not support."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]{1,80}")
_SERVER_ERROR: Final = 500
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A request that finds a patient's documents."""

    name: str
    method: str
    path: str
    """Below the base URL, with `{id}` for the patient's logical id."""
    post: bool = False

    def body(self, patient: str) -> Resource | None:
        """The resource to send."""
        if not self.post:
            return None
        who = {"name": "patient", "valueReference": {"reference": f"Patient/{patient}"}}
        return {"resourceType": "Parameters", "parameter": [who]}


WAYS: Final = {
    "documents": (SearchRequest("documents", "GET", "/DocumentReference?patient={id}&status=current"),),
    "export": (
        SearchRequest("export", "POST", "/Patient/$export", post=True),
        SearchRequest("export-patient", "GET", "/Patient/{id}/$export"),
        SearchRequest("everything", "GET", "/Patient/{id}/$everything"),
    ),
}
"""By mode, in the order of attempts. The first is ITI-67; then Bulk Data, which has the parameter `patient`
by POST only; then operations that servers offer beside the standard."""


@dataclass(slots=True)
class _Accepted:
    """What the server has accepted."""

    names: list[str] = field(default_factory=list)
    """The name of the request that it accepted last."""
    searches: int = 0


@dataclass(frozen=True, slots=True)
class FhirExchange:
    """Client of a FHIR server."""

    wire: Wire
    spool: Spool
    clock: Clock
    unpacker: Unpacker
    limits: Limits = field(default_factory=Limits)
    _accepted: _Accepted = field(default_factory=_Accepted)
    _settling: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def search(self, step: Step, patient: Patient) -> Search:
        """Look the patient up, and send the first request that the server accepts.

        Raises:
            ServiceError: if the server refuses all requests, or does not know the patient.
        """
        intent = step.saved(SearchIntent)
        if intent is None or not intent.patient:
            id_ = await People(self.wire, self.clock).find(step.ticket, patient)
            intent = SearchIntent(patient=id_, sent=self.clock())
            await step.save(intent)  # from here on a crash may leave a search
        return await self._begin(step, intent.patient)

    async def _begin(self, step: Step, id_: str) -> Search:
        """Begin a search. A 5xx of the server itself concerns this patient alone where others are accepted.

        Raises:
            ServiceError: if the server refuses all requests, or keeps failing at them.
        """
        before, tries = self._accepted.searches, 0

        async def is_pending(answer: Search | Reply) -> bool:
            nonlocal tries
            tries += 1
            alone = tries >= DOUBTS and self._accepted.searches > before
            return isinstance(answer, Reply) and not alone

        repeats = Repeats("docex.search", self.clock, LONGEST_PAUSE_S, ATTEMPTS)
        answer = await repeats.until_settled(step.ticket, lambda: self._attempt(step, id_), is_pending)
        if isinstance(answer, Search):
            self._accepted.searches += 1
            return answer
        codes = ", ".join(dict.fromkeys(answer.issues.codes)) if answer.issues else ""
        code = f" ({codes[:80]})" if codes else ""
        raise ServiceError(f"The exchange could not begin the search{code}.", answer.status)

    async def _attempt(self, step: Step, id_: str) -> Search | Reply:
        """Send the requests once; until one is accepted, one caller at a time finds out which."""
        if self._accepted.names or len(self._search_requests()) == 1:
            return await self._request(step, id_)
        with waiting(step.ticket, Wait(WaitKind.QUOTA, "docex.search", self.clock())):
            await self._settling.acquire()
        try:
            if not self._accepted.names:
                return await self._request(step, id_)
        finally:
            self._settling.release()
        return await self._request(step, id_)

    async def _request(self, step: Step, id_: str) -> Search | Reply:
        """Send the requests one after the other until one is accepted; returns a 5xx of the server itself."""
        refused = []
        for way in self._search_requests():
            reply, url = await self._send(step, way, id_)
            if reply.ok:
                self._accepted.names[:] = [way.name]
                return self._search_of(reply, url, way, id_)
            unsupported = reply.status in _UNKNOWN or (reply.issues and "not-supported" in reply.issues.codes)
            if reply.status >= _SERVER_ERROR and not unsupported:
                return reply
            refused.append(Answer(reply.status, {}, None))
            if not unsupported:
                break
        raise refusal(WHO, self.wire.config, refused[0], "the search")

    def _search_requests(self) -> list[SearchRequest]:
        mode = self.wire.config.fhir_mode
        ways = [way for name in WAYS for way in WAYS[name] if mode in ("auto", name)]
        return sorted(ways, key=lambda way: way.name not in self._accepted.names)

    async def _send(self, step: Step, way: SearchRequest, id_: str) -> tuple[Reply, str]:
        url = self.wire.config.base_url + way.path.replace("{id}", quote(id_, safe=""))
        into = self._folder(step) / ANSWER

        async def send() -> Reply:
            return await self.wire.request(
                step.ticket,
                way.method,
                url,
                gate=self.wire.searching,
                headers={"Prefer": _ASYNC},
                json=way.body(id_),
                into=into,
                final=is_final,
                lacking=lambda statement: lacks(statement, way.name),
            )

        return await retry_while_in_trouble(step, "spool", self.clock, send), url

    def _folder(self, step: Step) -> Path:
        folder = self.spool.path(step.ticket.run_id) / "fhir"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _search_of(self, reply: Reply, url: str, way: SearchRequest, id_: str) -> Search:
        search = Search(search_id=way.name, patient=id_, way=way.name, at=self.clock())
        if reply.status == HTTPStatus.OK:
            return search
        place = reply.headers.get("Content-Location") or reply.headers.get("Location")
        if not place:
            raise ServiceError("The exchange accepted the search without an address for its status.")
        status = self.wire.at_home(place, url)
        pause = retry_after(reply.headers, self.clock(), self.wire.config.max_retry_after)
        return replace(search, search_id=_display_id(status), status=status, ask_after=pause)

    async def wait_until_ready(self, step: Step, search: Search, patient: Patient) -> Ready:
        """Poll until the search is over. The time of the next poll is kept across restarts.

        Raises:
            ServiceError: if the search failed.
        """
        if search.status is None:
            return Ready(state=READY, archive=True)
        polls = Polls.of(step, search)
        while True:
            longest = self.wire.config.max_retry_after
            await polling.sleep_until(step, polls.next, self.clock, longest)
            reply = await self._poll(step, search.status)
            now = self.clock()
            answer = self._folder(step) / ANSWER
            if reply.status == HTTPStatus.OK and await asyncio.to_thread(Retrieval.readable, answer):
                state: str | None = READY
            elif reply.status in _GONE and not polls.gone:  # believed the second time
                polls = replace(polls.counted(search, now), next=now + AGAIN_S, gone=True).note(step)
                continue
            else:
                state = self._final_state(reply, patient, polls)
            if state is not None:
                counted = polls.counted(search, now)
                return Ready(state=state, archive=True, polls=counted.polls, poll_times=counted.times)
            pause = retry_after(reply.headers, now, longest)
            done = progress(reply.headers.get("X-Progress"))
            after = polls.unfinished(search, now, pause, done)
            polls = self._with_doubts(step, reply, polls, after).note(step)

    async def _poll(self, step: Step, status: str) -> Reply:
        into, url = self._folder(step) / ANSWER, self.wire.whole(status)

        async def ask() -> Reply:
            return await self.wire.request(
                step.ticket,
                "GET",
                url,
                gate=self.wire.polling,
                accept="application/json",
                into=into,
                final=from_server,
            )

        reply = await retry_while_in_trouble(step, "spool", self.clock, ask)
        inner = _number(reply.headers.get("X-Export-Status"))
        if reply.status == HTTPStatus.OK and inner not in (None, HTTPStatus.OK):
            body = await asyncio.to_thread(_small, into)
            return Reply(inner or 0, reply.headers, body)
        return reply

    def _final_state(self, reply: Reply, patient: Patient, polls: Polls) -> str | None:
        """The final state that an answer without a result means; None while the search continues.

        Raises:
            ServiceError: if the search failed.
        """
        status, issues = reply.status, reply.issues
        if status == HTTPStatus.OK:
            if polls.unreadable + 1 >= UNREADABLE:
                raise ServiceError("The exchange answers the polls of the search with what is no result.")
            return None
        if status in _GONE:
            return EXPIRED
        if status == HTTPStatus.ACCEPTED:
            return None
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise refusal(WHO, self.wire.config, Answer(status, {}, None), "a poll of the search")
        if issues is not None and issues.transient:
            return None
        if status >= _SERVER_ERROR and polls.doubts + 1 < DOUBTS:
            return None
        codes = ", ".join(dict.fromkeys(issues.codes)) if issues else ""
        why = scrubbed(issues.text if issues else None, patient)
        code = f" ({codes[:80]})" if codes else ""
        raise ServiceError(f"The exchange could not complete the search{code}: {why}.", status)

    @staticmethod
    def _with_doubts(step: Step, reply: Reply, before: Polls, after: Polls) -> Polls:
        """The polls with the count of answers in a row that were no result."""
        issues = reply.issues
        if reply.status == HTTPStatus.OK:
            log.warning("search_answer_unreadable", run_id=step.ticket.run_id, times=before.unreadable + 1)
            return replace(after, unreadable=before.unreadable + 1)
        if issues is not None and issues.transient:
            log.info("search_status_transient", run_id=step.ticket.run_id, codes=list(issues.codes)[:5])
            return after
        if reply.status >= _SERVER_ERROR:
            return replace(after, doubts=before.doubts + 1)
        return after

    async def download(self, step: Step, search: Search, ready: Ready, folder: Path) -> Archive:
        """Fetch the result, and every document that it refers to.

        Raises:
            ServiceError: if the result as a whole cannot be fetched.
        """
        del ready
        work = Retrieval(self.wire, self.clock, self.limits, self.unpacker, folder, step)

        async def refetch_answer() -> bool:
            return await self._refetch(step, search)

        return await retry_while_in_trouble(
            step, "spool", self.clock, lambda: work.retrieve(search, refetch_answer)
        )

    async def _refetch(self, step: Step, search: Search) -> bool:
        """Fetch the answer into the spool again; False where the server no longer has it."""
        if search.status is not None:
            reply = await self._poll(step, search.status)
            if reply.status in _GONE:  # believed the second time
                await asyncio.sleep(AGAIN_S)
                reply = await self._poll(step, search.status)
            return reply.status == HTTPStatus.OK
        way = next(way for ways in WAYS.values() for way in ways if way.name == search.way)
        reply, _ = await self._send(step, way, search.patient)
        return reply.status == HTTPStatus.OK

    async def release(self, ticket: Ticket, address: str | None) -> None:
        """Let the server delete a result (bulk-data: DELETE at the status address)."""
        if address is None:
            return
        with contextlib.suppress(RunError, TimeoutError, OSError):
            async with asyncio.timeout(RELEASE_S):
                url = self.wire.whole(address)
                reply = await self.wire.request(ticket, "DELETE", url, gate=self.wire.polling, final=_any)
                log.info("search_released", run_id=ticket.run_id, status=reply.status)


def _any(_status: int, _body: bytes) -> bool:
    return True


def _number(text: str | None) -> int | None:
    match = re.match(r"\s*(\d{3})\b", text or "")
    return int(match[1]) if match else None


def _small(path: Path) -> object:
    """The OperationOutcome in an answer's file; the file is removed, since it is no result."""
    raw = path.read_bytes() if path.stat().st_size <= 2**20 else b""
    path.unlink()
    value = parsed(raw)
    return value if outcome(value) is not None else None


def _display_id(status: str) -> str:
    """An id of a search for logs: the last part of its address where that is plain, else a digest."""
    parts = urlsplit(status)
    last = parts.path.rstrip("/").rsplit("/", 1)[-1]
    if not parts.query and _PLAIN.fullmatch(last):
        return last
    return hashlib.sha256(status.encode()).hexdigest()[:16]
