"""Records every HTTP exchange in a HAR file, for a browser's network view.

Source: http://www.softwareishard.com/blog/har-12-spec/. The file is valid after each exchange. It has no
secrets: headers and members of JSON bodies with secret names, and signatures, tokens and logins in addresses
are removed. Archives and documents are not recorded, but recorded bodies quote patient data.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self
from urllib.parse import unquote_plus
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from docpipe import __version__
from docpipe.http.redirects import REDIRECTS
from docpipe.util.redact import HIDDEN, is_secret, without_secrets

_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate"}
)
_SIGN_IN: Final = frozenset({"grant_type", "redirect_uri", "response_type", "client_id", "session_state"})
"""Members beside which `code` and `state` are those of a sign-in, and none of a FHIR resource."""
_LONGEST: Final = 256 * 2**10
_TAIL: Final = b"\n]}}\n"


@dataclass(slots=True)
class _Exchange:
    began: float = field(default_factory=time.perf_counter)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    connected: float | None = None
    sent: float | None = None
    body: bytes = b""


class Har:
    """The file. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Begin the file, readable by its owner only.

        Raises:
            OSError: if it cannot be written.
        """
        path.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        log = {"version": "1.2", "creator": {"name": "docpipe", "version": __version__}}
        head = json.dumps({"log": log})[:-2] + ', "entries": [\n'
        self._file.write(head.encode() + _TAIL)
        self._file.flush()
        self._entries = 0
        self._bodies: WeakKeyDictionary[aiohttp.ClientResponse, bytes] = WeakKeyDictionary()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def trace(self) -> aiohttp.TraceConfig:
        """The trace configuration that records a session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._begun)
        trace.on_connection_create_end.append(self._connected)
        trace.on_request_chunk_sent.append(self._sent_chunk)
        trace.on_request_headers_sent.append(self._sent)
        trace.on_request_end.append(self._ended)
        trace.on_request_exception.append(self._broken)
        return trace

    def body(self, response: aiohttp.ClientResponse, raw: bytes) -> None:
        """Record the body of an answer, before its exchange ends."""
        self._bodies[response] = raw[:_LONGEST]

    async def _begun(self, _session: Any, context: SimpleNamespace, _params: Any) -> None:
        context.exchange = _Exchange()

    async def _connected(self, _session: Any, context: SimpleNamespace, _params: Any) -> None:
        context.exchange.connected = time.perf_counter()

    async def _sent(self, _session: Any, context: SimpleNamespace, _params: Any) -> None:
        context.exchange.sent = time.perf_counter()

    async def _sent_chunk(
        self, _session: Any, context: SimpleNamespace, params: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        context.exchange.body += params.chunk[: _LONGEST - len(context.exchange.body)]

    async def _ended(
        self, _session: Any, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        self._write(context.exchange, params, params.response, "")

    async def _broken(
        self, _session: Any, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        self._write(context.exchange, params, None, type(params.exception).__name__)

    def _write(
        self,
        exchange: _Exchange,
        params: aiohttp.TraceRequestEndParams | aiohttp.TraceRequestExceptionParams,
        response: aiohttp.ClientResponse | None,
        problem: str,
    ) -> None:
        ended = time.perf_counter()
        sent = exchange.sent or exchange.connected or exchange.began
        timings = {
            "blocked": -1,
            "connect": -1 if exchange.connected is None else _ms(exchange.connected - exchange.began),
            "send": _ms(sent - (exchange.connected or exchange.began)),
            "wait": _ms(ended - sent),
            "receive": 0,
        }
        entry = {
            "startedDateTime": exchange.started,
            "time": _ms(ended - exchange.began),
            "request": _request(params, exchange.body),
            "response": _response(
                response, problem, self._bodies.pop(response, b"") if response is not None else b""
            ),
            "cache": {},
            "timings": timings,
        }
        text = (",\n" if self._entries else "") + json.dumps(entry)
        self._entries += 1
        self._file.seek(-len(_TAIL), os.SEEK_END)
        self._file.write(text.encode() + _TAIL)
        self._file.flush()


def _request(params: Any, body: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "method": params.method,
        "url": without_secrets(str(params.url)),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(params.headers.items()),
        "queryString": [{"name": name, "value": value} for name, value in _query(params.url)],
        "headersSize": -1,
        "bodySize": len(body),
    }
    if body:
        usual = "application/json" if body[:1] in b"{[" else "application/octet-stream"
        entry["postData"] = {
            "mimeType": without_secrets(params.headers.get("Content-Type", usual)),
            "text": _body(body),
        }
    return entry


def _response(response: aiohttp.ClientResponse | None, problem: str, body: bytes) -> dict[str, Any]:
    headers: Mapping[str, str] = {} if response is None else response.headers
    size = int(headers.get("Content-Length", -1)) if headers.get("Content-Length", "-1").isdigit() else -1
    return {
        "status": 0 if response is None else response.status,
        "statusText": problem or without_secrets(response.reason or "" if response is not None else ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(headers.items()),
        "content": {
            "size": len(body) or max(0, size),
            "mimeType": without_secrets(headers.get("Content-Type", "")),
            **({"text": _body(body)} if body else {}),
        },
        "redirectURL": _location(response),
        "headersSize": -1,
        "bodySize": size,
    }


def _location(response: aiohttp.ClientResponse | None) -> str:
    if response is None or response.status not in REDIRECTS or "Location" not in response.headers:
        return ""
    return without_secrets(response.headers["Location"])


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _headers(items: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "value": HIDDEN if name.lower() in _HEADERS or is_secret(name) else without_secrets(value),
        }
        for name, value in items
    ]


def _query(url: URL) -> Iterator[tuple[str, str]]:
    """The parameters without secrets, as in the address."""
    for pair in without_secrets(f"?{url.raw_query_string}")[1:].split("&"):
        if pair:
            name, _, value = pair.partition("=")
            yield unquote_plus(name), unquote_plus(value)


def _body(body: bytes) -> str:
    """JSON without secrets; for anything else its length only, since a form may be all secrets."""
    try:
        return json.dumps(_cleaned(json.loads(body)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"({len(body)} bytes)"


def _names_secret(value: object) -> bool:
    return isinstance(value, str) and is_secret(value)


def _cleaned(value: object) -> object:
    if isinstance(value, dict):
        signs_in = not _SIGN_IN.isdisjoint(value)
        named = any(_names_secret(value.get(name)) for name in ("name", "key"))  # as parameters of FHIR are
        return {
            without_secrets(name): HIDDEN
            if is_secret(name)
            or (named and name.startswith("value"))
            or (signs_in and name in {"code", "state"})
            else _cleaned(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        if len(value) == 2 and _names_secret(value[0]):  # noqa: PLR2004 -- a name and its value
            return [value[0], HIDDEN]
        return [_cleaned(item) for item in value]
    return without_secrets(value) if isinstance(value, str) else value
