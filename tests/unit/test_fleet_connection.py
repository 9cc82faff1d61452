"""A Temporal that cannot be reached, or not be trusted: one sentence with the cure, none of Rust's."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from temporalio.converter import DataConverter

from docpipe.config.config import Config
from docpipe.config.fleet import Fleet
from docpipe.config.parsing import Secret
from docpipe.errors import ConfigError, UnreachableError
from docpipe.fleet import connection
from docpipe.fleet.connection import connect
from tests.ports import free_port


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext | None, *, hangs: bool = False) -> AsyncIterator[str]:
    """A server that knows nothing of gRPC, and breaks each connection off, or never answers."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.CancelledError):
            await (asyncio.Event().wait() if hangs else asyncio.sleep(0))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await break_off(writers)


async def break_off(writers: list[asyncio.StreamWriter]) -> None:
    """End connections at once: what is left to the end of the loop is reported in a later test."""
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.01)


def frame(kind: int, flags: int, stream: int, data: bytes = b"") -> bytes:
    """Of HTTP/2."""
    return len(data).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + data


def header(name: bytes, value: bytes) -> bytes:
    """Of HTTP/2, by its plainest encoding."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


@contextlib.asynccontextmanager
async def refusing(status: bytes) -> AsyncIterator[str]:
    """A server that answers each call of gRPC with a status."""
    settings, headers = 4, 1
    fields = b"\x88" + header(b"content-type", b"application/grpc")
    refusal = fields + header(b"grpc-status", status) + header(b"grpc-message", b"no")

    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(24)
            writer.write(frame(settings, 0, 0))
            while True:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3]))
                if head[3] == settings and not head[4]:
                    writer.write(frame(settings, 1, 0))
                elif head[3] == headers:
                    writer.write(frame(headers, 5, int.from_bytes(head[5:]), refusal))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await break_off(writers)


def served(authority: trustme.CA, **dates: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", **dates).configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context


async def refusal(folder: Path, **fleet: object) -> str:
    """The sentence, and whether it is final."""
    config = Config(fleet=Fleet(**fleet), source=folder / "config.toml")
    with pytest.raises((ConfigError, UnreachableError)) as refused:
        await connect(config, DataConverter.default)
    text = str(refused.value)
    assert "tonic" not in text
    assert "Custom {" not in text
    return f"{type(refused.value).__name__} {text}"


async def test_nobody_is_there(tmp_path: Path) -> None:
    """A wrong port, or a wrong name, may be mended by a start."""
    sentence = await refusal(tmp_path, temporal=f"127.0.0.1:{free_port()}")
    assert sentence.startswith("UnreachableError")
    assert "(nothing listens there): start it, or set fleet.temporal to its address" in sentence
    sentence = await refusal(tmp_path, temporal="no-such-machine.invalid:7233")
    assert "(there is no machine of that name)" in sentence


async def test_certificates(tmp_path: Path, authority: trustme.CA) -> None:
    """Of an unknown authority, or for another name: each with the key to set."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with listening(served(authority)) as address:
        sentence = await refusal(tmp_path, temporal=address, tls=True, ca_file="other.pem")
        assert sentence.startswith("ConfigError fleet.temporal: the certificate of")
        assert "is not signed by an authority that docpipe trusts: set fleet.ca_file" in sentence
        sentence = await refusal(
            tmp_path, temporal=address, tls=True, ca_file="ca.pem", server_name="other.example"
        )
        assert "is for another name: correct the address, or set fleet.server_name" in sentence
        sentence = await refusal(tmp_path, temporal=address, tls=True, ca_file="ca.pem")
        assert "or set fleet.client_cert_file to a certificate, if it expects one" in sentence
        sentence = await refusal(tmp_path, temporal=address)
        assert "or set fleet.tls = true, if it expects TLS" in sentence
    async with listening(served(authority, not_after=datetime(2020, 1, 2, tzinfo=UTC))) as address:
        sentence = await refusal(tmp_path, temporal=address, tls=True, ca_file="ca.pem")
        assert f"the certificate of {address} has expired: renew it" in sentence
    async with listening(None) as address:
        sentence = await refusal(tmp_path, temporal=address, tls=True)
        assert "does not speak TLS: set fleet.tls = false, or correct the port" in sentence


@pytest.mark.parametrize("status", [b"16", b"7"], ids=["unauthenticated", "permission denied"])
async def test_an_api_key_that_is_wrong(tmp_path: Path, status: bytes) -> None:
    """It stays wrong, and is not shown."""
    async with refusing(status) as address:
        sentence = await refusal(tmp_path, temporal=address, api_key=Secret("key-of-nobody"))
    assert sentence.startswith(f"ConfigError fleet.temporal: Temporal at {address} refuses docpipe")
    assert "set fleet.api_key_file or fleet.client_cert_file to what it expects" in sentence
    assert "key-of-nobody" not in sentence


async def test_files_that_are_not_there(tmp_path: Path) -> None:
    """Are named before anything is sent."""
    sentence = await refusal(tmp_path, temporal="127.0.0.1:1", tls=True, ca_file="none.pem")
    assert f"fleet.ca_file: {tmp_path}/none.pem cannot be read: No such file" in sentence


async def test_files_that_hold_something_else(tmp_path: Path, authority: trustme.CA) -> None:
    """No certificate, no key, or two that do not belong together: named before anything is sent."""
    made, other = authority.issue_cert("docpipe.example"), authority.issue_cert("docpipe.example")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / "text.pem").write_text("of no use")
    key = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
    locked = serialization.BestAvailableEncryption(b"word")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "locked.pem").write_bytes(key.private_bytes(pem, pkcs8, locked))

    async def sentence(**fleet: str) -> str:
        return await refusal(tmp_path, temporal="127.0.0.1:1", tls=True, **fleet)

    for name in ("text.pem", "key.pem"):
        text = await sentence(ca_file=name)
        assert text.startswith(f"ConfigError fleet.ca_file: {tmp_path}/{name} does not have a certificate")
        assert "fleet.client_cert_file: " in await sentence(client_cert_file=name, client_key_file="key.pem")
    for name in ("text.pem", "cert.pem", "locked.pem"):
        text = await sentence(client_cert_file="cert.pem", client_key_file=name)
        assert (
            f"fleet.client_key_file: {tmp_path}/{name} does not have a private key, without a password"
            in text
        )
    text = await sentence(client_cert_file="cert.pem", client_key_file="other.pem")
    assert "the key is not that of the certificate in fleet.client_cert_file" in text
    assert "nothing listens there" in await sentence(client_cert_file="cert.pem", client_key_file="key.pem")


async def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is given up after a while."""
    monkeypatch.setattr(connection, "_CONNECT_S", 0.5)
    async with listening(None, hangs=True) as address:
        sentence = await refusal(tmp_path, temporal=address)
        assert sentence.startswith("UnreachableError")
        assert "(no answer in time)" in sentence
