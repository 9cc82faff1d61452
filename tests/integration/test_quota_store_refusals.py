"""What listens at the address of Redis, and docpipe cannot use: one sentence with the cure, at once."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from docpipe.errors import ConfigError, UnreachableError
from docpipe.gates.shared import QuotaStore

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1024):
        pass


async def end(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    pass


@contextlib.asynccontextmanager
async def listening(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server; yields its host and port."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError):
            await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


async def checked(url: str) -> str:
    async with QuotaStore(url, "test") as store:
        return await store.check()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_something_else_listens_there() -> None:
    """Time does not make a web server a Redis."""
    async with listening(http) as address:
        with pytest.raises(ConfigError, match=f"fleet.redis: {address} is no Redis .* correct host and port"):
            await checked(f"redis://{address}/0")


@pytest.mark.parametrize("answer", [silence, http, end])
async def test_tls_is_expected(tls: ssl.SSLContext, answer: Answer) -> None:
    """Found out by a handshake, whatever the server does with a line that is none."""
    async with listening(answer, tls) as address:
        with pytest.raises(ConfigError, match=f"{address} expects TLS: write rediss://"):
            await checked(f"redis://{address}/0")


async def test_tls_is_not_expected() -> None:
    """The server answers a handshake with text."""
    async with listening(http) as address:
        with pytest.raises(ConfigError, match=f"{address} does not speak TLS: write redis://"):
            await checked(f"rediss://{address}/0")


async def test_a_certificate_that_nobody_knows(
    tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path
) -> None:
    """With its authority in the address it is known; a file that is not there is named."""
    async with listening(end, tls) as address:
        with pytest.raises(ConfigError, match=r"cannot be trusted .* \?ssl_ca_certs=PATH"):
            await checked(f"rediss://{address}/0")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        with pytest.raises(UnreachableError, match="it closes the connection"):
            await checked(f"rediss://{address}/0?ssl_ca_certs={tmp_path / 'ca.pem'}")
        with pytest.raises(ConfigError, match="is not there: correct its path"):
            await checked(f"rediss://{address}/0?ssl_ca_certs={tmp_path / 'nothing'}")


@pytest.mark.parametrize(
    ("url", "reason"),
    [("redis://127.0.0.1:1/0", "nothing listens there"), ("redis://a.invalid/0", "no machine of that name")],
)
async def test_who_is_away_may_come_back(url: str, reason: str) -> None:
    """No error of the configuration; the reason is in words."""
    with pytest.raises(UnreachableError, match=reason):
        await checked(url)


async def test_silence_may_end() -> None:
    """As of a Redis that stands still: it is waited for, and the reason is given."""
    async with listening(silence) as address:
        with pytest.raises(UnreachableError, match="no answer in time"):
            await checked(f"redis://{address}/0")
