"""The DocumentExchange: its searches. Downloads of archives are in `download`."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import structlog
from msgspec.structs import replace

from docpipe.config.config import Docex
from docpipe.errors import ServiceError
from docpipe.gates import Gate
from docpipe.http import Answer, Credentials, Http, about, is_problem, joined, retry_after, texts_in
from docpipe.http.pending import Repeats
from docpipe.http.verdicts import describe_probe, refusal, scrubbed
from docpipe.model import Clock, Patient, Step, Ticket
from docpipe.results.search import EXPIRED, READY, ArchiveLink, Ready, Search
from docpipe.results.states import SearchIntent
from docpipe.sources import polling
from docpipe.sources.docex.answers import SearchStatus, is_search_status, search_status
from docpipe.sources.docex.owners import Owners
from docpipe.sources.polling import Polls

log = structlog.get_logger(__name__)

_NO_SEARCH: Final = "docpipe-check"
_GONE: Final = (404, 410)
_CONFLICT: Final = 409
_TRY_AGAIN: Final = (_CONFLICT, 404, 405, 410)
"""A new search is requested again while its first request is still in progress (409). The others are not in
the contract of that request: they come from a proxy, or from an exchange that is not complete."""
_CONFLICTS: Final = 20
"""A request that is still in progress after so many repetitions, a quarter of an hour, has failed there; each
costs a search of the quota."""
LARGEST_STATUS: Final = 64 * 2**20
"""Bytes of the status of a search; with 10,000 documents it has about 5 MB."""
AGAIN_S: Final = 5.0
"""A search that is not there is polled once more after this many seconds, before it counts as gone."""


@dataclass(frozen=True, slots=True)
class DocumentExchange:
    """Client of the exchange."""

    http: Http
    config: Docex
    searching: Gate
    polling: Gate
    clock: Clock
    credentials: Credentials
    owners: Owners

    async def probe(self, ticket: Ticket) -> str:
        """Poll a search that does not exist, once: that costs a poll, and no search.

        Returns:
            The answer, in a few words.

        Raises:
            UnfitError: if docpipe cannot use the exchange.
        """
        answer = await self.http.once(
            f"{self.config.base_url}/v1/searches/{_NO_SEARCH}",
            gate=self.polling,
            ticket=ticket,
            credentials=self.credentials,
            own=is_problem,
        )
        return describe_probe(answer, self.config, "a poll", also=(400, 404, 410, 422))

    async def search(self, step: Step, patient: Patient) -> Search:
        """Start a search.

        Raises:
            ServiceError: if the exchange refuses it.
        """
        if (intent := step.saved(SearchIntent)) is None:  # from here on a crash may leave a search
            intent = SearchIntent(sent=self.clock())
            await step.save(intent)
        refused, key, conflicts = "", intent.key or step.key, 0

        async def is_pending(answer: Answer) -> bool:
            """Whether to request the search again, under another key if it is that of another patient."""
            nonlocal refused, key, conflicts
            status = search_status(answer.body) if answer.ok else None
            if status is None:
                conflicts += answer.status == _CONFLICT
                return answer.status in _TRY_AGAIN and conflicts < _CONFLICTS
            if self.owners.claim(status.id, patient.id):
                return False
            log.warning("search_of_another_patient", run_id=step.ticket.run_id)
            if status.id == refused:  # the key stands for the disputed search
                key = _next_key(step.key, key)
                await step.save(SearchIntent(sent=self.clock(), key=key))
            refused = status.id
            return True

        repeats = Repeats("docex.search", self.clock, polling.POLL_SLOWEST_S)
        answer = await repeats.until_settled(
            step.ticket, lambda: self._request(step, patient, key), is_pending
        )
        status = search_status(answer.body) if answer.ok else None
        if status is None:
            raise refusal("The exchange", self.config, answer, "the search")
        return Search(
            search_id=status.id,
            path=self._status_path(answer, status.id),
            at=self.clock(),
            ask_after=retry_after(answer.headers, self.clock(), self.config.max_retry_after),
        )

    async def _request(self, step: Step, patient: Patient, key: str) -> Answer:
        fields = ("id", "given", "family", "birth_date", "sex", "postal_code")
        return await self.http.call(
            "POST",
            f"{self.config.base_url}/v1/searches",
            gate=self.searching,
            ticket=step.ticket,
            credentials=self.credentials,
            json={"patient": {name: value for name in fields if (value := getattr(patient, name))}},
            headers={"Idempotency-Key": key},
            check=_is_search,
            own=is_problem,
        )

    def _status_path(self, answer: Answer, search_id: str) -> str:
        """Where to poll, below the base URL: the exchange may have another port after a restart."""
        usual = f"/v1/searches/{quote(search_id, safe='')}"
        base = urlsplit(self.config.base_url)
        try:
            place = urlsplit(
                joined(f"{self.config.base_url}/v1/searches", answer.headers.get("Location", ""))
            )
        except ValueError:
            return usual
        if (place.scheme, place.netloc) != (base.scheme, base.netloc) or not place.path.startswith(base.path):
            return usual
        path = place.path.removeprefix(base.path) + (f"?{place.query}" if place.query else "")
        return usual if path.rstrip("/") == "/v1/searches" else path

    async def wait_until_ready(self, step: Step, search: Search, patient: Patient) -> Ready:
        """Poll until the search is over. The time of the next poll is kept across restarts.

        Raises:
            ServiceError: if the search failed.
        """
        polls = Polls.of(step, search)
        while True:
            await polling.sleep_until(step, polls.next, self.clock, self.config.max_retry_after)
            answer, status = await self._poll(step, search)
            now = self.clock()
            counted = polls.counted(search, now)
            over = Ready(state=EXPIRED, polls=counted.polls, poll_times=counted.times)
            if not self.owners.claim(search.search_id, patient.id):
                return over
            if answer.status in _GONE and not polls.gone:
                polls = _doubted(counted, now).note(step)
                continue
            match status.state:
                case "ready":
                    return replace(over, state=READY, archive=status.archive, documents=status.documents)
                case "expired":
                    return over
                case "failed":
                    reason = scrubbed(status.error, patient)
                    raise ServiceError(f"The exchange could not complete the search: {reason}.")
            if not status.waiting:
                log.warning("search_state_unknown", run_id=step.ticket.run_id, state=status.state[:40])
            pause = retry_after(answer.headers, now, self.config.max_retry_after)
            polls = polls.unfinished(search, now, pause, status.progress).note(step)

    async def _poll(self, step: Step, search: Search) -> tuple[Answer, SearchStatus]:
        """Poll once; where the exchange has no such search, its state is `expired`."""

        def is_this_search(body: Any) -> bool:
            return _is_search(body) and about(body["id"], search.search_id)

        answer = await self.http.call(
            "GET",
            self.config.base_url + search.path,
            gate=self.polling,
            ticket=step.ticket,
            credentials=self.credentials,
            check=is_this_search,
            own=is_problem,
            limit=LARGEST_STATUS,
        )
        if answer.status in _GONE:
            return answer, SearchStatus(id=search.search_id, state=EXPIRED)
        status = search_status(answer.body) if answer.ok else None
        if status is None:
            raise refusal("The exchange", self.config, answer, "a poll of the search")
        return answer, status

    async def fresh_archive(self, step: Step, search: Search) -> ArchiveLink | None:
        """Get a fresh link to the archive, also while it is made again; None when the search is gone."""
        again = replace(search, at=self.clock(), ask_after=0.0)
        polls = Polls.none(again)
        while True:
            await polling.sleep_until(step, polls.next, self.clock, self.config.max_retry_after)
            answer, status = await self._poll(step, search)
            now = self.clock()
            if status.state == READY and status.archive is not None:
                return status.archive
            if answer.status in _GONE and not polls.gone:
                polls = _doubted(polls.counted(again, now), now)
                continue
            if status.state in (EXPIRED, "failed"):
                return None
            pause = retry_after(answer.headers, now, self.config.max_retry_after)
            polls = polls.unfinished(again, now, pause, status.progress)


def _doubted(polls: Polls, now: float) -> Polls:
    """The state after the first answer that there is no such search: proxies may answer so for a while."""
    return replace(polls, next=now + AGAIN_S, gone=True)


def _next_key(first: str, last: str) -> str:
    """The key after `last`: `first`, `first:other2`, `first:other3` and so on."""
    number = int(last.removeprefix(f"{first}:other")) if last != first else 1
    return f"{first}:other{number + 1}"


def _is_search(body: Any) -> bool:
    """Whether an answer keeps the contract as far as docpipe relies on it; MemberError if not."""
    return isinstance(body, dict) and texts_in(body, "id", "state") and is_search_status(body)
