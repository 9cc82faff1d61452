"""What every request passes, whichever server it is for: latency, the ledger, quotas, faults, the token."""

import asyncio
import contextlib
import hashlib
import json
import logging
import random
import re
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from aiohttp import web

from fakes.calls import Call, Refusal, Reply, phrase, problem
from fakes.clock import Clock
from fakes.faults import Fault, Faults
from fakes.journal import Journal
from fakes.keys import Keys
from fakes.ledger import Ledger, Seen
from fakes.mixups import Mixups
from fakes.options import FakeOptions
from fakes.quota import Quotas, Rate, whole_seconds
from fakes.tokens import Tokens

Handler = Callable[[Call], Awaitable[Reply]]
Route = tuple[str, str, str, Handler]
"""Method, path, operation, handler."""

_log: Final = logging.getLogger("fakes")
_MAX_BODY: Final = 8 * 2**20
_CHUNK: Final = 64 * 2**10
_DRIPS: Final = 20
_NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class World:
    """What the servers share."""

    options: FakeOptions
    clock: Clock
    journal: Journal
    faults: Faults
    closing: asyncio.Event
    rng: random.Random
    tokens: Tokens
    guarded: bool = False
    """Whether the servers ask for tokens of the OAuth2 server."""


def digest(*parts: object) -> str:
    """16 hex digits that tell values apart without showing them."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Front(ABC):
    """A server: its subclasses say which routes there are, and this what happens around them."""

    name: ClassVar[str]
    guarded: ClassVar[bool] = True
    """Whether it asks for tokens where there is a server that gives them."""

    def __init__(self, world: World, rates: Mapping[str, Rate | None], token: str | None = None) -> None:
        self.world = world
        self.ledger = Ledger()
        self.keys = Keys(f"{self.name}.key", world.journal, world.clock, world.options.key_seconds)
        self._token = token
        self._revoked: set[str | None] = set()
        self._quotas = Quotas(rates)
        self._mixups = Mixups()
        self._callers: dict[str | None, str] = {None: ""}
        for id_, times in world.journal.load(f"{self.name}.quota").items():
            endpoint, _, caller = id_.rpartition(" ")
            self._quotas.restore(endpoint, caller, [world.clock.moment(time) for time in times])

    @abstractmethod
    def routes(self) -> list[Route]:
        """Every operation of the contract."""

    @abstractmethod
    def subjects(self, call: Call) -> Collection[str]:
        """The patient of a request, for faults that poison one patient."""

    # What tests ask.

    @property
    def requests(self) -> list[Seen]:
        """Every request that reached the server, in order."""
        return self.ledger.requests

    def count_429(self, pattern: str = "*") -> int:
        """How many requests were over quota (or met a fault that said so)."""
        return self.ledger.count(429, pattern)

    def worst_window(self, pattern: str, per: float | None = None) -> int:
        """The most requests of one caller in any `per` seconds, by default those of the pattern's quota."""
        return self.ledger.worst_window(pattern, self._quotas.per(pattern) if per is None else per)

    def add_fault(self, fault: Fault | str) -> None:
        """Put a fault in force; its `since` and `until` count from now."""
        self.world.faults.add(
            Fault.parse(fault) if isinstance(fault, str) else fault, self.world.clock.time()
        )

    def use_token(self, token: str, answer: int = 401) -> None:
        """Ask for this token from now on; the one before is answered with 401, or 403."""
        if answer == 401:  # noqa: PLR2004 - as it says
            self._revoked.add(self._token)
        self._token = token

    def forget_keys(self) -> None:
        """Forget every Idempotency-Key, as services do after a time."""
        self.keys.forget()

    def remake(self, call: Call, seconds: float) -> None:  # noqa: B027 -- most have nothing that runs
        """Let what a request is about run once more."""

    # What happens to a request.

    def app(self) -> web.Application:
        """The routes as an application, with an answer for every other path."""
        app = web.Application(client_max_size=_MAX_BODY)
        for method, path, operation, handler in self.routes():
            app.router.add_route(method, path, self._around(operation, handler))
        app.router.add_route("*", "/{rest:.*}", self._around(f"{self.name}.unknown", self._unknown))
        return app

    def _around(self, operation: str, handler: Handler) -> Callable[[web.Request], Awaitable[Any]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(operation, handler, request)

        return serve

    async def _serve(self, operation: str, handler: Handler, request: web.Request) -> web.StreamResponse:
        await self._travel()
        try:
            raw = await request.read() if request.can_read_body else b""
        except web.HTTPRequestEntityTooLarge:
            raw, handler = b"", _too_large
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the caller is gone: nobody reads this
        seen = self._arrived(operation, request)
        seen.body = digest(raw) if raw else ""
        endpoint = self._quotas.endpoint(operation)
        wait = self._charge(endpoint, seen) if endpoint is not None else 0.0
        call = Call(request, seen, raw)
        fault = self.world.faults.meet(operation, seen.at, lambda: self._subjects(call))
        seen.fault = fault.answer if fault else None
        reply = await self._reply(call, handler, fault, wait)
        response: web.StreamResponse
        if reply is None:
            response = _drop(request, hard=seen.fault == "reset")
        else:
            await self._travel()
            seen.status = reply.status
            response = await self._send(request, reply, fault)
        if self.world.options.log is not None:
            self.world.options.log(seen)
        return response

    def _arrived(self, operation: str, request: web.Request) -> Seen:
        headers = request.headers
        token = headers.get("Authorization")
        caller = self._callers.get(token)
        if caller is None:
            caller = self._callers[token] = digest(token)
        seen = Seen(
            self.world.clock.time(),
            operation,
            request.method,
            request.path,
            headers.get("Idempotency-Key"),
            caller,
        )
        self.ledger.requests.append(seen)
        return seen

    def _charge(self, endpoint: str, seen: Seen) -> float:
        wait = self._quotas.charge(endpoint, seen.caller, seen.at)
        if self.world.journal:
            times = self._quotas.arrivals(endpoint, seen.caller)
            epochs = [self.world.clock.epoch(time) for time in times]
            self.world.journal.put(f"{self.name}.quota", f"{endpoint} {seen.caller}", epochs)
        return wait

    def _subjects(self, call: Call) -> Collection[str]:
        try:
            return self.subjects(call)
        except Refusal:  # what cannot be understood is about nobody
            return ()

    async def _reply(self, call: Call, handler: Handler, fault: Fault | None, wait: float) -> Reply | None:
        """What to answer; None where the connection is to be dropped."""
        if fault is None:
            return await self._handle(call, handler, wait)
        if fault.answer in ("reset", "close"):
            return None
        if fault.answer == "hang":
            await self._pause(fault.seconds)
            return None
        if (canned := _canned(fault, self.world.clock.epoch())) is not None:
            return canned
        return await self._late_or_mixed_up(call, handler, fault, wait)

    async def _late_or_mixed_up(
        self, call: Call, handler: Handler, fault: Fault, wait: float
    ) -> Reply | None:
        """Let a fault happen around the handling of a request."""
        if fault.answer == "forget":
            self.keys.forget()
        if fault.answer == "revoke":
            self.world.tokens.revoke()
        if fault.answer == "remake":
            self.remake(call, fault.seconds or 0.0)
            return problem(410, "The archive is made again.")
        if fault.answer == "delay":
            with self.keys.working(call):
                await self._pause(fault.seconds)
                return await self._handle(call, handler, wait)
        call.unfiltered = fault.answer == "unfiltered"
        operation, subjects = call.seen.operation, self._subjects(call)
        if fault.answer == "cached" and (stale := self._mixups.stale(operation, subjects)) is not None:
            return stale
        reply = await self._handle(call, handler, wait)
        if fault.answer == "swapped":
            return self._mixups.swapped(operation, subjects) or reply
        if fault.answer == "late":
            await self._pause(fault.seconds)
        return None if fault.answer == "lost" else reply

    async def _handle(self, call: Call, handler: Handler, wait: float) -> Reply:
        try:
            self._authorize(call)
            if wait > 0:
                return problem(429, "Over quota.", {"Retry-After": whole_seconds(wait)})
            return self._kept(call, await handler(call))
        except Refusal as refusal:
            return self.refusal(refusal)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets problem+json as the contract says
            _log.exception("the fake itself failed at %s", call.seen.operation)
            return problem(500, "The fake itself failed; its log says how.")

    def refusal(self, refusal: Refusal) -> Reply:
        """An error in the form of the contract."""
        return problem(refusal.status, str(refusal), refusal.headers)

    def _kept(self, call: Call, reply: Reply) -> Reply:
        """A good answer, kept where it may be sent to others later."""
        if self.world.faults.mixes:
            self._mixups.remember(call.seen.operation, self._subjects(call), reply)
        return reply

    def _authorize(self, call: Call) -> None:
        guarded = self.guarded and self.world.guarded
        if self._token is None and not guarded:
            return
        scheme, _, token = (call.header("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refusal(401, "A bearer token is required.", {"WWW-Authenticate": "Bearer"})
        if guarded and self.world.tokens.good(token.strip()):
            return
        if guarded or token.strip() in self._revoked:
            wrong = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refusal(401, "This token is not good any more.", wrong)
        if token.strip() != self._token:
            raise Refusal(403, "This token may not be used here.")

    async def _unknown(self, call: Call) -> Reply:
        *known, _ = call.request.app.router.resources()
        allowed: set[str] = set()
        for resource in known:
            allowed |= (await resource.resolve(call.request))[1]
        if allowed:
            raise Refusal(405, "There is no such operation.", {"Allow": ", ".join(sorted(allowed))})
        raise Refusal(404, "There is nothing at this path.")

    # The wire.

    async def _travel(self) -> None:
        options = self.world.options
        if options.latency or options.jitter:
            await asyncio.sleep((options.latency + self.world.rng.uniform(0, options.jitter)) / 2)

    async def _pause(self, seconds: float | None) -> None:
        """Let time pass, but no longer than the servers are up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.world.closing.wait()

    async def _send(self, request: web.Request, reply: Reply, fault: Fault | None) -> web.StreamResponse:
        answer = fault.answer if fault else ""
        if not reply.body and answer in ("truncate", "corrupt", "slow"):
            return await self._send_damaged_head(request, reply, fault)
        body = _flip(reply.body) if answer == "corrupt" else reply.body
        if len(body) <= _CHUNK and answer not in ("truncate", "slow"):
            return web.Response(status=reply.status, body=bytes(body), headers=reply.headers)
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.content_length = len(body)
        view = memoryview(body)
        end = len(body) // 2 if answer == "truncate" else len(body)
        chunk = max(1, min(_CHUNK, end // _DRIPS)) if answer == "slow" else _CHUNK
        with contextlib.suppress(ConnectionError):  # the caller may have had enough
            await response.prepare(request)
            for start in range(0, end if request.method != "HEAD" else 0, chunk):
                await response.write(view[start : min(start + chunk, end)])
                if fault is not None and answer == "slow":
                    await self._pause((fault.seconds or 0) * chunk / end)
            if answer == "truncate" and request.transport is not None:
                request.transport.close()
        return response

    async def _send_damaged_head(
        self, request: web.Request, reply: Reply, fault: Fault | None
    ) -> web.StreamResponse:
        """Send an answer that is all head, as a redirect is, with the fault in it."""
        answer, headers = fault.answer if fault else "", dict(reply.headers)
        if answer == "truncate" and request.transport is not None:
            request.transport.write(f"HTTP/1.1 {reply.status} {phrase(reply.status)}\r\nLoca".encode())
            request.transport.close()
            return web.Response()  # it goes nowhere
        if answer == "slow":
            await self._pause(fault.seconds if fault else None)
        elif "Location" in headers:
            headers["Location"] = _flip(headers["Location"].encode()).decode("ascii", "replace")
        return web.Response(status=reply.status, headers=headers)


async def _too_large(_call: Call) -> Reply:
    raise Refusal(413, f"The body is larger than {_MAX_BODY} bytes.")


def _canned(fault: Fault, epoch: float) -> Reply | None:
    """The answer of a proxy or a failing server, None where the request continues."""
    headers = fault.retry_header(epoch)
    match = re.fullmatch(r"([a-z]*)(\d{3})", fault.answer)
    if match is None:
        return None
    word, status = match[1], int(match[2])
    match word:
        case "":
            return problem(status, "A fault, on purpose.", headers)
        case "html":
            page = (
                f"<html><head><title>{status}</title></head><body><h1>{phrase(status)}</h1></body></html>\n"
            )
            reply = Reply(status, page.encode(), {"Content-Type": "text/html"})
        case "plain":
            reply = Reply(status, f"default backend - {status}\n".encode(), {"Content-Type": "text/plain"})
        case "away":
            reply = Reply(status, b"", {"Location": "https://status.example.org/maintenance"})
        case "fhir" | "fhirbad":
            code = "processing" if word == "fhirbad" else "transient"
            issue = {"severity": "error", "code": code, "diagnostics": "A fault, on purpose."}
            body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
            reply = Reply(status, body, {"Content-Type": "application/fhir+json"})
        case _:
            reply = Reply(status)
    return Reply(reply.status, reply.body, {**reply.headers, **headers})


def _drop(request: web.Request, *, hard: bool) -> web.Response:
    """Close the connection without an answer; the response returned goes nowhere."""
    transport = request.transport
    if transport is not None:
        if hard:
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response()


def _flip(body: bytes | memoryview) -> bytes:
    flipped = bytearray(body)
    if flipped:
        flipped[len(flipped) // 2] ^= 1
    return bytes(flipped)
