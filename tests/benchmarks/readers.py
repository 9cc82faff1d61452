"""`python -m tests.benchmarks.readers ADDRESS`: people with the page open, in a process of their own.

They stand for browsers on other machines, so they do as little as can be: no event is decoded, and of an
answer only its length, and in the list a run's id, another one for each. Ended by SIGTERM, they print what
they saw, as JSON.
"""

import asyncio
import json
import os
import re
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

READERS: Final = 50
EVERY_S: Final = 2.0
_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_RUN: Final = re.compile(rb'"run_id": ?"([0-9A-Z]{26})"')
_BROWSER: Final = (
    "Host: {host}\r\nConnection: keep-alive\r\n"
    'sec-ch-ua-platform: "Linux"\r\nX-Docpipe-CSRF: 1\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
    'Safari/537.36\r\nAccept: application/json\r\nsec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\n'
    "sec-ch-ua-mobile: ?0\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
    "Referer: http://{host}/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
)
"""What Chromium sends with a request of the page."""


@dataclass
class Seen:
    """What all readers saw."""

    took_ms: list[float] = field(default_factory=list)
    """Of each request."""
    event_bytes: int = 0
    lost: int = 0
    """Streams of events that ended."""

    began: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))
    """By the clock, and by the CPU."""

    def figures(self) -> dict[str, float]:
        """In figures."""
        began, cpu = self.began
        ordered = sorted(self.took_ms) or [0.0]
        return {
            "requests": len(self.took_ms),
            "median_ms": statistics.median(ordered),
            "p99_ms": ordered[len(ordered) * 99 // 100],
            "event_mb": self.event_bytes / 1e6,
            "lost": self.lost,
            "cpu_ms_a_second": (time.process_time() - cpu) * 1000 / (time.perf_counter() - began),
        }


class _Events(asyncio.BufferedProtocol):
    """Takes what comes, and looks at none of it."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = bytearray(2**18)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._seen.event_bytes += nbytes

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen.lost += 1


class _Asking(asyncio.Protocol):
    """One request after another on one connection."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._whole = 0
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._whole:
            head = self._data.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._data, 0, head + 2)
            assert length is not None
            self._whole = head + 4 + int(length[1])
        if len(self._data) >= self._whole and self._answer is not None:
            answer, self._answer = self._answer, None
            answer.set_result(bytes(self._data))
            self._data.clear()
            self._whole = 0

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None:
            self._answer.set_exception(exc or ConnectionResetError())

    async def ask(self, request: bytes, seen: Seen) -> bytes:
        """The whole answer; fails where it is not 200."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(request)
        answer = await self._answer
        seen.took_ms.append((time.perf_counter() - began) * 1000)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(answer[:200].decode("latin-1"))
        return answer


class Readers:
    """All of them, spread over the two seconds as people are."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._more = _BROWSER.format(host=parts.netloc)
        self.seen = Seen()

    def _get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{self._more}\r\n".encode()

    async def run(self) -> Self:
        """Forever."""
        async with asyncio.TaskGroup() as group:
            for number in range(READERS):
                group.create_task(self._read(number))
        return self

    async def _read(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        offset = number * EVERY_S / READERS
        begins = loop.time() + offset
        await asyncio.sleep(offset)
        events, _ = await loop.create_connection(lambda: _Events(self.seen), self._host, self._port)
        events.write(self._get("/api/events"))
        _, asking = await loop.create_connection(_Asking, self._host, self._port)
        while True:
            page = await asking.ask(self._get("/api/runs?limit=50&order=newest"), self.seen)
            runs = _RUN.findall(page)
            if runs:
                run = runs[number % len(runs)].decode()
                await asking.ask(self._get(f"/api/runs/{run}"), self.seen)
            begins += EVERY_S
            await asyncio.sleep(begins - loop.time())


async def main(address: str) -> None:
    """Until SIGTERM."""
    readers = Readers(address)
    task = asyncio.create_task(readers.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait([task])
    print(json.dumps(readers.seen.figures()), flush=True)
    if not task.cancelled():
        task.result()
    os._exit(0)  # connections need no farewell


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
