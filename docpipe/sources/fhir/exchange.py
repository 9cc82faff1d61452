"""The exchange that speaks FHIR: a request, what becomes of it, and the documents that it finds.

A search is one of several requests, with `Prefer: respond-async`; servers answer it at once, or with 202 and
an address to ask. FHIR knows no Idempotency-Key: an answer that is lost leaves a request at the server.
"""

import asyncio
import contextlib
import hashlib
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import structlog

from docpipe.archive.extract import Limits
from docpipe.errors import RunError, ServiceError
from docpipe.gates.disk_space import retry_while_full
from docpipe.gates.line import waiting
from docpipe.http import Answer, retry_after
from docpipe.http.verdicts import refusal, scrubbed
from docpipe.model import Clock, Json, Patient, Step, Ticket, Wait, WaitKind
from docpipe.sources import polling
from docpipe.sources.fhir.people import People
from docpipe.sources.fhir.retrieval import ANSWER, Retrieval
from docpipe.sources.fhir.vocabulary import outcome, parsed, progress
from docpipe.sources.fhir.wire import Reply, Wire, said

log = structlog.get_logger(__name__)

WHO: Final = "The exchange"
DOUBTS: Final = 3
"""So often in a row a 5xx has to say that the request failed: servers also say so of a fault of a moment."""
UNREADABLE: Final = 10
RELEASE_S: Final = 10.0
_ASYNC: Final = "respond-async"
"""Alone: servers compare the whole header. Without handling=lenient they have to refuse what they do not
know (bulk-data); what one that overlooks the patient exports of others is refused line by line."""
_UNKNOWN: Final = frozenset({400, 404, 405, 406, 410, 415, 422, 501})
"""Answers to a request that a server does not know, or does not take."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]{1,80}")
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One request that finds a patient's documents."""

    name: str
    method: str
    path: str
    """Below the base URL, with `{id}` for the patient's logical id."""
    post: bool = False

    def body(self, patient: str) -> Json:
        """What is sent."""
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
"""By mode, in the order in which they are tried. The first is ITI-67; then Bulk Data, which takes the
parameter `patient` by POST only; then what servers have beside the standard."""


@dataclass(frozen=True, slots=True)
class FhirExchange:
    """Client of a FHIR server. What it returns are plain JSON values."""

    wire: Wire
    spool: Path
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    _worked: list[str] = field(default_factory=list)
    """The way that the server took last."""
    _settling: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def search(self, step: Step, patient: Patient) -> Json:
        """Look the patient up, and send the first request that the server takes.

        Returns:
            {"search_id", "status": where to ask or None for an answer that is there at once, "patient": its
            logical id, "way", "at" when it was accepted, "ask_after" seconds or None}.

        Raises:
            ServiceError: if the server refuses all, or does not know the patient.
        """
        state = step.state or {}
        if (id_ := state.get("patient")) is None:
            id_ = await People(self.wire).find(step.ticket, patient)
            await step.save({"patient": id_, "sent": self.clock()})  # from here on a crash may leave one
        if self._worked or len(self._search_requests()) == 1:
            return await self._begin(step, id_)
        with waiting(step.ticket, Wait(WaitKind.QUOTA, "docex.search", self.clock())):
            await self._settling.acquire()  # one finds out what the server takes: each try is a search
        try:
            if not self._worked:
                return await self._begin(step, id_)
        finally:
            self._settling.release()
        return await self._begin(step, id_)

    async def _begin(self, step: Step, id_: str) -> Json:
        """Send the requests one after the other until one is taken."""
        refused = []
        for way in self._search_requests():
            reply, url = await self._send(step, way, id_)
            if reply.ok:
                self._worked[:] = [way.name]
                return self._accepted(reply, url, way, id_)
            refused.append(Answer(reply.status, {}, None))
            if reply.status not in _UNKNOWN:
                break
        raise refusal(WHO, self.wire.config, refused[0], "the search")

    def _search_requests(self) -> list[SearchRequest]:
        mode = self.wire.config.fhir_mode
        ways = [way for name in WAYS for way in WAYS[name] if mode in ("auto", name)]
        return sorted(ways, key=lambda way: way.name not in self._worked)

    async def _send(self, step: Step, way: SearchRequest, id_: str) -> tuple[Reply, str]:
        url = self.wire.config.base_url + way.path.replace("{id}", quote(id_, safe=""))
        into = self._folder(step) / ANSWER

        async def send() -> Reply:
            return await self.wire.ask(
                step.ticket,
                way.method,
                url,
                gate=self.wire.searching,
                headers={"Prefer": _ASYNC},
                json=way.body(id_),
                into=into,
            )

        return await retry_while_full(step, "spool", self.clock, send), url

    def _folder(self, step: Step) -> Path:
        folder = self.spool / step.ticket.run_id / "fhir"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _accepted(self, reply: Reply, url: str, way: SearchRequest, id_: str) -> Json:
        search = {"search_id": way.name, "status": None, "patient": id_, "way": way.name, "at": self.clock()}
        if reply.status == HTTPStatus.OK:
            return {**search, "ask_after": None}
        place = reply.headers.get("Content-Location") or reply.headers.get("Location")
        if not place:
            raise ServiceError("The exchange accepted the search without saying where to ask after it.")
        status = self.wire.at_home(place, url)
        told = retry_after(reply.headers, self.clock(), self.wire.config.max_retry_after)
        return {**search, "search_id": _shown(status), "status": status, "ask_after": told}

    async def wait_until_ready(self, step: Step, search: Json, patient: Patient) -> Json:
        """Ask until it is over. When to ask next is kept, so a restart neither forgets nor hurries.

        Returns:
            {"state": "ready", "archive": True, "documents": [], "polls": n, "asked": [...]}
            or {"state": "expired", "polls": n, ...}.

        Raises:
            ServiceError: if it failed.
        """
        if search["status"] is None:
            return {"state": "ready", "archive": True, "documents": [], "polls": 0, "asked": []}
        poll = step.state or polling.begun(search)
        while True:
            longest = self.wire.config.max_retry_after
            await polling.sleep_until(step, poll["next"], self.clock, longest)
            reply = await self._ask(step, search)
            now = self.clock()
            there = self._folder(step) / ANSWER
            ready = reply.status == HTTPStatus.OK and await asyncio.to_thread(Retrieval.readable, there)
            over = "ready" if ready else self._over(step, reply, poll, patient)
            if isinstance(over, str):
                told = {"polls": poll["polls"] + 1, "asked": polling.asked(poll, search, now)}
                return {"state": over, "archive": True, "documents": [], **told}
            pause = retry_after(reply.headers, now, longest)
            done = progress(reply.headers.get("X-Progress"))
            poll = polling.polled(poll, search, now, pause, done) | over
            step.note(poll)

    async def _ask(self, step: Step, search: Json) -> Reply:
        into, url = self._folder(step) / ANSWER, self.wire.whole(search["status"])

        async def ask() -> Reply:
            return await self.wire.ask(
                step.ticket,
                "GET",
                url,
                gate=self.wire.asking,
                accept="application/json",
                into=into,
                final=said,
            )

        reply = await retry_while_full(step, "spool", self.clock, ask)
        apart = _number(reply.headers.get("X-Export-Status"))
        if reply.status == HTTPStatus.OK and apart not in (None, HTTPStatus.OK):
            body = await asyncio.to_thread(_small, into)
            return Reply(apart or 0, reply.headers, body)
        return reply

    def _over(self, step: Step, reply: Reply, poll: Json, patient: Patient) -> str | dict[str, Any]:
        """The final state, or what is to be kept beside the next question's time."""
        status, told = reply.status, reply.told
        if status == HTTPStatus.OK:
            return self._unreadable(step, poll)
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return "expired"
        if status == HTTPStatus.ACCEPTED:
            return {}
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise refusal(WHO, self.wire.config, Answer(status, {}, None), "the question after the search")
        if told is not None and told.transient:
            log.info("search_status_transient", run_id=step.ticket.run_id, codes=list(told.codes)[:5])
            return {}
        doubts = poll.get("doubts", 0) + 1
        if status >= _SERVER_ERROR and doubts < DOUBTS:
            return {"doubts": doubts}
        codes = ", ".join(dict.fromkeys(told.codes)) if told else ""
        why = scrubbed(told.text if told else None, patient)
        code = f" ({codes[:80]})" if codes else ""
        raise ServiceError(f"The exchange could not complete the search{code}: {why}.", status)

    @staticmethod
    def _unreadable(step: Step, poll: Json) -> dict[str, Any]:
        count = poll.get("unreadable", 0) + 1
        log.warning("search_answer_unreadable", run_id=step.ticket.run_id, times=count)
        if count >= UNREADABLE:
            raise ServiceError("The exchange answers the question after the search with what is no result.")
        return {"unreadable": count}

    async def download(self, step: Step, search: Json, ready: Json, folder: Path) -> Json:
        """Fetch what was found, and every document that it refers to.

        Returns:
            {"state": "ready", "size", "sha256": None, "members", "release": what `release` needs, or None}
            or {"state": "expired"}.

        Raises:
            ServiceError: if the result as a whole cannot be had.
        """
        del ready
        work = Retrieval(self.wire, self.clock, self.limits, folder, step)

        async def answer_again() -> bool:
            return await self._again(step, search)

        return await retry_while_full(step, "spool", self.clock, lambda: work.retrieve(search, answer_again))

    async def _again(self, step: Step, search: Json) -> bool:
        """Have the answer in the spool once more; False where the server has it no more."""
        if search["status"] is not None:
            reply = await self._ask(step, search)
            return reply.status == HTTPStatus.OK
        way = next(way for ways in WAYS.values() for way in ways if way.name == search["way"])
        reply, _ = await self._send(step, way, search["patient"])
        return reply.status == HTTPStatus.OK

    async def release(self, ticket: Ticket, search: Json) -> None:
        """Let the server delete what it keeps for the search (bulk-data: DELETE at the status address)."""
        status = search.get("release") or search.get("status")
        if status is None:
            return
        with contextlib.suppress(RunError, TimeoutError, OSError):
            async with asyncio.timeout(RELEASE_S):
                url = self.wire.whole(status)
                reply = await self.wire.ask(ticket, "DELETE", url, gate=self.wire.asking, final=_any)
                log.info("search_released", run_id=ticket.run_id, status=reply.status)


def _any(_status: int, _body: bytes) -> bool:
    return True


def _number(text: str | None) -> int | None:
    match = re.match(r"\s*(\d{3})\b", text or "")
    return int(match[1]) if match else None


def _small(path: Path) -> Json:
    """What an answer in a file says; it is removed, since it is no result."""
    raw = path.read_bytes() if path.stat().st_size <= 2**20 else b""
    path.unlink()
    value = parsed(raw)
    return value if outcome(value) is not None else None


def _shown(status: str) -> str:
    """A name for a search, for logs: the last part of its address where that is plain, else a digest."""
    parts = urlsplit(status)
    last = parts.path.rstrip("/").rsplit("/", 1)[-1]
    if not parts.query and _PLAIN.fullmatch(last):
        return last
    return hashlib.sha256(status.encode()).hexdigest()[:16]
