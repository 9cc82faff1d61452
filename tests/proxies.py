"""An HTTP proxy that tests look into."""

import asyncio
import base64
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """It knows CONNECT and plain requests, and perhaps asks for a login, or refuses whatever it is asked."""

    def __init__(self, login: str | None = None, refuse: int | None = None) -> None:
        self.login = login
        self.refuse = refuse
        self.asked: list[str] = []
        """The heads of what was asked first on each connection."""
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _answer(self, head: str) -> int:
        basic = f"Basic {base64.b64encode((self.login or '').encode()).decode()}"
        return self.refuse or (407 if self.login and f"Proxy-Authorization: {basic}" not in head else 200)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            writer.close()
            return
        self.asked.append(head)
        if (status := self._answer(head)) != 200:
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            writer.close()
            return
        method, where, _ = head.split(" ", 2)
        host, _, port = (where if method == "CONNECT" else urlsplit(where).netloc).rpartition(":")
        there = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:  # one request a connection, as its server would have got it without a proxy
            first, rest = head.replace(f"http://{host}:{port}", "", 1).split("\r\n", 1)
            there[1].write(f"{first}\r\nConnection: close\r\n{rest}".encode())
        self._tasks += [
            asyncio.ensure_future(_pump(reader, there[1])),
            asyncio.ensure_future(_pump(there[0], writer)),
        ]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()
