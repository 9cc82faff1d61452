"""`Blobs` in an object store."""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import obstore

from docpipe.model import Ticket
from docpipe.storage.attempts import Attempts
from docpipe.storage.names import FLEET

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_AT_ONCE: Final = 500
"""Names that one request removes, where the store takes several."""
_T = TypeVar("_T")


class BucketBlobs:
    """In an object store: `Blobs`.

    Args:
        store: of obstore, with the prefix applied.
        attempts: makes the requests.
        where: for people.
    """

    def __init__(self, store: "ObjectStore", attempts: Attempts, where: str) -> None:
        self._store = store
        self._attempts = attempts
        self._where = f"{where.removesuffix('/')}/{FLEET}"

    @property
    def where(self) -> str:
        """See Blobs."""
        return self._where

    async def put(self, name: str, data: bytes, ticket: Ticket | None = None) -> str:
        """See Blobs."""

        async def request() -> str | None:
            put = await obstore.put_async(self._store, f"{FLEET}/{name}", data, use_multipart=False)
            return put["e_tag"]

        return _plain(await self._made("PUT", request, ticket))

    async def version(self, name: str, ticket: Ticket | None = None) -> str | None:
        """See Blobs."""

        async def request() -> str | None:
            return (await obstore.head_async(self._store, f"{FLEET}/{name}"))["e_tag"]

        try:
            return _plain(await self._made("HEAD", request, ticket))
        except FileNotFoundError:
            return None

    async def get(self, name: str, ticket: Ticket | None = None) -> bytes | None:
        """See Blobs."""

        async def request() -> bytes:
            return bytes(await (await obstore.get_async(self._store, f"{FLEET}/{name}")).bytes_async())

        try:
            return await self._made("GET", request, ticket)
        except FileNotFoundError:
            return None

    async def names(self, folder: str, ticket: Ticket | None = None) -> list[str]:
        """See Blobs."""
        return sorted(item["path"].removeprefix(f"{FLEET}/") for item in await self._listed(folder, ticket))

    async def written(self, folder: str) -> dict[str, float]:
        """See Blobs."""
        listed = await self._listed(folder, None)
        return {item["path"].removeprefix(f"{FLEET}/"): item["last_modified"].timestamp() for item in listed}

    async def _listed(self, folder: str, ticket: Ticket | None) -> Any:
        async def request() -> Any:
            return await obstore.list(self._store, f"{FLEET}/{folder}/").collect_async()

        return await self._made("LIST", request, ticket)

    async def folders(self, folder: str, ticket: Ticket | None = None) -> list[str]:
        """See Blobs."""
        start = f"{FLEET}/{folder}/"
        listed = await self._made(
            "LIST", lambda: obstore.list_with_delimiter_async(self._store, start), ticket
        )
        return sorted(path.removeprefix(start).strip("/") for path in listed["common_prefixes"])

    async def remove(self, folder: str, ticket: Ticket | None = None) -> None:
        """See Blobs."""
        await self._delete(await self.names(folder, ticket), ticket)

    async def delete(self, names: Sequence[str]) -> None:
        """See Blobs."""
        await self._delete(names, None)

    async def _delete(self, names: Sequence[str], ticket: Ticket | None) -> None:
        for start in range(0, len(names), _AT_ONCE):
            some = [f"{FLEET}/{name}" for name in names[start : start + _AT_ONCE]]
            with contextlib.suppress(FileNotFoundError):  # another machine removes them, too
                await self._made("DELETE", functools.partial(obstore.delete_async, self._store, some), ticket)

    async def _made(self, method: str, request: Callable[[], Awaitable[_T]], ticket: Ticket | None) -> _T:
        return await self._attempts.make(method, request, ticket)


def _plain(tag: str | None) -> str:
    """A tag as it compares: stores write the same one in several ways."""
    return (tag or "").removeprefix("W/").strip('"')
