"""The archive origin: a server of its own for the downloads, as object stores are."""

import re
from collections.abc import Collection
from typing import ClassVar

from fakes.calls import Call, Refusal, Reply
from fakes.docex import DocExchange
from fakes.documents.shelf import Shelf
from fakes.front import Front, Route, World


class ArchiveOrigin(Front):
    """The server, and what tests ask of it."""

    name: ClassVar[str] = "archive"
    guarded: ClassVar[bool] = False

    def __init__(self, world: World, exchange: DocExchange, shelf: Shelf) -> None:
        super().__init__(world, {})
        self.tokens_received = 0
        """How many requests bore an Authorization header, which none ever must."""
        self._exchange = exchange
        self._shelf = shelf

    def routes(self) -> list[Route]:
        """The download."""
        return [
            ("GET", "/archives/{name}", "docex.archive", self._download),
            ("HEAD", "/archives/{name}", "docex.archive", self._download),
        ]

    def subjects(self, call: Call) -> Collection[str]:
        """The id of the patient."""
        search = self._exchange.searches.get(call.part("name").removesuffix(".zip"))
        return (search.person.id,) if search else ()

    async def _download(self, call: Call) -> Reply:
        if call.header("Authorization") is not None:
            self.tokens_received += 1
            raise Refusal(400, "The link is the authorization; the exchange's token must not be sent here.")
        search, _ = self._exchange.open_link(call)
        archive = await self._shelf.archive(search.person)
        size = archive.facts.size
        etag = f'"{archive.facts.sha256[:32]}"'
        headers = {"Content-Type": "application/zip", "ETag": etag}
        if not self.world.options.ranges:
            return Reply(200, archive.body, {**headers, "Accept-Ranges": "none"})
        headers["Accept-Ranges"] = "bytes"
        asked = _asked_range(call.header("Range"), size) if _honoured(call, etag) else None
        if asked is None:
            return Reply(200, archive.body, headers)
        start, end = asked
        if start >= end:
            raise Refusal(416, "There is nothing in this range.", {"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return Reply(206, archive.body[start:end], headers)


def _honoured(call: Call, etag: str) -> bool:
    """Whether Range counts: only for GET, and If-Range must name these very bytes (RFC 9110, 13.1.5)."""
    return call.request.method == "GET" and call.header("If-Range") in (None, etag)


def _asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the byte after the last, empty where not satisfiable; None where Range is to be ignored.

    A header that is malformed or asks for several ranges is ignored, as RFC 9110, 14.2 allows.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return (max(0, size - int(match[2])), size) if int(match[2]) else (size, size)
    start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if match[2] and int(match[2]) < start:
        return None
    return (start, end) if start < size else (size, size)
