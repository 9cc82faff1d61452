"""The DocumentExchange: searches and what becomes of them. Downloads are in archive.download."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import structlog

from docpipe.config.config import Docex
from docpipe.errors import ServiceError
from docpipe.gates import Gate
from docpipe.http import Answer, Credentials, Http, retry_after
from docpipe.http.verdicts import describe_probe, refusal, scrubbed
from docpipe.model import Clock, Json, Patient, Step, Ticket, Wait, WaitKind
from docpipe.sources import polling

log = structlog.get_logger(__name__)

_NO_SEARCH: Final = "docpipe-check"
_WAITING_STATES: Final = ("queued", "running")


@dataclass(frozen=True, slots=True)
class DocumentExchange:
    """Client of the exchange. What it returns are plain JSON values."""

    http: Http
    config: Docex
    searching: Gate
    asking: Gate
    clock: Clock
    credentials: Credentials

    async def probe(self, ticket: Ticket) -> str:
        """Ask once after a search that does not exist: that costs a question, and no search.

        Returns:
            What it answered, in a few words.

        Raises:
            UnfitError: if it cannot be used as it is.
        """
        answer = await self.http.once(
            f"{self.config.base_url}/v1/searches/{_NO_SEARCH}",
            gate=self.asking,
            ticket=ticket,
            credentials=self.credentials,
        )
        return describe_probe(answer, self.config, "the question after a search", also=(400, 404, 410, 422))

    async def search(self, step: Step, patient: Patient) -> Json:
        """Start a search.

        Returns:
            {"search_id", "path" of its status, "at" when it was accepted, "ask_after" seconds or None}.

        Raises:
            ServiceError: if the exchange refuses it.
        """
        if step.state is None:  # from here on a crash cannot tell whether the search was started
            await step.save({"sent": self.clock()})
        fields = ("id", "given", "family", "birth_date", "sex", "postal_code")
        body = {"patient": {name: value for name in fields if (value := getattr(patient, name))}}
        pause = 1.0
        while True:
            answer = await self.http.call(
                "POST",
                f"{self.config.base_url}/v1/searches",
                gate=self.searching,
                ticket=step.ticket,
                credentials=self.credentials,
                json=body,
                headers={"Idempotency-Key": step.key},
                check=_is_search,
            )
            if answer.status != 409:  # noqa: PLR2004 -- conflict: our first request is still being handled
                break
            await self._pause(step, pause)
            pause = min(2 * pause, polling.POLL_SLOWEST_S)
        if not answer.ok:
            raise refusal("The exchange", self.config, answer, "the search")
        return {
            "search_id": answer.body["id"],
            "path": self._status_path(answer),
            "at": self.clock(),
            "ask_after": retry_after(answer.headers, self.clock(), self.config.max_retry_after),
        }

    async def _pause(self, step: Step, seconds: float) -> None:
        now = self.clock()
        step.ticket.wait = Wait(WaitKind.RETRY, "docex.search", now, now + seconds)
        await asyncio.sleep(seconds)
        step.ticket.wait = None

    def _status_path(self, answer: Answer) -> str:
        """Where to ask, below the base URL: the exchange may have another port after a restart."""
        usual = f"/v1/searches/{quote(answer.body['id'], safe='')}"
        base = urlsplit(self.config.base_url)
        place = urlsplit(urljoin(f"{self.config.base_url}/v1/searches", answer.headers.get("Location", "")))
        if (place.scheme, place.netloc) != (base.scheme, base.netloc) or not place.path.startswith(base.path):
            return usual
        path = place.path.removeprefix(base.path) + (f"?{place.query}" if place.query else "")
        return usual if path.rstrip("/") == "/v1/searches" else path

    async def wait_until_ready(self, step: Step, search: Json, patient: Patient) -> Json:
        """Ask until the search is over. When to ask next is kept, so a restart neither forgets nor hurries.

        Returns:
            {"state": "ready", "archive": {...} or None, "documents": [...], "polls": n}
            or {"state": "expired", "polls": n}.

        Raises:
            ServiceError: if the search failed.
        """
        poll = step.state or polling.begun(search)
        while True:
            await polling.sleep_until(step, poll["next"], self.clock, self.config.max_retry_after)
            answer = await self._ask(step, search)
            now = self.clock()
            if answer.body["state"] not in _WAITING_STATES:
                over = self._over(answer.body, patient)
                if over is not None:
                    return {**over, "polls": poll["polls"] + 1, "asked": polling.asked(poll, search, now)}
                log.warning(
                    "search_state_unknown", run_id=step.ticket.run_id, state=answer.body["state"][:40]
                )
            told = retry_after(answer.headers, now, self.config.max_retry_after)
            poll = polling.polled(poll, search, now, told, answer.body.get("progress"))
            step.note(poll)

    async def _ask(self, step: Step, search: Json) -> Answer:
        answer = await self.http.call(
            "GET",
            self.config.base_url + search["path"],
            gate=self.asking,
            ticket=step.ticket,
            credentials=self.credentials,
            check=_is_search,
        )
        if answer.status in (404, 410):
            return Answer(answer.status, answer.headers, {"id": search["search_id"], "state": "expired"})
        if not answer.ok:
            raise refusal("The exchange", self.config, answer, "the question after the search")
        return answer

    @staticmethod
    def _over(body: Json, patient: Patient) -> dict[str, Any] | None:
        """What a final state means; None for a state that the contract does not know."""
        match body["state"]:
            case "ready":
                return {
                    "state": "ready",
                    "archive": body.get("archive"),
                    "documents": body.get("documents") or [],
                }
            case "expired":
                return {"state": "expired"}
            case "failed":
                told = scrubbed(body.get("error"), patient)
                raise ServiceError(f"The exchange could not complete the search: {told}.")
        return None

    async def fresh_archive(self, step: Step, search: Json) -> Json | None:
        """Ask for a fresh link to the archive; None when the search is gone."""
        answer = await self._ask(step, search)
        return answer.body.get("archive") if answer.body["state"] == "ready" else None


def _is_search(body: Json) -> bool:
    """Whether an answer keeps the contract as far as docpipe relies on it."""
    if not isinstance(body, dict) or not isinstance(body.get("state"), str):
        return False
    archive, progress, documents = body.get("archive"), body.get("progress"), body.get("documents") or []
    return (
        isinstance(body.get("id"), str)
        and (archive is None or (isinstance(archive, dict) and isinstance(archive.get("url"), str)))
        and (progress is None or isinstance(progress, int | float))
        and isinstance(documents, list)
        and all(isinstance(item, dict) for item in documents)
    )
