"""Attempts beside those of the HTTP client: each waits for its service and a slot, and is observed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from docpipe.gates.gate import Attempt, Gate
from docpipe.gates.line import Slots
from docpipe.gates.service import Call, Failure

_T = TypeVar("_T")
_OK: Final = 200


class AttemptError(Exception):
    """An attempt failed, and the gate has counted that; the next one may succeed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@contextlib.asynccontextmanager
async def admitted(gate: Gate, call: Call, slots: Slots) -> AsyncIterator[float]:
    """Wait for the service, then for a slot, and again for a service that went down meanwhile.

    Yields the seconds that this took. The rate of attempts is not limited, only how many run at once.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        place = await gate.enter(call)
        try:
            async with slots.hold(call.ticket):
                if gate.service.may_still(call):
                    yield loop.time() - began
                    return
        except BaseException:
            gate.service.abandoned(call)
            raise
        finally:
            place.unspent()


async def attempt(
    gate: Gate,
    call: Call,
    work: Callable[[], Awaitable[_T]],
    *,
    method: str,
    waited: float,
    failures: Callable[[Exception], Failure | None],
    answers: tuple[type[Exception], ...],
) -> _T:
    """Make one attempt, and tell the gate's service and observers how it went.

    Args:
        gate: to the service.
        call: whose attempt it is.
        work: does it.
        method: for observers, such as PUT or SELECT.
        waited: seconds before the attempt.
        failures: the failure of the service that one of `answers` means, None where the service has answered.
        answers: the errors that `work` raises for an answer or a failure; any other ends the attempt.

    Raises:
        AttemptError: if it failed.
        Exception: one of `answers` where the service has answered.
    """
    loop, service = asyncio.get_running_loop(), gate.service
    sent, began = service.clock(), loop.time()
    reason: str | None = "given up"
    status: int | None = None
    try:
        done = await work()
        reason, status = None, _OK
    except answers as error:
        if (failure := failures(error)) is not None:
            reason, status = failure.reason, failure.status
            gate.report(call, failure)
            raise AttemptError(failure) from error
        reason, status = None, _OK
        service.answered(call)
        raise
    else:
        service.answered(call)
        return done
    finally:
        seen = Attempt(
            service.name,
            service.name,
            call.ticket.run_id,
            method,
            waited,
            sent,
            loop.time() - began,
            status,
            reason,
        )
        for observer in gate.observers:
            observer(seen)
