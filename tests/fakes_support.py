"""A client that does nothing by itself, for tests that look at what the fakes answer."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

import fakes

PATIENT = {"id": "P123", "given": "Łukasz", "family": "Peña", "birth_date": "1950-02-28"}


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any


@dataclass(frozen=True)
class Talk:
    """Fakes, and a session that neither follows redirects nor keeps connections (so never retries)."""

    running: fakes.Running
    session: aiohttp.ClientSession

    async def ask(self, method: str, url: str, **words: Any) -> Answer:
        async with self.session.request(method, url, allow_redirects=False, **words) as response:
            body = await response.read()
            is_json = response.content_type.endswith("json")
            answer = Answer(
                response.status,
                response.headers,
                body,
                await response.json(content_type=None) if is_json else None,
            )
        if answer.status >= 400 and is_json:
            assert response.content_type == "application/problem+json"
            assert answer.json["status"] == answer.status
            assert {"type", "title", "detail"} <= answer.json.keys()
        return answer

    async def search(
        self, key: str | None = "k1", patient: Any = PATIENT, token: str | None = None, **words: Any
    ) -> Answer:
        headers = {"Idempotency-Key": key} if key is not None else {}
        headers |= {"Authorization": token} if token is not None else {}
        url = f"{self.running.docex_url}/v1/searches"
        return await self.ask("POST", url, **({"json": {"patient": patient}} | words), headers=headers)

    async def status(self, id_: str) -> Answer:
        return await self.ask("GET", f"{self.running.docex_url}/v1/searches/{id_}")

    async def ready(self, patient: Any = PATIENT, key: str = "k1") -> Any:
        """A search that is done, as its status tells it."""
        result = (await self.search(key, patient)).json["id"]
        self.running.skip(self.running.docex.searches[result].seconds + 1)
        return (await self.status(result)).json

    async def tracker(
        self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Idempotency-Key": key} if key is not None else {}
        words = {} if body is None else {"json": body}
        return await self.ask(method, self.running.tracker_url + path, headers=named, **words)

    async def task(self, reference: str = "run-1", key: str = "k1", **more: Any) -> Answer:
        body = {"title": "Documents of P123", "external_ref": reference} | more
        return await self.tracker("POST", "/v1/tasks", body, key)


@contextlib.asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[Talk]:
    """Fakes without quotas and with small archives, unless the options differ."""
    easy = {"search_rate": None, "status_rate": None, "tracker_rate": None, "mix": "tiny"}
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        fakes.serve(fakes.FakeOptions(**(easy | options))) as running,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        yield Talk(running, session)
