"""A request as a handler sees it, what a handler answers, and how it refuses."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from fakes.ledger import Seen

KEY_LENGTH: Final = 255
_UNREAD: Final = object()


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back."""

    status: int
    body: bytes | memoryview = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, value: Any, headers: dict[str, str] | None = None) -> "Reply":
        """Answer a JSON value."""
        body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of the program
    """The request is refused; the message is for the caller."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Reply:
    """An error as problem+json (RFC 9457)."""
    value = {"type": "about:blank", "title": phrase(status), "status": status, "detail": detail}
    return Reply(
        status, json.dumps(value).encode(), {"Content-Type": "application/problem+json", **(headers or {})}
    )


def phrase(status: int) -> str:
    """The name of a status, also of one that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


@dataclass(slots=True, eq=False)
class Call:
    """A request that has arrived, with its body."""

    request: web.Request
    seen: Seen
    raw: bytes
    unfiltered: bool = False
    """Whether to list all that there is, whatever is asked for."""
    _json: Any = _UNREAD

    def header(self, name: str) -> str | None:
        """A header, None where it is not there."""
        return self.request.headers.get(name)

    def part(self, name: str) -> str:
        """A variable part of the path."""
        return self.request.match_info[name]

    def json(self) -> dict[str, Any]:
        """The body, which must be a JSON object; 400 or 415 otherwise."""
        if self._json is _UNREAD:
            if self.request.content_type != "application/json":
                raise Refusal(415, "The body must be application/json.")
            try:
                self._json = json.loads(self.raw)
            except ValueError as error:
                raise Refusal(400, "The body is no JSON.") from error
        if not isinstance(self._json, dict):
            raise Refusal(400, "The body must be a JSON object.")
        return self._json

    def text(self, name: str, *, required: bool = True) -> str | None:
        """A text of the body; 400 where it is missing, empty or something else."""
        value = self.json().get(name)
        if value is None and not required:
            return None
        if not isinstance(value, str) or (required and not value):
            raise Refusal(400, f"{name} must be a text{' that is not empty' if required else ''}.")
        return value

    def key(self) -> str:
        """The Idempotency-Key; 400 where it is missing or too long."""
        key = self.seen.key
        if not key:
            raise Refusal(400, "An Idempotency-Key is required.")
        if len(key) > KEY_LENGTH:
            raise Refusal(400, f"The Idempotency-Key is longer than {KEY_LENGTH} characters.")
        return key
