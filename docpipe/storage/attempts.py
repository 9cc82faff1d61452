"""Requests to an object store, each attempt through the gate of the service `storage`.

obstore makes no retries of its own: the gate counts every attempt; while the store is down one caller probes
and the others wait. Errors of obstore become OSErrors whose `strerror` quotes nothing of the store's answer,
which may hold keys.
"""

import errno
import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from obstore import exceptions

from docpipe.gates import Call, Failure, Gate
from docpipe.gates.attempts import AttemptError, admitted, attempt
from docpipe.gates.line import Slots
from docpipe.model import Ticket

SLOTS: Final = 8
"""Concurrent requests and uploads of large files: the bound of memory and connections."""
_STATUS: Final = re.compile(r"non-2xx status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_KIND: Final = re.compile(r"kind: (Connect|Timeout|Request|Interrupted|Decode)\b")
_REASONS: Final = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Decode": "an answer that is none of an object store",
}
_MACHINE: Final = re.compile(r"169\.254\.169\.254|computeMetadata|metadata\.google\.internal")
"""Where obstore requests credentials of the machine if none are configured: clouds give them there."""
_NO_CREDENTIALS: Final = "no credentials are configured, and this machine has none of its own from a cloud"
_CREDENTIALS: Final = "see the table in `docpipe docs storage`, such as GOOGLE_APPLICATION_CREDENTIALS"
_SERVER_ERROR: Final = 500
_NOT_IMPLEMENTED: Final = 501
_NO_SUCH_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound")
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_TRY_AGAIN_CODES: Final = ("RequestTimeout", "SlowDown", "OperationAborted")

_T = TypeVar("_T")
_ANSWERS: Final = (FileNotFoundError, exceptions.BaseError)
_REFUSED: Final = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)


class BucketError(OSError):
    """The store has refused the request, and a retry would not help."""


class Attempts:
    """Makes requests. Used inside one event loop.

    Args:
        gate: of the service; None makes one attempt without a gate.
        slots: bound concurrent requests.
    """

    def __init__(self, gate: Gate | None, slots: Slots) -> None:
        self.gate = gate
        self._slots = slots

    async def make(self, method: str, request: Callable[[], Awaitable[_T]], ticket: Ticket | None) -> _T:
        """Make a request; with a ticket until it is answered, without one once.

        Args:
            method: for the observers of attempts, such as PUT.
            request: called anew for each attempt.
            ticket: of the caller.

        Raises:
            FileNotFoundError, AlreadyExistsError, PreconditionError: as obstore has them.
            BucketError: if the store's answer is final.
            OSError: if it failed and there is no ticket.
            PoisonedError: if this request alone keeps failing while others succeed.
        """
        if self.gate is None:
            return await self._make_once(request)
        if ticket is None:
            return await self._directly(self.gate, method, request)
        call = self.gate.call(ticket)
        while True:
            try:
                async with admitted(self.gate, call, self._slots) as waited:
                    return await self._attempt(self.gate, call, method, request, waited)
            except AttemptError as failed:
                await self.gate.pause(call, failed.failure)

    async def _directly(self, gate: Gate, method: str, request: Callable[[], Awaitable[_T]]) -> _T:
        """Make one attempt for a person who reads documents: neither a pause nor an outage delays it."""
        call = gate.call(Ticket())
        async with self._slots.hold(call.ticket):
            try:
                return await self._attempt(gate, call, method, request, 0.0)
            except AttemptError as failed:
                raise trouble(failed.failure) from failed

    @staticmethod
    async def _attempt(
        gate: Gate, call: Call, method: str, request: Callable[[], Awaitable[_T]], waited: float
    ) -> _T:
        try:
            return await attempt(
                gate, call, request, method=method, waited=waited, failures=failure_of, answers=_ANSWERS
            )
        except _ANSWERS as error:
            raise final_of(error) from error

    async def _make_once(self, request: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await request()
        except _ANSWERS as error:
            raise error_without_retry(error) from error


def failure_of(error: Exception) -> Failure | None:
    """Why an attempt counts as a failure of the service; None where it has answered."""
    if not isinstance(error, exceptions.GenericError):
        return None
    text = str(error)
    match = _STATUS.search(text)
    if _MACHINE.search(text) is not None and (match is None or int(match[1]) >= _SERVER_ERROR):
        return Failure(_NO_CREDENTIALS, cure=_CREDENTIALS)
    if match is not None:
        status, code = int(match[1]), _code(text)
        again = status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED
        again = again or status in _TRY_AGAIN or code in _TRY_AGAIN_CODES
        named = f"status {status}" + (f" ({code})" if code else "")
        return Failure(named, status=status) if again else None
    kind = _KIND.search(text)
    return Failure(_REASONS.get(kind[1] if kind else "", "the connection broke off"))


def final_of(error: Exception) -> Exception:
    """The error to raise where the service has answered."""
    text = str(error)
    if _code(text) in _NO_SUCH_BUCKET:
        return BucketError(errno.ENXIO, "there is no such bucket or container: check storage.url")
    if isinstance(error, FileNotFoundError | exceptions.AlreadyExistsError | exceptions.PreconditionError):
        return error
    if isinstance(error, _REFUSED):
        return BucketError(
            errno.EACCES, "the store refuses docpipe: check its credentials and what they permit"
        )
    if _MACHINE.search(text) is not None:
        return BucketError(errno.EACCES, f"{_NO_CREDENTIALS}: {_CREDENTIALS}")
    match, code = _STATUS.search(text), _code(text)
    if isinstance(error, exceptions.NotSupportedError) or (match and int(match[1]) == _NOT_IMPLEMENTED):
        return BucketError(
            errno.ENOTSUP,
            "the store cannot do what is asked of it: see storage.options, such as "
            "server_side_encryption and checksum_algorithm",
        )
    named = f"status {match[1]}" + (f" ({code})" if code else "") if match else type(error).__name__
    return BucketError(errno.EIO, f"the store refuses the request: {named}")


def error_without_retry(error: Exception) -> Exception:
    """The error to raise for a request that is not repeated."""
    if (failure := failure_of(error)) is None:
        return final_of(error)
    return trouble(failure)


def trouble(failure: Failure) -> OSError:
    """The error to raise where a retry might help, but none is made."""
    return OSError(errno.EIO, f"the store does not answer as it should: {failure.reason}")


def _code(text: str) -> str:
    match = _CODE.search(text)
    return match[1] if match else ""
