"""What every HTTP attempt passes: its service's health and its endpoint's quota, as a client middleware.

A middleware is called for each HTTP attempt, including those that aiohttp repeats by itself, so each is
charged and observed. The timeout of an attempt starts when it is sent: time in line never counts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import aiohttp
import structlog

from docpipe.errors import PoisonedError
from docpipe.gates.failures import PROXY_LOGIN, TROUBLE, failure_of, no_proxy
from docpipe.gates.line import waiting
from docpipe.gates.place import Place
from docpipe.gates.quota import Quota
from docpipe.gates.retry_after import retry_after
from docpipe.gates.service import Call, Failure, Service
from docpipe.model import Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

RETRY_STATUSES: Final = frozenset({408, 425})
"""4xx by number, but they ask to try again, and a proxy sends 408 for a connection gone stale."""
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
STREAMED: Final = frozenset({200, 206})
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_CLOSED_AT_LEAST_S: Final = 1.0  # "Retry-After: 0" must not become a busy loop
_CLOSED_BY_DEFAULT_S: Final = 60.0
_CLOSED_NO_RATE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP attempt, as observers receive it when it has been answered or abandoned."""

    service: str
    endpoint: str
    run_id: str
    method: str
    waited: float
    """Seconds in line before it was sent."""
    sent: float
    """By the wall clock."""
    seconds: float
    """From being sent to the end of the answer; of a download, to its beginning."""
    status: int | None
    """None where no answer came."""
    failure: str | None
    """Why it failed, in a few words without secrets or patient data; None if it succeeded."""


Observer = Callable[[Attempt], None]
Judge = Callable[[aiohttp.ClientResponse], Awaitable[Failure | None]]
"""Reads an answer within its attempt; returns what is wrong with it."""
Final5xx = Callable[[aiohttp.ClientResponse], Awaitable[bool]]
"""Whether an answer with a 5xx is a final answer, and no failure of the service."""


class Gate:
    """The way to one endpoint of a service. Joins the quota to the service.

    Args:
        service: several gates may lead to one.
        quota: one gate's own.
        timeout: seconds for one attempt, from sending to the end of the answer.
        max_retry_after: the most of a Retry-After that is obeyed, in seconds.
        observers: called with each attempt when it is over; may grow later.
    """

    def __init__(
        self,
        service: Service,
        quota: Quota,
        *,
        timeout: float = 30.0,
        max_retry_after: float = 300.0,
        observers: Iterable[Observer] = (),
    ) -> None:
        self.service = service
        self.quota = quota
        self.timeout = timeout
        self.observers = observers
        self._max_retry_after = max_retry_after
        service.attach(quota)
        quota.barrier = service

    def call(self, ticket: Ticket, operation: str = "") -> Call:
        """A new request, to be sent until it is answered.

        Args:
            ticket: of the caller.
            operation: what it asks for; calls for the same are compared with each other.
        """
        return Call(ticket, asyncio.get_running_loop().time(), f"{self.quota.name} {operation}")

    def passage(
        self,
        call: Call,
        judge: Judge,
        *,
        stream: bool = False,
        timeout: float | None = None,
        final: Final5xx | None = None,
    ) -> "GateMiddleware":
        """The middleware for one try of a call: `async with` it, and hand it to the request.

        Args:
            call: whose it is.
            judge: reads the answer; not called for 429 and 5xx.
            stream: the body of a good answer is read later, and success is reported then.
            timeout: instead of the gate's own.
            final: called for each 5xx; by default all of them are failures of the service.
        """
        timeout = self.timeout if timeout is None else timeout
        return GateMiddleware(self, call, judge, stream=stream, timeout=timeout, final=final)

    async def enter(self, call: Call) -> Place:
        """Wait for a place and for the service. The place has to be given up, answered or handed back."""
        while True:
            place = self.quota.place(call.ticket, since=call.since, rank=call.failures)
            await self.quota.enter(place)
            if self.service.admit(call, place.grant):
                return place
            place.unspent()  # the service went down meanwhile

    async def pause(self, call: Call, failure: Failure) -> None:
        """Wait after a failure. While the service is down, callers wait in the line instead.

        Raises:
            PoisonedError: if the failures are the call's own.
        """
        self._blame(call, failure)
        if not self.service.up:
            return
        pause = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(call.failures - 1, 10))
        pause = max(pause * self.service.rng.uniform(0.5, 1), failure.retry_after)
        now = self.service.clock()
        with waiting(call.ticket, Wait(WaitKind.RETRY, self.service.name, now, now + pause)):
            await asyncio.sleep(pause)
        self._blame(call, failure)

    def _blame(self, call: Call, failure: Failure) -> None:
        if self.service.poisoned(call):
            raise PoisonedError(
                f"{self.quota.name} failed {call.failures} times for this request alone "
                f"(last: {failure.reason}), while it answered others.",
                failure.status,
            )

    def verdict(self, response: aiohttp.ClientResponse) -> Failure | None:
        """What the status alone means; a 429 closes the quota and is no failure of the service."""
        status = response.status
        if status == _TOO_MANY:
            seconds = retry_after(response.headers, self.service.clock(), self._max_retry_after)
            rate = self.quota.rate
            if seconds is None:
                seconds = min(rate.per, _CLOSED_BY_DEFAULT_S) if rate else _CLOSED_NO_RATE_S
            self.quota.close(max(seconds, _CLOSED_AT_LEAST_S), "429")
            return None
        if status == PROXY_LOGIN:
            return no_proxy(status)
        if status >= _SERVER_ERROR or status in RETRY_STATUSES:
            seconds = retry_after(response.headers, self.service.clock(), self._max_retry_after)
            return Failure(f"status {status}", retry_after=seconds or 0.0, status=status)
        return None

    def report(self, call: Call, failure: Failure) -> None:
        """Report a failed attempt to the service, and log it."""
        self.service.failed(call, failure)
        log.info(
            "request_failed",
            service=self.service.name,
            endpoint=self.quota.name,
            run_id=call.ticket.run_id,
            reason=failure.sentence,
            failures=call.failures,
        )


class GateMiddleware:
    """An aiohttp client middleware. After the request `failure` tells how its last attempt went."""

    def __init__(
        self, gate: Gate, call: Call, judge: Judge, *, stream: bool, timeout: float, final: Final5xx | None
    ) -> None:
        self._gate = gate
        self._call = call
        self._judge = judge
        self._final = final
        self._stream = stream
        self._timeout = timeout
        self._place: Place | None = None
        self._waited = 0.0
        self.failure: Failure | None = None

    async def __aenter__(self) -> Self:
        """Join the line before the request is made: that way a waiter costs 2 KB, not 10."""
        self._place = await self._enter()
        return self

    async def _enter(self) -> Place:
        now = asyncio.get_running_loop().time
        began = now()
        place = await self._gate.enter(self._call)
        self._waited = now() - began
        return place

    async def __aexit__(self, *_: object) -> None:
        if self._place is not None:  # the request never came to be sent
            self._place.unspent()
            self._gate.service.abandoned(self._call)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Make one attempt; one that aiohttp repeats by itself joins the line here."""
        place, self._place = self._place, None
        if place is not None and not self._gate.service.may_still(self._call):
            place.unspent()  # a pause or an outage began while it waited for something else, such as a token
            place = None
        if place is None:
            place = await self._enter()
        loop = asyncio.get_running_loop()
        sent, began, response = self._gate.service.clock(), loop.time(), None
        try:
            response = await self._attempt(place, request, handler)
        finally:
            place.give_up()
            self._observed(request.method, sent, loop.time() - began, response)
        return response

    def _observed(
        self, method: str, sent: float, seconds: float, response: aiohttp.ClientResponse | None
    ) -> None:
        status = None if response is None else response.status
        failure = self.failure.reason if self.failure else "given up" if response is None else None
        gate, run_id = self._gate, self._call.ticket.run_id
        for observer in gate.observers:
            observer(
                Attempt(
                    gate.service.name,
                    gate.quota.name,
                    run_id,
                    method,
                    self._waited,
                    sent,
                    seconds,
                    status,
                    failure,
                )
            )

    async def _attempt(
        self, place: Place, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        response = None
        try:
            async with asyncio.timeout(self._timeout):
                response = await handler(request)
                place.answered()
                self.failure = await self._judged(response)
        except TROUBLE as error:
            self.failure = failure_of(error)
            if not self.failure.sent:
                place.unspent()
            self._gate.report(self._call, self.failure)
            if response is None:
                raise
            response.close()
        except BaseException:
            self._gate.service.abandoned(self._call)
            if response is not None:
                response.close()
            raise
        else:
            self._report(response)
        return response

    async def _judged(self, response: aiohttp.ClientResponse) -> Failure | None:
        failure = self._gate.verdict(response)
        if failure is None and response.status != _TOO_MANY:
            return await self._judge(response)
        if failure is not None and response.status >= _SERVER_ERROR and self._final is not None:
            return None if await self._final(response) else failure
        return failure

    def _report(self, response: aiohttp.ClientResponse) -> None:
        if self.failure is not None:
            self._gate.report(self._call, self.failure)
        elif self._stream and response.status in STREAMED:
            self._gate.service.responding()
        else:
            self._gate.service.answered(self._call)
