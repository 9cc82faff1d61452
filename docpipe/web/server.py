"""The server: sockets, protocol limits, and the lifetime of the application."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import abc, web

from docpipe.config.config import Service
from docpipe.errors import ConfigError
from docpipe.runtime.service_token import is_open, token_of
from docpipe.web.app import make_app
from docpipe.web.context import Web
from docpipe.web.events import Hub
from docpipe.web.exports import Exports
from docpipe.web.guard import Guard
from docpipe.web.problems import Problem, route_of, secured
from docpipe.web.readiness import Readiness
from docpipe.web.shared import Shared
from docpipe.web.source import Source
from docpipe.web.submissions import Submissions

log = structlog.get_logger(__name__)

IDLE_S: Final = 30.0
"""A connection on which no whole request head comes for so long is closed."""
STALLED_S: Final = 120.0
"""A connection whose reader takes nothing of an answer for so long is closed."""
CLOSE_S: Final = 0.5
"""Requests that are under way when docpipe has stopped may take this long to end."""
_LINGER_S: Final = 2.0
_BACKLOG: Final = 256
CONNECTIONS: Final = 1000
"""Further connections are closed at once, so that callers cannot take all file descriptors."""
_QUIET: Final = ("/healthz", "/readyz", "/metrics")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


class AccessLog(abc.AbstractAccessLogger):
    """One line a request, without data of patients: no path, no query, no address."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """See AbstractAccessLogger."""
        route = route_of(request)
        level = logging.DEBUG if route in _QUIET else logging.INFO
        log.log(
            level,
            "request",
            method=request.method if request.method in _METHODS else "-",
            route=route,
            status=response.status,
            ms=round(time * 1000, 1),
            bytes=response.body_length if response.prepared else 0,
        )


class _Trouble(logging.Handler):
    """Forwards aiohttp's log records to docpipe's log without their messages, which may quote requests."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        log.log(record.levelno, "server_trouble", exc_info=record.exc_info)


_LOGGER: Final = logging.getLogger("docpipe.web")
_LOGGER.propagate = False
_LOGGER.addHandler(_Trouble())
_OPTIONS: Final[dict[str, Any]] = {
    "logger": _LOGGER,
    "keepalive_timeout": IDLE_S,
    "lingering_time": _LINGER_S,
    "auto_decompress": False,
    "access_log": _LOGGER,
    "access_log_class": AccessLog,
}


class _Connection(web.RequestHandler):
    """A connection that answers malformed HTTP with a problem, too, and ends where nobody reads."""

    __slots__ = ("_stalled",)

    _stalled: asyncio.TimerHandle | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._stalled = None
        super().connection_made(transport)
        if self._manager is not None and len(self._manager.connections) > CONNECTIONS:
            log.warning("too_many_connections", most=CONNECTIONS)
            self.force_close()

    def pause_writing(self) -> None:
        """See asyncio.Protocol: what is written waits for the reader."""
        super().pause_writing()
        if self.transport is not None:
            self._stalled = self._loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._forget_stall()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        self._forget_stall()
        super().connection_lost(exc)

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- it quotes what was sent
    ) -> web.StreamResponse:
        """See RequestHandler."""
        if request.writer.output_size > 0:
            raise ConnectionError
        log.debug("request_not_understood", status=status, error=type(exc).__name__)
        answer = Problem(status, "Malformed HTTP request.").answer("")
        answer.force_close()
        return secured(answer)


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that listens."""

    web: Web
    address: str
    """Where it can be reached from this machine."""

    def sign_in_link(self) -> str | None:
        """An address that signs one person in, once; None where no token is needed."""
        guard = self.web.guard
        return f"{self.address}/login#{guard.codes.issue()}" if guard.needs_token else None


@contextlib.contextmanager
def bound(service: Service) -> Iterator[list[socket.socket]]:
    """Sockets for the address that the configuration names, closed in the end.

    Raises:
        ConfigError: if it cannot be had.
    """
    try:
        resolved = socket.getaddrinfo(
            service.host, service.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"service.host: {service.host!r} is no address of this machine.") from error
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in resolved))
    if is_open(service) and not all(_is_loopback(str(address[0])) for _, address in addresses):
        log.warning("service_open_to_others", host=service.host)
    if service.port == 0:  # each would have a port of its own
        addresses = addresses[:1]
    with contextlib.ExitStack() as stack:
        try:
            sockets = [stack.enter_context(_bound(family, address)) for family, address in addresses]
        except OSError as error:
            raise ConfigError(
                f"docpipe cannot listen on {service.host}, port {service.port} ({error.strerror}): "
                "choose another with service.port or --port."
            ) from error
        yield sockets


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(_BACKLOG)
        made.setblocking(False)  # noqa: FBT003 -- as the socket module has it
    except OSError:
        made.close()
        raise
    return made


def _address(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def listening(source: Source, sockets: list[socket.socket]) -> AsyncIterator[Listening]:
    """Serve on the sockets; in the end requests under way get a moment to end."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        shared = Shared()
        hub = await stack.enter_async_context(Hub(source, shared))
        service = source.config.service
        token = token_of(service, source.state.path)
        guard = Guard(service, sockets[0].getsockname()[1], token, loop.time)
        here = Web(
            source=source,
            guard=guard,
            hub=hub,
            shared=shared,
            readiness=Readiness(source),
            submissions=Submissions(source),
            exports=Exports(source),
        )
        runner = web.AppRunner(make_app(here), shutdown_timeout=CLOSE_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(hub.close)
        server = runner.server
        assert server is not None  # noqa: S101 -- it is set up

        def connection() -> _Connection:
            return _Connection(server, loop=loop, **_OPTIONS)

        for opened in sockets:
            listener = await loop.create_server(connection, sock=opened, backlog=_BACKLOG)
            stack.callback(listener.close)
        yield Listening(here, _address(sockets[0]))
