"""Reads answers: with a size limit, as JSON, checked against the contract."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from docpipe.gates import WANTS_CERTIFICATE, Failure
from docpipe.http.har import Har
from docpipe.model import Json

LIMIT_B: Final = 4 * 2**20
"""Bytes of an answer, unless a request allows more; archives are streamed instead."""
_IN_THREAD_B: Final = 2**20
"""Longer answers are decoded in a thread."""
_CHUNK_B: Final = 64 * 2**10
_PAGE: Final = "text/html"
STRANGER: Final = "check the address, and whether a proxy or a page to sign in answers in its place"
_BAD: Final = 400
_NGINX: Final = b"SSL certificate"
"""What nginx answers to a client without a certificate, or with one it does not know."""

Check = Callable[[Json], bool]
"""Whether the body of a good answer keeps the contract and matches the request; see `about`."""
MIXED_UP: Final = Failure(
    "an answer to another request",
    status=200,
    cure="ask the operators whether a cache, a proxy or a load balancer mixes up answers",
)


Own = Callable[[int, Mapping[str, str], bytes], bool]
"""Whether a 4xx, by status, headers and body, comes from the service itself: it has the contract's form."""
_KINDS: Final = {type(None): "missing", bool: "true or false", int: "a number", float: "a number"}
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


def is_problem(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 4xx comes from the service itself, whose contract has `application/problem+json` (RFC 9457).

    Proxies, firewalls and default backends answer with pages, texts and JSON of their own. A challenge with
    WWW-Authenticate, or a 401 without a page, may come from a gateway that acts for the service.
    """
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if status in (_UNAUTHORIZED, _FORBIDDEN) and "WWW-Authenticate" in headers:
        return True
    if status == _UNAUTHORIZED and kind != _PAGE:
        return True
    if kind != "application/problem+json":
        return False
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


class MixedUpError(Exception):
    """An answer keeps the contract, but belongs to another request."""


class MemberError(Exception):
    """An answer breaks the contract by one member, which the message names."""


def texts_in(body: Mapping[str, Json], *names: str) -> bool:
    """Check that members are texts, within a check.

    Raises:
        MemberError: if one is not.
    """
    for name in names:
        if not isinstance(body.get(name), str):
            kind = _KINDS.get(type(body.get(name)), "a list or object")
            raise MemberError(f"its member `{name}` is {kind}, not a text")
    return True


def about(given: object, asked: str) -> bool:
    """Compare the id in an answer with the requested one, within a check.

    Args:
        given: the id or reference in the answer; None or empty where it has none, which is accepted.
        asked: the requested one.

    Raises:
        MixedUpError: if they differ.
    """
    if given and given != asked:
        raise MixedUpError
    return True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered. `body` is the JSON value, None where there is none; headers ignore case."""

    status: int
    headers: Mapping[str, str]
    body: Json = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300  # noqa: PLR2004 -- RFC 9110, 15.3


def mixed_up(raw: bytes, check: Check) -> Failure | None:
    """The failure of a good answer that belongs to another request; None for any other answer."""
    try:
        check(json.loads(raw))
    except MixedUpError:
        return MIXED_UP
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError, MemberError):
        return None  # its reader judges everything else
    return None


class Reading:
    """Reads one answer; `answer` is set when it is complete and keeps the contract."""

    def __init__(
        self,
        check: Check | None = None,
        har: Har | None = None,
        own: Own | None = None,
        limit: int | None = None,
    ) -> None:
        self._check = check
        self._limit = limit
        self._own = own
        self._har = har
        self.answer: Answer | None = None
        self.too_large = False
        """Whether the answer is larger than the limit of its request, which is final."""

    @property
    def strict(self) -> bool:
        """Whether an answer without the contract's form counts as a proxy's."""
        return self._own is not None

    async def __call__(self, response: aiohttp.ClientResponse) -> Failure | None:
        """Read the answer within its attempt; return its failure, None for a good one."""
        raw = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_B):
            raw += chunk
            if len(raw) > (self._limit or LIMIT_B):
                response.close()
                self.too_large = self._limit is not None and response.ok
                too_large = Failure("an answer that is too large", status=response.status)
                return None if self.too_large else too_large
        if self._har is not None:
            self._har.body(response, bytes(raw))
        return await self._judged(response, bytes(raw))

    async def _judged(self, response: aiohttp.ClientResponse, raw: bytes) -> Failure | None:
        if response.status == _BAD and response.content_type == _PAGE and _NGINX in raw:
            return WANTS_CERTIFICATE
        try:
            if len(raw) > _IN_THREAD_B:
                good = await asyncio.to_thread(self._keeps_contract, response, raw)
            else:
                good = self._keeps_contract(response, raw)
        except MixedUpError:
            return MIXED_UP
        except MemberError as error:
            why = f"an answer that breaks the contract: {error}"
            return Failure(why, status=response.status, cure=STRANGER, stranger=True)
        if good:
            return None
        why = "an answer that breaks the contract"
        if response.content_type == _PAGE:
            why = "a web page instead of an answer"
        elif response.status >= _BAD:
            why = f"status {response.status}, not in the form of its contract"
        return Failure(why, status=response.status, cure=STRANGER, stranger=True)

    def _keeps_contract(self, response: aiohttp.ClientResponse, raw: bytes) -> bool:
        """Set the answer where it does; return whether it does.

        Raises:
            MixedUpError: if it belongs to another request.
            MemberError: if one member breaks the contract.
        """
        page = response.content_type == _PAGE
        try:
            body = json.loads(raw) if raw else None
        except (
            ValueError,
            RecursionError,
        ):  # an answer without a body in the contract may have any but a page
            body, page = None, page and bool(raw)
        else:
            page = False
        answer = Answer(response.status, response.headers, body)
        if (
            response.status >= _BAD
            and self._own is not None
            and not self._own(response.status, response.headers, raw)
        ):
            return False
        try:
            good = not answer.ok or (not page and (self._check is None or self._check(body)))
        except (TypeError, LookupError, AttributeError):  # the check expects another shape
            good = False
        self.answer = answer if good else None
        return good
