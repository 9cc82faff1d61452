"""Answers: read with a limit, as JSON, and held against the contract."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from docpipe.gates import WANTS_CERTIFICATE, Failure
from docpipe.http.har import Har
from docpipe.model import Json

LIMIT_B: Final = 4 * 2**20
"""No answer of an API is larger than this; archives are streamed instead."""
_CHUNK_B: Final = 64 * 2**10
_PAGE: Final = "text/html"
_STRANGER: Final = "check the address, and whether a proxy or a page to sign in answers in its place"
_BAD: Final = 400
_NGINX: Final = b"SSL certificate"
"""What nginx writes instead of an answer, where it is shown no certificate or one that it does not know."""

Check = Callable[[Json], bool]
"""Whether the body of a good answer keeps the contract."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered. `body` is the JSON value, None where there is none; headers ignore case."""

    status: int
    headers: Mapping[str, str]
    body: Json = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the service did what it was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 -- RFC 9110, 15.3


class Reading:
    """Reads one answer; `answer` is set when it is whole and keeps the contract."""

    def __init__(self, check: Check | None = None, har: Har | None = None) -> None:
        self._check = check
        self._har = har
        self.answer: Answer | None = None

    async def __call__(self, response: aiohttp.ClientResponse) -> Failure | None:
        """Read the answer within its attempt, and say what is wrong with it."""
        raw = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_B):
            raw += chunk
            if len(raw) > LIMIT_B:
                response.close()
                return Failure("an answer that is too large", status=response.status)
        if self._har is not None:
            self._har.body(response, bytes(raw))
        if response.status == _BAD and response.content_type == "text/html" and _NGINX in raw:
            return WANTS_CERTIFICATE
        answer = Answer(response.status, response.headers, None)
        try:
            if raw:
                answer = Answer(response.status, response.headers, json.loads(raw))
            good = not answer.ok or self._check is None or self._check(answer.body)
        except (ValueError, RecursionError):  # of json; of a refusal only the status counts
            # Where the contract gives no body, any will do, but a page of HTML is some proxy's apology.
            good = not answer.ok or (self._check is None and response.content_type != _PAGE)
        except (TypeError, LookupError, AttributeError):  # of a check that met another shape
            good = False
        if not good and response.content_type == _PAGE:
            return Failure("a web page instead of an answer", status=response.status, cure=_STRANGER)
        if not good:
            return Failure("an answer that breaks the contract", status=response.status, cure=_STRANGER)
        self.answer = answer
        return None
