"""Every exchange on the wire as a HAR file, for a browser's network view.

Source: http://www.softwareishard.com/blog/har-12-spec/. The file is whole after each exchange. Secrets are
left out: headers and parameters of the query that bear them, and members of JSON bodies. Archives and
documents are not kept, but bodies that are kept quote patient data.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from docpipe import __version__
from docpipe.http.redirects import REDIRECTS
from docpipe.model import Json

_HIDDEN: Final = "***"
_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate"}
)
_SECRET_WORDS: Final = ("token", "secret", "signature", "assertion", "password", "credential", "sig", "key")
_NO_SECRETS: Final = frozenset({"idempotency-key", "token_type"})
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
        """What tells of every exchange of a session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._begun)
        trace.on_connection_create_end.append(self._connected)
        trace.on_request_chunk_sent.append(self._sent_chunk)
        trace.on_request_headers_sent.append(self._sent)
        trace.on_request_end.append(self._ended)
        trace.on_request_exception.append(self._broken)
        return trace

    def body(self, response: aiohttp.ClientResponse, raw: bytes) -> None:
        """Hand in the body of an answer, before its exchange is over."""
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


def _request(params: Any, body: bytes) -> Json:
    told: dict[str, Json] = {
        "method": params.method,
        "url": str(_url(params.url)),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(params.headers.items()),
        "queryString": [{"name": name, "value": value} for name, value in _url(params.url).query.items()],
        "headersSize": -1,
        "bodySize": len(body),
    }
    if body:
        usual = "application/json" if body[:1] in b"{[" else "application/octet-stream"
        told["postData"] = {"mimeType": params.headers.get("Content-Type", usual), "text": _body(body)}
    return told


def _response(response: aiohttp.ClientResponse | None, problem: str, body: bytes) -> Json:
    headers: Mapping[str, str] = {} if response is None else response.headers
    size = int(headers.get("Content-Length", -1)) if headers.get("Content-Length", "-1").isdigit() else -1
    return {
        "status": 0 if response is None else response.status,
        "statusText": problem or (response.reason or "" if response is not None else ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(headers.items()),
        "content": {
            "size": len(body) or max(0, size),
            "mimeType": headers.get("Content-Type", ""),
            **({"text": _body(body)} if body else {}),
        },
        "redirectURL": _location(response),
        "headersSize": -1,
        "bodySize": size,
    }


def _location(response: aiohttp.ClientResponse | None) -> str:
    if response is None or response.status not in REDIRECTS or "Location" not in response.headers:
        return ""
    return str(_url(URL(response.headers["Location"])))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _secret(name: str) -> bool:
    lower = name.lower()
    return lower not in _NO_SECRETS and any(word in lower for word in _SECRET_WORDS)


def _headers(items: Iterable[tuple[str, str]]) -> list[Json]:
    return [
        {"name": name, "value": _HIDDEN if name.lower() in _HEADERS or _secret(name) else value}
        for name, value in items
    ]


def _url(url: URL) -> URL:
    """Without a password, and without what signs it."""
    query = [(name, _HIDDEN if _secret(name) else value) for name, value in url.query.items()]
    return url.with_user(None).with_query(query) if url.absolute else url.with_query(query)


def _body(body: bytes) -> str:
    """JSON without its secrets, anything else that is text by its length alone: a form may be all secrets."""
    try:
        return json.dumps(_cleaned(json.loads(body)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"({len(body)} bytes)"


def _cleaned(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _HIDDEN if _secret(name) else _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value
