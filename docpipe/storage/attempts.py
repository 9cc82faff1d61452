"""Requests to an object store, each attempt through the gate of the service `storage`.

obstore makes no attempts of its own: the gate sees every one, lets one probe while the store is down and
everybody else wait. What obstore raises is told as an OSError whose `strerror` quotes nothing of the store's
answer, which may bear keys.
"""

import asyncio
import contextlib
import errno
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from obstore import exceptions

from docpipe.gates import Attempt, Call, Failure, Gate
from docpipe.gates.line import Slots
from docpipe.model import Ticket

SLOTS: Final = 8
"""Requests, or uploads of a large file, under way at the same time: that bounds memory and connections."""
_STATUS: Final = re.compile(r"non-2xx status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_KIND: Final = re.compile(r"kind: (Connect|Timeout|Request|Interrupted|Decode)\b")
_TOLD: Final = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Decode": "an answer that is none of an object store",
}
_SERVER_ERROR: Final = 500
_NOT_IMPLEMENTED: Final = 501
_NO_SUCH_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound")
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_TRY_AGAIN_CODES: Final = ("RequestTimeout", "SlowDown", "OperationAborted")

_T = TypeVar("_T")
_REFUSED: Final = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)


class BucketError(OSError):
    """The store has answered, and trying again will not help."""


class Attempts:
    """Makes requests. Used inside one event loop.

    Args:
        gate: of the service; None tries once, whatever comes.
        slots: bounds what is under way.
    """

    def __init__(self, gate: Gate | None, slots: Slots) -> None:
        self.gate = gate
        self._slots = slots

    async def make(self, method: str, request: Callable[[], Awaitable[_T]], ticket: Ticket | None) -> _T:
        """Make a request; with a ticket until it is answered, else once.

        Args:
            method: for those who look at attempts, such as PUT.
            request: called anew for each attempt.
            ticket: who asks.

        Raises:
            FileNotFoundError, AlreadyExistsError, PreconditionError: as obstore has them.
            BucketError: if the store's answer is final.
            OSError: if it failed once, and there is no ticket.
            PoisonedError: if this request alone keeps failing while others succeed.
        """
        if self.gate is None:
            return await self._once(request)
        if ticket is None:
            return await self._directly(self.gate, method, request)
        call = self.gate.call(ticket)
        while True:
            try:
                async with self._admitted(self.gate, call) as waited:
                    return await self._attempt(self.gate, call, method, request, waited)
            except _Failed as failed:
                await self.gate.pause(call, failed.failure)

    @contextlib.asynccontextmanager
    async def _admitted(self, gate: Gate, call: Call) -> AsyncIterator[float]:
        """Wait for the service, then for a slot; a service that went down meanwhile is waited for again."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            place = await gate.enter(call)
            try:
                async with self._slots.hold(call.ticket):
                    if gate.service.may_still(call):
                        yield loop.time() - began
                        return
            except BaseException:
                gate.service.abandoned(call)
                raise
            finally:
                place.unspent()  # there is no quota: nothing is counted but who is under way

    async def _directly(self, gate: Gate, method: str, request: Callable[[], Awaitable[_T]]) -> _T:
        """For whoever looks at documents meanwhile: neither a pause nor an outage holds it up."""
        call = gate.call(Ticket())
        async with self._slots.hold(call.ticket):
            try:
                return await self._attempt(gate, call, method, request, 0.0)
            except _Failed as failed:
                raise trouble(failed.failure) from failed

    async def _attempt(
        self, gate: Gate, call: Call, method: str, request: Callable[[], Awaitable[_T]], waited: float
    ) -> _T:
        loop = asyncio.get_running_loop()
        sent, began, failure, given_up = gate.service.clock(), loop.time(), None, True
        try:
            done = await request()
        except (FileNotFoundError, exceptions.BaseError) as error:
            given_up, failure = False, failure_of(error)
            if failure is None:
                gate.service.answered(call)
                raise final_of(error) from error
            gate.report(call, failure)
            raise _Failed(failure) from error
        else:
            given_up = False
            gate.service.answered(call)
            return done
        finally:
            reason = "given up" if given_up else failure.reason if failure else None
            status = failure.status if failure else None if given_up else 200
            name, run_id = gate.service.name, call.ticket.run_id
            seen = Attempt(name, name, run_id, method, waited, sent, loop.time() - began, status, reason)
            for observer in gate.observers:
                observer(seen)

    async def _once(self, request: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await request()
        except (FileNotFoundError, exceptions.BaseError) as error:
            raise told_once(error) from error


class _Failed(Exception):  # noqa: N818 -- never leaves this module
    """An attempt failed, and another may not."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def failure_of(error: Exception) -> Failure | None:
    """What speaks against the service; None where it has answered."""
    if not isinstance(error, exceptions.GenericError):
        return None
    told = str(error)
    if (found := _STATUS.search(told)) is not None:
        status, code = int(found[1]), _code(told)
        again = status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED
        again = again or status in _TRY_AGAIN or code in _TRY_AGAIN_CODES
        named = f"status {status}" + (f" ({code})" if code else "")
        return Failure(named, status=status) if again else None
    kind = _KIND.search(told)
    return Failure(_TOLD.get(kind[1] if kind else "", "the connection broke off"))


def final_of(error: Exception) -> Exception:
    """The error to tell where the service has answered."""
    told = str(error)
    if _code(told) in _NO_SUCH_BUCKET:
        return BucketError(errno.ENXIO, "there is no such bucket; see storage.url")
    if isinstance(error, FileNotFoundError | exceptions.AlreadyExistsError | exceptions.PreconditionError):
        return error
    if isinstance(error, _REFUSED):
        return BucketError(
            errno.EACCES, "the store refuses docpipe; see its credentials and what they permit"
        )
    found, code = _STATUS.search(told), _code(told)
    if isinstance(error, exceptions.NotSupportedError) or (found and int(found[1]) == _NOT_IMPLEMENTED):
        return BucketError(errno.ENOTSUP, "the store cannot do what is asked of it")
    named = f"status {found[1]}" + (f" ({code})" if code else "") if found else type(error).__name__
    return BucketError(errno.EIO, f"the store refuses the request: {named}")


def told_once(error: Exception) -> Exception:
    """The error to tell of a request that is not repeated."""
    if (failure := failure_of(error)) is None:
        return final_of(error)
    return trouble(failure)


def trouble(failure: Failure) -> OSError:
    """The error to tell where another attempt might help, and nobody makes it."""
    return OSError(errno.EIO, f"the store does not answer as it should: {failure.reason}")


def _code(told: str) -> str:
    found = _CODE.search(told)
    return found[1] if found else ""
