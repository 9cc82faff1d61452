"""The index for coroutines: writing and reading in a thread each, and writing never fails a run."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import structlog
from msgspec.structs import replace

from docpipe.errors import RunError
from docpipe.results.files import Converted, Member
from docpipe.results.report import Entry
from docpipe.search.index import Index, SearchIndexError, remove_files
from docpipe.search.query import terms_of
from docpipe.search.rebuild import rebuild
from docpipe.search.shapes import INDEXED, Hits, Text
from docpipe.storage import Storage

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
_TEXT: Final = "text.md"
_WITHIN_S: Final = 1.0
"""A document is written at the latest so long after it was added."""
_MOST_PENDING: Final = 100
"""This many are written at once; their texts are read one by one."""


class _Pending(NamedTuple):
    """A document that waits to be written."""

    patient_id: str
    document: Text
    file: Path | None
    """Its text, where `document` is without."""


class SearchIndex:
    """Full-text search in the documents of one storage.

    Args:
        path: of the database.
        storage: whose documents it holds; read where the index lacks one of them.
    """

    def __init__(self, path: Path, storage: Storage) -> None:
        self.path = path
        self._storage = storage
        self._writer = Index(path)
        self._reader = Index(path)
        self._writing = ThreadPoolExecutor(1, "search-writer")
        self._reading = ThreadPoolExecutor(1, "search-reader")
        self._failed = False
        self._reads: asyncio.Future[Any] | None = None
        """The last work of the writing thread that reads files of runs; done once it has read them."""
        self._pending: list[_Pending] = []
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: set[asyncio.Task[None]] = set()
        self._settling: dict[str, list[asyncio.Future[set[str] | None]]] = {}
        """Patients whose documents are to be brought to the disk next, with who waits for that."""
        self._settler: asyncio.Task[None] | None = None

    async def search(
        self, query: str, *, patient_id: str | None = None, limit: int = 20, offset: int = 0
    ) -> Hits:
        """The documents in which every word of a query occurs.

        Args:
            query: words, "phrases" and prefixes*; case and accents do not matter.
            patient_id: whose documents; None for everyone's.
            limit: at most this many hits.
            offset: this many are left out before them.

        Raises:
            QueryError: if the query has no words.
            SearchIndexError: if the index cannot be read.
        """
        terms = terms_of(query)
        return await self._in(
            self._reading, lambda: self._reader.search(terms, patient_id, limit=limit, offset=offset)
        )

    async def add(self, patient_id: str, document: Text, file: Path | None = None) -> None:
        """Index a document that was just stored, within a second, together with others that come meanwhile.

        A failure is logged, and `complete` repeats it.

        Args:
            patient_id: whose it is.
            document: without its text, where `file` has that.
            file: its text.md; it has to stay until `flush`, `release` or `complete` has returned.
        """
        self._pending.append(_Pending(patient_id, document, file))
        if len(self._pending) >= _MOST_PENDING:
            await self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WITHIN_S, self._flush_soon)

    def _flush_soon(self) -> None:
        self._timer = None
        task = asyncio.create_task(self.flush(), name="index")
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def flush(self) -> None:
        """Write what was added; after `complete` it survives a crash of the machine, too."""
        while self._pending or self._flushing - {asyncio.current_task()}:
            if pending := self._taken():
                await self._tried(lambda: self._writer.put_all(_read(pending)), reads=True)
            else:
                await asyncio.wait(self._flushing - {asyncio.current_task()})

    async def release(self, folder: Path) -> None:
        """Write what was added from files below a folder, so that it can be removed; others go on waiting."""
        if any(one.file is not None and folder in one.file.parents for one in self._pending):
            await self.flush()
        elif self._reads is not None and not self._reads.done():  # the thread serves in turn
            await self._in(self._writing, lambda: None)

    def _taken(self) -> list[_Pending]:
        """What waits to be written, for whom takes it."""
        pending, self._pending = self._pending, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return pending

    async def complete(self, patient_id: str, entries: Iterable[Entry]) -> None:
        """Index what is missing of the stored documents of a run, and bring all to the disk.

        A failure is logged, and the next run of the patient, or a rebuild, makes up for it.
        """
        kept = {entry.id: entry for entry in entries if entry.id and entry.key}
        known = await self._settled(patient_id)
        if known is None or not (missing := kept.keys() - known):
            return
        for document_id in missing:
            entry = kept[document_id]
            try:
                text = await self._stored_text(patient_id, entry)
            except (OSError, RunError) as error:
                log.warning("text_not_indexed", document_id=document_id, reason=type(error).__name__)
                continue
            document = replace(document_of(entry), text=text)
            await self._tried(functools.partial(self._writer.put, patient_id, [document]))
        await self._tried(functools.partial(self._writer.put_all, (), durably=True))

    async def _settled(self, patient_id: str) -> set[str] | None:
        """Bring all that was added to the disk; returns the patient's documents there, None after a failure.

        Those who ask while others are served are served together: each transaction waits for the disk.
        """
        done: asyncio.Future[set[str] | None] = asyncio.get_running_loop().create_future()
        self._settling.setdefault(patient_id, []).append(done)
        if self._settler is None:
            self._settler = asyncio.create_task(self._settle(), name="index")
        return await done

    async def _settle(self) -> None:
        while self._settling:
            waiting, self._settling = self._settling, {}
            work = functools.partial(self._settle_now, self._taken(), list(waiting))
            try:
                known = await self._tried(work, reads=True)
            except BaseException:
                self._settler = None
                _resolve(waiting, None)
                raise
            _resolve(waiting, known)
        self._settler = None

    def _settle_now(self, pending: list[_Pending], patients: list[str]) -> dict[str, set[str]]:
        self._writer.put_all(_read(pending), durably=True)
        return {patient_id: self._writer.documents(patient_id) for patient_id in patients}

    async def _stored_text(self, patient_id: str, entry: Entry) -> str:
        if _TEXT not in entry.outputs:
            return ""
        data = bytearray()
        with contextlib.suppress(FileNotFoundError):
            async for chunk in self._storage.read(
                patient_id, _TEXT, document_id=str(entry.id), start=0, end=INDEXED
            ):
                data += chunk
        return data.decode(errors="replace")

    async def forget(self, patient_id: str) -> int:
        """Remove everything of a patient; returns the number of documents removed.

        Raises:
            SearchIndexError: if the index cannot be written.
        """
        await self.flush()
        if not self.path.exists():
            return 0
        return await self._in(self._writing, lambda: self._writer.forget(patient_id))

    async def rebuild(self, progress: Callable[[int], None] = lambda _: None, *, alone: bool = False) -> int:
        """Make the index anew from the storage; returns the number of documents.

        Args:
            progress: called in a thread with the number of documents so far.
            alone: whether no other process uses the index, so that a damaged one may be removed first.

        Raises:
            SearchIndexError: if the index cannot be written.
            OSError: if the storage cannot be read.
        """

        def work() -> int:
            if alone:
                self._writer.close()
                remove_files(self.path)
            return rebuild(self._writer, self._storage, progress)

        return await self._in(self._writing, work)

    async def create(self) -> None:
        """Make the index where there is none; what was stored before is not in it until a rebuild."""

        def work() -> None:
            folder = self._storage.folder
            empty = folder is not None and (not folder.is_dir() or not self._storage.tree().patients())
            self._writer.create(complete=empty)

        await self._tried(work)

    async def close(self) -> None:
        """Write what was added, and end the threads."""
        await self.flush()
        if self._settler is not None:
            await self._settler
        for threads, index in ((self._writing, self._writer), (self._reading, self._reader)):
            await self._in(threads, index.close)
            threads.shutdown(wait=False)

    async def _tried(self, work: Callable[[], _T], *, reads: bool = False) -> _T | None:
        """The result of a work of the writing thread, None after a failure. `reads`: of files of runs."""
        writing = asyncio.get_running_loop().run_in_executor(self._writing, work)
        if reads:
            self._reads = writing
        try:
            done = await asyncio.shield(writing)
        except (SearchIndexError, OSError) as error:
            if not self._failed:  # once, until it works again
                log.warning("search_index_not_written", reason=str(error))
            self._failed = True
            return None
        self._failed = False
        return done

    @staticmethod
    async def _in(threads: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(threads, work)


def _resolve(
    waiting: dict[str, list[asyncio.Future[set[str] | None]]], known: dict[str, set[str]] | None
) -> None:
    for patient_id, futures in waiting.items():
        documents = None if known is None else known[patient_id]
        for future in futures:
            if not future.done():  # its run was stopped
                future.set_result(documents)


def _read(pending: Iterable[_Pending]) -> Iterator[tuple[str, Text]]:
    """Whose each document is, and the document with its text; without those whose file is gone."""
    for patient_id, document, file in pending:
        try:
            text = document.text if file is None else _beginning(file)
        except OSError as error:  # `complete` reads it from the storage
            log.debug("text_not_read", document_id=document.document_id, reason=type(error).__name__)
            continue
        yield patient_id, replace(document, text=text)


def text_of(member: Member, done: Converted) -> Text:
    """A document that was just converted as the index takes it, without its text."""
    metadata, declared = done.metadata, member.declared
    return Text(
        document_id=str(member.id),
        name=member.path,
        title=metadata.get("title") or declared.title,
        author=metadata.get("author") or declared.author,
        date=metadata.get("date") or declared.created,
        media_type=done.media_type,
    )


def document_of(entry: Entry) -> Text:
    """A document of a manifest as the index takes it, without its text."""
    return Text(
        document_id=str(entry.id),
        name=entry.path,
        title=entry.title,
        author=entry.author,
        date=entry.date,
        media_type=entry.media_type,
    )


@contextlib.asynccontextmanager
async def open_index(path: Path, storage: Storage) -> AsyncIterator[SearchIndex]:
    """The index of a storage, closed at the end."""
    index = SearchIndex(path, storage)
    try:
        yield index
    finally:
        await index.close()


def _beginning(file: Path) -> str:
    """The text of a file as far as it is indexed: the main process holds it whole."""
    with file.open("rb") as opened:
        return opened.read(INDEXED).decode("utf-8", errors="replace")
