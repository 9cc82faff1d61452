"""The storage in an object store: S3 and what speaks like it, Google Cloud Storage, Azure Blob, memory.

A document is never visible in part: its old metadata are removed, its files are written and listed, and the
metadata come last, only where there are none. Files without metadata count as absent, and are written again.
"""

import asyncio
import errno
import functools
import hashlib
import os
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore import exceptions

from docpipe.errors import StateError, UnreachableError
from docpipe.model import Ticket
from docpipe.storage.attempts import Attempts, BucketError
from docpipe.storage.buckets import BucketTree
from docpipe.storage.names import (
    CHUNK,
    METADATA,
    TEMPORARY,
    Content,
    folder_name,
    inner_path,
    plain,
    sizes_of,
    to_json,
    whole,
)
from docpipe.storage.opening import open_file, size_and_digest
from docpipe.storage.stores import open_store
from docpipe.storage.urls import Bucket

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, ObjectMeta, PutResult
    from obstore.store import ObjectStore

PART: Final = 5 * 2**20
"""Bytes of a part; larger files are sent in parts, two at a time."""
_PARTS_AT_ONCE: Final = 2
_READ: Final = 4 * 2**20
"""Bytes read by one request."""
_RETRIES: Final = 5
"""Retries of obstore itself, where no gate makes them."""
_ROUNDS: Final = 5
"""How often a document is written again because another process writes it at the same time."""
_TYPES: Final[Mapping[str, str]] = {
    ".pdf": "application/pdf",
    ".md": "text/markdown; charset=utf-8",
    ".png": "image/png",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".xml": "application/xml",
    ".rtf": "application/rtf",
    ".jpg": "image/jpeg",
    ".tif": "image/tiff",
    ".dcm": "application/dicom",
    ".eml": "message/rfc822",
}
_BYTES: Final = "application/octet-stream"
_PROBE: Final = "probe"
"""Name and content of the file that `check` writes."""


class ObjectStorage:
    """Keeps documents and reports in an object store: a `Storage`.

    Args:
        store: of obstore, with the prefix applied.
        bucket: its description, for people.
        attempts: makes the requests.
        name: of a patient's folder, for an id; never the same for two.
    """

    def __init__(
        self,
        store: "ObjectStore",
        bucket: Bucket,
        attempts: Attempts,
        name: Callable[[str], str] = folder_name,
    ) -> None:
        self.store = store
        self.bucket = bucket
        self.folder_of = name
        self._attempts = attempts
        self._conditional = True
        # Two runs of one patient may hold the same document; the second waits and writes it again.
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @property
    def folder(self) -> None:
        """None: it is an object store."""
        return

    def tree(self) -> BucketTree:
        """The bucket with what is in it."""
        store = self.store if self.bucket.scheme == "memory" else open_store(self.bucket, retries=_RETRIES)
        return BucketTree(store, str(self.bucket))

    async def close(self) -> None:
        """Do nothing: connections end with the store."""

    async def check(self) -> None:
        """Write, list, complete and read a small document, and remove it again.

        Raises:
            StateError: if the store refuses a step, or does not keep what was written.
            UnreachableError: if it cannot be reached.
        """
        folder = f"{TEMPORARY}check-{os.getpid()}"
        try:
            try:
                await self._try_document(folder)
            finally:
                await self._delete([f"{folder}/{name}" for name in (METADATA, _PROBE)], None)
        except BucketError as error:
            raise StateError(f"The storage {self.bucket} cannot be written: {error.strerror}.") from error
        except OSError as error:
            raise UnreachableError(
                f"The storage {self.bucket} cannot be reached: "
                f"{error.strerror or 'no such bucket or container'}; "
                "see its address in storage.url and storage.options."
            ) from error

    async def _try_document(self, folder: str) -> None:
        data = _PROBE.encode()
        tag = (await self._put(f"{folder}/{_PROBE}", data, None))["e_tag"]
        listed = await self._list(folder, None)
        if _PROBE not in listed or not _is_same_version(listed[_PROBE][1], tag):
            raise BucketError(errno.EIO, "its list does not show what was just written")
        if not await self._complete(folder, data, None) or not await self._complete(folder, data, None):
            raise BucketError(errno.EIO, "it does not keep what is written only where nothing is")
        if await self._get(f"{folder}/{_PROBE}", None) != data:
            raise BucketError(errno.EIO, "it does not give back what was written")

    def key(self, patient_id: str, document_id: str) -> str:
        """Where a document is, relative to the storage."""
        return self._path(patient_id, document_id=document_id)

    def location(self, patient_id: str, *, run_id: str | None = None, document_id: str | None = None) -> str:
        """The URL of a patient's documents, of one of them, or of the report of a run."""
        url = str(self.bucket).removesuffix("/")
        return f"{url}/{self._path(patient_id, run_id=run_id, document_id=document_id)}"

    def _path(
        self, patient_id: str, name: str = "", *, run_id: str | None = None, document_id: str | None = None
    ) -> str:
        parts = (self.folder_of(patient_id), *inner_path(run_id=run_id, document_id=document_id))
        return "/".join((*parts, plain(name)) if name else parts)

    # Documents

    async def put_document(
        self,
        patient_id: str,
        document_id: str,
        files: Mapping[str, Path],
        metadata: Mapping[str, Any],
        ticket: Ticket | None = None,
        *,
        outputs: Path | None = None,  # noqa: ARG002 -- nothing is spared here
    ) -> dict[str, Any]:
        """See Storage."""
        folder = self._path(patient_id, document_id=document_id)
        for name in files:
            if plain(name) == METADATA:
                raise ValueError(f"{METADATA} is written by the storage")
        lock = self._locks.setdefault(folder, asyncio.Lock())
        async with lock:
            for _ in range(_ROUNDS):
                sizes = await self._put_files(folder, files, ticket)
                if sizes is None:
                    continue
                if await self._complete(folder, to_json({**metadata, "files": sizes}), ticket):
                    return {"key": folder, "files": sizes}
        raise BucketError(errno.EBUSY, "another docpipe keeps writing the same document: end one of them")

    async def _put_files(
        self, folder: str, files: Mapping[str, Path], ticket: Ticket | None
    ) -> dict[str, int] | None:
        """Write the files of a document over those there; None where another process writes them too."""
        await self._delete([f"{folder}/{METADATA}"], ticket)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    name: group.create_task(self._put_from(f"{folder}/{name}", path, ticket))
                    for name, path in files.items()
                }
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        put = {name: task.result() for name, task in tasks.items()}
        listed = await self._list(folder, ticket)
        for name, (size, tag) in put.items():
            if name not in listed or not _is_same_version(listed[name][1], tag):
                return None
            if listed[name][0] != size:
                raise BucketError(errno.EIO, f"the store keeps another size of {name} than was written")
        if others := [f"{folder}/{name}" for name in listed.keys() - put.keys() - {METADATA}]:
            await self._delete(others, ticket)  # of an earlier conversion
        return {name: size for name, (size, _) in put.items()}

    async def _complete(self, folder: str, metadata: bytes, ticket: Ticket | None) -> bool:
        """Write the metadata; return whether those stored are these, and not another process's."""
        path = f"{folder}/{METADATA}"
        try:
            await self._put(path, metadata, ticket, create=self._conditional)
        except exceptions.AlreadyExistsError:  # by another docpipe, or by an attempt whose answer was lost
            return await self._get(path, ticket) == metadata
        return True

    async def find_document(
        self, patient_id: str, document_id: str, ticket: Ticket | None = None
    ) -> dict[str, Any] | None:
        """See Storage. Costs one request where the document is absent, two where it is stored."""
        folder = self._path(patient_id, document_id=document_id)
        data = await self._get(f"{folder}/{METADATA}", ticket)
        if data is None or (parsed := sizes_of(data)) is None:
            return None
        metadata, sizes = parsed
        listed = await self._list(folder, ticket) if sizes else {}
        there = all(name in listed and listed[name][0] == size for name, size in sizes.items())
        return metadata if there else None

    async def get_document_file(
        self, patient_id: str, document_id: str, name: str, ticket: Ticket | None = None
    ) -> bytes | None:
        """See Storage."""
        return await self._get(self._path(patient_id, name, document_id=document_id), ticket)

    # Files of runs, and parts of files

    async def put_run_files(
        self, patient_id: str, run_id: str, files: Mapping[str, Content], ticket: Ticket | None = None
    ) -> None:
        """See Storage."""
        paths = [self._path(patient_id, name, run_id=run_id) for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            await self._put(path, await asyncio.to_thread(whole, content), ticket)

    async def get_run_file(
        self, patient_id: str, run_id: str, name: str, ticket: Ticket | None = None
    ) -> bytes | None:
        """See Storage."""
        return await self._get(self._path(patient_id, name, run_id=run_id), ticket)

    async def size(
        self, patient_id: str, name: str, *, document_id: str | None = None, run_id: str | None = None
    ) -> int | None:
        """See Storage."""
        path = self._path(patient_id, plain(name), document_id=document_id, run_id=run_id)
        try:
            return (await self._head(path))["size"]
        except FileNotFoundError:
            return None

    async def read(
        self,
        patient_id: str,
        name: str,
        *,
        document_id: str | None = None,
        run_id: str | None = None,
        start: int = 0,
        end: int | None = None,
    ) -> AsyncIterator[bytes]:
        """See Storage. Reads ranges of one version, however slowly the caller consumes them."""
        path = self._path(patient_id, plain(name), document_id=document_id, run_id=run_id)
        head = await self._head(path)  # each store refuses a part beyond the end in words of its own
        tag, size = head["e_tag"], head["size"]
        end = size if end is None else min(end, size)
        while start < end:
            tag, data = await self._range(path, start, min(end, start + _READ), tag)
            for at in range(0, len(data), CHUNK):
                yield data[at : at + CHUNK]
            start += len(data)
            if not data:
                return

    async def _range(self, path: str, start: int, stop: int, tag: str | None) -> tuple[str | None, bytes]:
        """A part of a file, of the version with the tag where one is given; returns the tag with it."""

        async def request() -> tuple[str | None, bytes]:
            options: GetOptions = {"range": (start, stop)}
            if tag is not None:
                options["if_match"] = tag
            result = await obstore.get_async(self.store, path, options=options)
            return result.meta["e_tag"], bytes(await result.bytes_async())

        try:
            return await self._attempts.make("GET", request, None)
        except exceptions.PreconditionError as error:
            raise OSError(errno.ESTALE, "the file was replaced in the meantime") from error

    async def _head(self, path: str) -> "ObjectMeta":
        return await self._attempts.make("HEAD", lambda: obstore.head_async(self.store, path), None)

    # Requests

    async def _get(self, path: str, ticket: Ticket | None) -> bytes | None:
        async def request() -> bytes:
            return bytes(await (await obstore.get_async(self.store, path)).bytes_async())

        try:
            return await self._attempts.make("GET", request, ticket)
        except FileNotFoundError:
            return None

    async def _put(
        self, path: str, data: bytes, ticket: Ticket | None, *, create: bool = False
    ) -> "PutResult":
        attributes = _attributes(path, hashlib.sha256(data).hexdigest())
        put = functools.partial(
            obstore.put_async, self.store, path, data, attributes=attributes, use_multipart=False
        )
        if create:
            try:
                return await self._written(functools.partial(put, mode="create"), ticket)
            except BucketError as error:
                if error.errno != errno.ENOTSUP:
                    raise
                self._conditional = False
        return await self._written(put, ticket)

    async def _put_from(self, path: str, source: Path, ticket: Ticket | None) -> tuple[int, str | None]:
        """Write a file, a large one in parts; returns its size and the tag that the store gives it."""
        size, sha256 = await asyncio.to_thread(size_and_digest, source)
        attributes = _attributes(path, sha256)

        async def request() -> "PutResult":
            # Opened for each attempt: one that was broken off has read some of it.
            with await open_file(source) as file:
                if size <= PART:
                    data = await asyncio.to_thread(file.read)
                    return await obstore.put_async(
                        self.store, path, data, attributes=attributes, use_multipart=False
                    )
                return await obstore.put_async(
                    self.store,
                    path,
                    file,
                    attributes=attributes,
                    use_multipart=True,
                    chunk_size=PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )

        return size, (await self._written(request, ticket))["e_tag"]

    async def _written(self, request: Callable[[], Any], ticket: Ticket | None) -> "PutResult":
        try:
            put: PutResult = await self._attempts.make("PUT", request, ticket)
        except FileNotFoundError as error:
            raise BucketError(
                errno.ENXIO, "there is no such bucket or container: check storage.url"
            ) from error
        return put

    async def _delete(self, paths: list[str], ticket: Ticket | None) -> None:
        for path in paths:
            delete = functools.partial(obstore.delete_async, self.store, path)
            try:
                await self._attempts.make("DELETE", delete, ticket)
            except FileNotFoundError:  # some stores say so
                continue

    async def _list(self, folder: str, ticket: Ticket | None) -> dict[str, tuple[int, str | None]]:
        """Size and tag of each file in a folder, by name."""

        async def request() -> Any:
            return await obstore.list(self.store, f"{folder}/").collect_async()

        objects = await self._attempts.make("LIST", request, ticket)
        return {item["path"].removeprefix(f"{folder}/"): (item["size"], item["e_tag"]) for item in objects}


def _attributes(path: str, sha256: str) -> "Attributes":
    """Media type and checksum; nothing about a patient."""
    suffix = os.path.splitext(path)[1]  # noqa: PTH122 -- a key is no path of this machine
    return {"Content-Type": _TYPES.get(suffix, _BYTES), "sha256": sha256}


def _is_same_version(listed: str | None, put: str | None) -> bool:
    """Whether the tag in a list is that of a PUT, as far as the store gives tags.

    Azure gives them with quotation marks in headers, and without in lists; weak ones compare as strong ones.
    """
    if listed is None or put is None:
        return True
    return listed.removeprefix("W/").strip('"') == put.removeprefix("W/").strip('"')
