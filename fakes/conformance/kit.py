"""What a check of the contract is, its results, and the requests that checks make."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import aiohttp
from yarl import URL

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
_SPACING_S: Final = 0.11
"""Between two requests: the least quota of the contract is 10 a second."""
_OVER_QUOTA: Final = 3
_LONGEST_WAIT_S: Final = 60.0
_LARGEST: Final = 64 * 2**20
"""No answer but an archive is larger."""


class Verdict(StrEnum):
    """What a check found."""

    KEPT = "kept"
    BROKEN = "broken"
    NOTED = "noted"  # the contract leaves it open, and docpipe lives with it
    SKIPPED = "skipped"  # something before it is broken, or it was not asked for


@dataclass(frozen=True, slots=True)
class Result:
    """One part of the contract, what was seen, and what to do where it is broken."""

    service: str
    rule: str
    verdict: Verdict
    seen: str = ""
    cure: str = ""


class BrokenError(Exception):
    """The contract is broken: what was seen, and the cure."""

    def __init__(self, seen: str, cure: str) -> None:
        super().__init__(seen)
        self.cure = cure


class SkippedError(Exception):
    """The check cannot be made: the reason."""


class NotedError(Exception):
    """Kept in a way, or left open by the contract: what was seen."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service to examine. `patient` is the demographics of a test patient, for checks that write."""

    name: str
    """docex or tracker."""
    address: str
    token: str | None = None
    write: bool = False
    quota: bool = False
    """Whether to send more status requests than the quota allows."""
    patient: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0
    """How long a search may take."""
    timeout: float = 30.0
    """How long an answer may take."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, its body whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: URL

    @property
    def media_type(self) -> str:
        """Without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def summary(self) -> str:
        """Status and media type; bodies may quote patients."""
        return f"{self.status} with {self.media_type or 'no Content-Type'}"

    def value(self, *kinds: str) -> Any:
        """The JSON in it, of one of these media types.

        Raises:
            BrokenError: if it is something else.
        """
        if self.media_type not in (kinds or (JSON,)):
            raise BrokenError(self.summary, f"send {' or '.join(kinds or (JSON,))}")
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise BrokenError(f"{self.summary}, which is no JSON", "send JSON in UTF-8") from error

    def expect(self, *statuses: int) -> "Answer":
        """Itself where the status is one of these.

        Raises:
            BrokenError: if it is another.
        """
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise BrokenError(
                self.summary, f"answer with {wanted}, also through the proxies before the service"
            )
        return self

    def problem(self, *statuses: int) -> dict[str, Any]:
        """The problem details of a refusal.

        Raises:
            BrokenError: if it is no refusal of the service's own.
        """
        value = self.expect(*statuses).value(PROBLEM)
        if not isinstance(value, dict) or value.get("status", self.status) != self.status:
            raise BrokenError(f"{self.summary} whose member status is another", "follow RFC 9457")
        return value


class Session:
    """Requests to one service. No redirect is followed."""

    def __init__(self, target: Target, http: aiohttp.ClientSession) -> None:
        self.target = target
        self.http = http
        self.known: dict[str, Any] = {}
        """What one check hands to later ones."""

    async def ask(
        self,
        method: str,
        address: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: bool = True,
    ) -> Answer:
        """Make a request within the least quota of the contract; one that is over another quota is repeated.

        Raises:
            BrokenError: as `send`, and where the quota has no room again and again.
        """
        for _ in range(_OVER_QUOTA):
            await asyncio.sleep(_SPACING_S)
            answer = await self.send(method, address, body, headers, token=token)
            if answer.status != 429:  # noqa: PLR2004 -- Too Many Requests
                return answer
            answer.problem(429)
            wait = answer.headers.get("Retry-After", "")
            await asyncio.sleep(min(float(wait), _LONGEST_WAIT_S) if wait.isdecimal() else 1.0)
        raise BrokenError(
            f"429 to {_OVER_QUOTA} of {_OVER_QUOTA} requests, at fewer than 10 a second",
            "see who else uses the quota; say in Retry-After when there is room, in seconds",
        )

    async def send(
        self,
        method: str,
        address: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: bool = True,
    ) -> Answer:
        """Make one request.

        Args:
            method: of HTTP.
            address: absolute, or a path at the service.
            body: sent as JSON.
            headers: besides Authorization.
            token: whether to send the token; it is never sent to another origin.

        Raises:
            BrokenError: if no answer comes, or one that is cut off.
        """
        base = URL(self.target.address.rstrip("/") + "/")
        url = (
            URL(address, encoded=True)
            if "://" in address
            else base.join(URL(address.lstrip("/"), encoded=True))
        )
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        if token and self.target.token and url.origin() == base.origin():
            sent["Authorization"] = f"Bearer {self.target.token}"
        try:
            async with (
                asyncio.timeout(self.target.timeout),
                self.http.request(method, url, json=body, headers=sent, allow_redirects=False) as answer,
            ):
                return Answer(answer.status, answer.headers, await _whole(answer), answer.url)
        except TimeoutError as error:
            seen = f"no answer to {method} within {self.target.timeout:g} s"
            raise BrokenError(seen, "answer at once; only searches may take long") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            seen = f"{method}: {type(error).__name__}"
            raise BrokenError(seen, "see that the service can be reached, and answers whole") from error

    def need(self, name: str) -> Any:
        """What an earlier check has left.

        Raises:
            SkippedError: if it has not.
        """
        if name not in self.known:
            raise SkippedError("a check before it did not get so far")
        return self.known[name]


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(2**16):
        body += chunk
        if len(body) > _LARGEST and "zip" not in answer.headers.get("Content-Type", ""):
            raise ValueError("an answer without end")
    return bytes(body)


@dataclass(frozen=True, slots=True)
class Check:
    """A rule, and what tries it; `writes` tells whether it creates something."""

    rule: str
    run: Callable[[Session], Awaitable[None]]
    writes: bool = False
    floods: bool = False


def without_token(path: str) -> Check:
    """The check that a token is asked for, if there is one."""

    async def run(session: Session) -> None:
        if not session.target.token:
            raise SkippedError("no token is given")
        (await session.ask("GET", f"{path}/{unknown_id()}", token=False)).problem(401, 403)

    return Check("a request without the token: 401 or 403 as problem+json", run)


def unknown_id() -> str:
    """An id that no service has."""
    return f"conformance-{secrets.token_hex(8)}"


async def examine(target: Target, checks: tuple[Check, ...]) -> AsyncIterator[Result]:
    """The results of the checks, one after the other. ValueError where checks that write lack a patient."""
    timeout = aiohttp.ClientTimeout(total=None, connect=target.timeout)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as http:
        session = Session(target, http)
        for check in checks:
            if (check.writes and not target.write) or (check.floods and not target.quota):
                option = "--quota" if check.floods else "--write"
                yield Result(target.name, check.rule, Verdict.SKIPPED, f"only with {option}")
                continue
            yield await _tried(session, check)


async def _tried(session: Session, check: Check) -> Result:
    name = session.target.name
    began = time.monotonic()
    try:
        await check.run(session)
    except BrokenError as broken:
        return Result(name, check.rule, Verdict.BROKEN, str(broken), broken.cure)
    except SkippedError as skipped:
        return Result(name, check.rule, Verdict.SKIPPED, str(skipped))
    except NotedError as noted:
        return Result(name, check.rule, Verdict.NOTED, str(noted))
    return Result(name, check.rule, Verdict.KEPT, f"{time.monotonic() - began:.1f} s")


@contextlib.contextmanager
def shaped(what: str) -> Any:
    """Members that are missing or of another type are a broken contract, by name."""
    try:
        yield
    except KeyError as error:
        raise BrokenError(f"{what} without {error.args[0]!r}", "send every required member") from error
    except TypeError as error:
        raise BrokenError(f"{what} of another shape", "see the contract's schema") from error
