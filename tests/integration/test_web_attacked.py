"""The service attacked through raw sockets: readers that never read, requests within requests, odd heads."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from docpipe.web import server
from tests.virtual import wall_clock
from tests.web_support import NEVER, TOKEN, Served, serving

pytestmark = pytest.mark.virtual


@pytest.fixture
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """A service with a token; the client shows none by itself."""
    options = getattr(request, "param", None)
    async with serving(tmp_path, wall_clock, token=TOKEN, options=options) as running:
        running.headers.clear()
        yield running


def head(served: Served, line: str, *fields: str, token: str = TOKEN) -> bytes:
    """The head of a request."""
    own = (f"Host: 127.0.0.1:{served.port}", f"Authorization: Bearer {token}")
    return "\r\n".join((f"{line} HTTP/1.1", *own, *fields, "", "")).encode()


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers on a connection."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


async def deaf(served: Served, data: bytes) -> socket.socket:
    """A connection that sends requests and reads no answer."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(made, ("127.0.0.1", served.port))
    await loop.sock_sendall(made, data)
    return made


async def is_served(served: Served) -> bool:
    """Whether a new connection gets an answer."""
    return b"HTTP/1.1 200" in await served.raw(head(served, "GET /healthz", "Connection: close"))


@pytest.mark.parametrize("token", [TOKEN, "wrong"])
async def test_who_reads_no_answer_is_left(
    served: Served, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """Answers that nobody takes hold a connection for two minutes, be the token right or wrong."""
    monkeypatch.setattr(server, "CONNECTIONS", 1)
    made = await deaf(served, head(served, "GET /static/viewer.js", token=token) * 600)
    await asyncio.sleep(60)
    assert not await is_served(served), "the one connection is taken"
    await asyncio.sleep(server.STALLED_S + server.IDLE_S)
    assert await is_served(served)
    made.close()


async def test_a_slow_reader_gets_all(served: Served) -> None:
    """Who reads a megabyte in a minute is served on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        head(served, "GET /static/viewer.js") * 599 + head(served, "GET /healthz", "Connection: close")
    )
    got = bytearray()
    while data := await reader.read(2**18):
        got += data
        await asyncio.sleep(60 * len(data) / 2**20)
    writer.close()
    assert statuses(bytes(got)) == [200] * 600


async def test_no_request_hides_in_another(served: Served) -> None:
    """Where a length is given twice, or in two ways, no second request is read, and none takes effect."""
    inner = '{"patients": ["S1"]}'
    hidden = (
        head(served, "POST /api/runs", "Content-Type: application/json", f"Content-Length: {len(inner)}")
        + inner.encode()
    )
    chunked = b"0\r\n\r\n" + hidden
    json_body = "Content-Type: application/json"
    for fields in (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 6",),
        ("Content-Length: +5",),
        ("Content-Length: 0x5",),
        ("Content-Length: 5_0",),
        ("Content-Length: -1",),
        ("Content-Length: \xb2",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: identity, chunked, chunked",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding:\x0bchunked",),
        (" Transfer-Encoding: chunked",),
        ("X: y\n\nGET /healthz HTTP/1.1",),
        ("X: y\rTransfer-Encoding: chunked",),
        ("X: \0",),
    ):
        answer = await served.raw(head(served, "POST /api/resume", json_body, *fields) + chunked)
        assert statuses(answer) in ([], [400], [411], [501]), fields
    for size in ("5;x=\r", "-1", "+5", "0x5", "5 ", "5_0", "fffffffffffffffff", ""):
        request = head(served, "POST /api/runs", json_body, "Transfer-Encoding: chunked")
        answer = await served.raw(request + f"{size}\r\n".encode() + hidden)
        assert statuses(answer) in ([400], [408], [413], []), size
    assert (await served.get("/api/runs", headers={"Authorization": f"Bearer {TOKEN}"})).json["runs"] == []


@pytest.mark.parametrize(
    "fields",
    [
        (f"X: {'a' * 100_000}",),
        (f"{'X' * 100_000}: a",),
        tuple(f"X-{number}: a" for number in range(20_000)),
        (f"Cookie: {'a=b; ' * 20_000}",),
        (f"Range: bytes={'0-1,' * 30_000}",),
        ("Authorization: Bearer x",) * 500,
    ],
)
async def test_large_heads_are_refused(served: Served, fields: tuple[str, ...]) -> None:
    """By their length or number, and the connection ends."""
    answer = await served.raw(head(served, "GET /api/runs", *fields))
    assert statuses(answer) in ([400], [431], [401]), answer[:100]


@pytest.mark.parametrize("served", [NEVER], indirect=True)
async def test_what_is_no_text_is_no_id(served: Served) -> None:
    """JSON can name half of a pair, and NUL: such ids are refused with their lines."""
    body = b'{"patients": ["\\ud800", "a\\u0000b"]}'
    fields = ("Content-Type: application/json", "Connection: close", f"Content-Length: {len(body)}")
    answer = await served.raw(head(served, "POST /api/runs", *fields) + body)
    answered = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (answered["runs"], [one["line"] for one in answered["refused"]]) == ([], [1, 2])


@pytest.mark.parametrize("served", [NEVER], indirect=True)
async def test_deep_and_odd_bodies_are_refused(served: Served) -> None:
    """JSON that nests, repeats or lies is a problem of the caller's, and nothing begins."""
    deep = 20_000
    bodies = (
        b"[" * deep + b"]" * deep,
        b'{"patients":' + b"[" * deep,
        b'{"patients": ' + b'{"a":' * deep + b"1" + b"}" * deep + b"}",
        b'{"patients": ["\xff\xfe"]}',
        b'{"patients": [1e999]}',
        b'{"patients": ["a"], "priority": 1' + b"0" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b"",
        b"null",
        b'"patients"',
    )
    for body in bodies:
        fields = ("Content-Type: application/json", "Connection: close", f"Content-Length: {len(body)}")
        answer = await served.raw(head(served, "POST /api/runs", *fields) + body)
        (status,) = statuses(answer)
        assert status in {400, 413, 422}, (body[:40], answer[:300])
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == status
    assert (await served.get("/api/runs", headers={"Authorization": f"Bearer {TOKEN}"})).json["runs"] == []


async def test_readers_of_events_that_are_half_closed(served: Served) -> None:
    """Who shuts its side, or vanishes, leaves no reader behind."""
    for ending in (socket.SHUT_WR, None):
        readers = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(20)]
        for reader, writer in readers:
            writer.write(head(served, "GET /api/events"))
            await reader.readuntil(b"reset")
        assert len(served.web.hub._readers) == 20
        for _, writer in readers:
            if ending is None:
                writer.transport.abort()
            else:
                writer.write_eof()
        await asyncio.sleep(60)
        assert not served.web.hub._readers
        for _, writer in readers:
            writer.close()


async def test_downloads_that_are_broken_off(served: Served) -> None:
    """A ZIP and documents whose reader goes away leave no file, and the next one gets them whole."""
    bearing = {"Authorization": f"Bearer {TOKEN}"}
    served.headers.update(bearing)
    await served.finished("S0")
    address = "/api/patients/S0/documents.zip"
    whole = await served.get(address, headers=bearing)
    assert (whole.status, whole.body[:2]) == (200, b"PK")
    before = {path for path in served.docpipe.config.state_dir.rglob("*") if path.suffix != ".csv"}
    for amount in (0, 1, 300):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(head(served, f"GET {address}"))
        if amount:
            await reader.readexactly(amount)
        writer.transport.abort()
    await asyncio.sleep(30)
    after = {path for path in served.docpipe.config.state_dir.rglob("*") if path.suffix != ".csv"}
    assert after <= before
    assert len((await served.get(address, headers=bearing)).body) == len(whole.body)
