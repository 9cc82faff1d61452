"""The ten activities: async methods from Structs to Structs, each with the step that it runs in.

They are independent of the engine that calls them; their gates come from outside.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from docpipe import report
from docpipe.activities.appending import append
from docpipe.activities.conversions import (
    bearer,
    embedded_members,
    not_converted,
    of_metadata,
    with_warnings,
)
from docpipe.activities.reporting import reports_with_changes
from docpipe.activities.spool import OUT, SIBLINGS, OutFolders, make_empty, mend_siblings, prepare_spool
from docpipe.convert.core.job import Job, Options
from docpipe.errors import RunError, WorkerError
from docpipe.gates.line import Slots
from docpipe.gates.local_trouble import retry_while_in_trouble
from docpipe.model import Clock, Outcome, Patient, Spool, Step, Ticket, Wait, WaitKind
from docpipe.patients.lookup import Lookup
from docpipe.results.files import (
    MOST_EMBEDDED,
    Appended,
    Archive,
    Converted,
    Digest,
    Member,
    Stored,
    Task,
    Updated,
    summed_up,
)
from docpipe.results.report import Entry, Facts
from docpipe.results.search import Ready, Search
from docpipe.search import SearchIndex, text_of
from docpipe.storage import Storage
from docpipe.tasks.tracker import TaskTracker
from docpipe.workers.answers import Conversion
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
Place = tuple[str, str, str]
"""Patient id, run id, and the number of the document within the run."""
_KEPT: Final = (Outcome.CONVERTED, Outcome.STORED)
_TOO_MANY: Final = (
    f"The documents in the documents of this patient are more than {MOST_EMBEDDED:,}; the rest was not read."
)
_REMOVED: Final = (
    "Documents of this run were removed from the storage while it was stopped: try it again (docpipe retry)."
)
_REPORTS: Final = 4
"""Concurrent reports: more would only fill the queue of the threads, and delay other runs."""


class Exchange(Protocol):
    """Where documents come from."""

    async def search(self, step: Step, patient: Patient) -> Search:
        """Start a search."""

    async def wait_until_ready(self, step: Step, search: Search, patient: Patient) -> Ready:
        """Poll until it is over."""

    async def download(self, step: Step, search: Search, ready: Ready, folder: Path) -> Archive:
        """Fetch all documents into a folder, durably."""

    async def release(self, ticket: Ticket, address: str | None) -> None:
        """Let the exchange delete what it keeps for a search: best effort, quickly, without an error."""


@dataclass(frozen=True, slots=True)
class Activities:
    """What the ten activities need; each method is one of them."""

    patients: Lookup
    exchange: Exchange
    tracker: TaskTracker
    downloads: Slots
    workers: Workers | InlineWorkers
    storage: Storage
    spool: Spool
    clock: Clock
    conversion: Options = field(default_factory=Options)
    """What every job of the converter has beside the document."""
    index: SearchIndex | None = None
    """Takes the text of each document that is stored."""
    _folders: OutFolders = field(default_factory=OutFolders)
    _embedded: dict[str, dict[str, int]] = field(default_factory=dict)
    """Documents in documents that were accepted here, by run and by the item that they are in."""
    _writing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_REPORTS))

    async def get_patient(self, step: Step, patient_id: str) -> Patient:
        """GetPatientFromDB: the patient's row."""
        return await self.patients.get(patient_id, step.ticket)

    async def create_task(self, step: Step, run_id: str, patient_id: str) -> Task:
        """TaskTracker_Create."""
        return await self.tracker.create(step, run_id, f"Documents of patient {patient_id}")

    async def search(self, step: Step, patient: Patient) -> Search:
        """DocEx_Search."""
        return await self.exchange.search(step, patient)

    async def wait_until_ready(self, step: Step, search: Search, patient: Patient) -> Ready:
        """DocEx_CheckStatus."""
        return await self.exchange.wait_until_ready(step, search, patient)

    async def download_and_extract(self, step: Step, run_id: str, search: Search, ready: Ready) -> Archive:
        """DocEx_DownloadAndExtract: the files of the archive, below the run's spool."""
        if ready.archive is None:
            return Archive(state="ready")
        folder = self.spool.path(run_id)
        for path in (folder, folder / OUT):  # the download syncs both names to the disk
            path.mkdir(mode=0o700, exist_ok=True)
        async with self.downloads.hold(step.ticket, Wait(WaitKind.DOWNLOAD, "", self.clock())):
            began = self.clock()
            done = await self.exchange.download(step, search, ready, folder)
            seconds = round(self.clock() - began, 3)
        if files := [member.file for member in done.members if member.file]:
            prepare = functools.partial(asyncio.to_thread, prepare_spool, self._folders, folder, done)
            names = await self._retry_while_in_trouble(step, "spool", prepare)
            await self.spool.keep(run_id, [*files, names])
        return replace(done, seconds=seconds)

    def extracted(self, run_id: str) -> Callable[[Archive], bool]:
        """Whether the files in a checkpoint of the extraction still exist."""

        def valid(done: Archive) -> bool:
            if not self._files_exist(run_id, [member.file for member in done.members]):
                return False
            mend_siblings(self.spool.path(run_id), done)
            return True

        return valid

    def converted(self, run_id: str, item: str) -> Callable[[Converted], bool]:
        """Whether the files in a checkpoint of a conversion still exist, here or in the storage.

        A folder of outputs that is gone has become the document's own; see `Storage.put_document`.
        """

        def valid(done: Converted) -> bool:
            outputs = [f"{OUT}/{item}/{name}" for name in done.outputs]
            if done.reused or not (done.embedded or (self.spool.path(run_id) / OUT / item).exists()):
                return True
            return self._files_exist(run_id, [*outputs, *(part.file for part in done.embedded)])

        return valid

    def _files_exist(self, run_id: str, files: Iterable[str | None]) -> bool:
        folder = self.spool.path(run_id)
        return all((folder / file).exists() for file in files if file)

    async def convert(
        self, step: Step, place: Place, member: Member, patient: Patient | None = None
    ) -> Converted:
        """ConvertFile: converts one document to the spool, unless it was stored before.

        `patient` is named on each page that is made.
        """
        patient_id, run_id, item = place
        if (known := await self._stored(step, patient_id, str(member.id))) is not None:
            return of_metadata(known)
        spool = self.spool.path(run_id)
        path, names = spool / str(member.file), spool / SIBLINGS
        await self.spool.need(run_id, [str(member.file), SIBLINGS])
        if member.outcome is not None:  # an archive in the archive: its files are members too
            return await asyncio.to_thread(not_converted, path, member, member.outcome, member.reason)
        folder = spool / OUT / item
        if not self._folders.take(run_id, item):
            await asyncio.to_thread(make_empty, folder)
        job: Job = {
            "path": str(path),
            "name": member.path,
            "declared": member.declared.media_type,
            "folder": str(folder),
            "siblings": str(names) if names.exists() else None,
            "facts": {**msgspec.to_builtins(member.declared), "patient": bearer(patient)},
            "places": None,
            **self.conversion,
        }
        try:
            answer = await self._retry_while_in_trouble(
                step, "spool", lambda: self.workers.execute(job, step.ticket)
            )
        except WorkerError as error:
            return await asyncio.to_thread(not_converted, path, member, Outcome.FAILED, str(error))
        done: Conversion = answer.value
        embedded = self._accepted(place, member, embedded_members(f"{OUT}/{item}", member, done.embedded))
        await self.spool.keep(run_id, [part.file for part in embedded if part.file])
        return Converted(
            outcome=done.outcome,
            reason=done.reason,
            media_type=done.media_type,
            extension=done.extension,
            outputs=done.outputs,
            metadata=with_warnings(done.metadata, member),
            embedded=embedded,
            seconds=round(answer.seconds, 3),
        )

    def _accepted(self, place: Place, member: Member, parts: list[Member]) -> list[Member]:
        """Those documents of a document that a run can take at most; the rest in one line.

        The pipeline decides which it takes. But 10,000 mails with 500 attachments each would be millions of
        entries in memory and checkpoints before it could. A document that is converted again counts once.
        """
        if not parts:
            return parts
        _, run_id, item = place
        accepted = self._embedded.setdefault(run_id, {})
        accepted.pop(item, None)
        room = max(MOST_EMBEDDED - sum(accepted.values()), 0)
        if room:
            accepted[item] = min(room, len(parts))
        rest = parts[room:]
        return [*parts[:room], summed_up(member.path, rest, _TOO_MANY)] if rest else parts

    async def _stored(self, step: Step, patient_id: str, document_id: str) -> dict[str, Any] | None:
        """The metadata of a document that is stored with all its readable forms, else None.

        One that failed, or needed a part of docpipe that was not installed, is converted again.
        """
        find = functools.partial(self.storage.find_document, patient_id, document_id, step.ticket)
        known = await self._retry_while_in_trouble(step, "storage", find, "read")
        if known is None or known.get("outcome") not in _KEPT or known.get("needs"):
            return None
        for part in known["embedded"]:
            if part["id"] is None or await self._stored(step, patient_id, part["id"]) is None:
                return None
        return known

    async def store(self, step: Step, place: Place, member: Member, done: Converted) -> Stored:
        """PutToStorage: stores original, readable forms and metadata of a document."""
        patient_id, run_id, item = place
        document_id = str(member.id)
        if done.reused:
            return Stored(self.storage.key(patient_id, document_id))
        spool = self.spool.path(run_id)
        outputs = spool / OUT / item
        files = {f"original{done.extension}": spool / str(member.file)}
        files |= {name: outputs / name for name in done.outputs}
        metadata = {
            "document_id": document_id,
            "sha256": member.sha256,
            "size": member.size,
            "name": member.path,
            "derived_from": member.derived_from,
            "outcome": done.outcome,
            "reason": done.reason,
            "original": f"original{done.extension}",
            "outputs": done.outputs,
            "embedded": [
                {name: getattr(part, name) for name in ("id", "path", "size", "sha256")}
                for part in done.embedded
            ],
            **done.metadata,
        }
        putting = functools.partial(self.storage.put_document, outputs=outputs)
        put = functools.partial(putting, patient_id, document_id, files, metadata, step.ticket)
        try:
            stored = await self._retry_while_in_trouble(step, "storage", put)
        except RunError as error:
            if not isinstance(error.__cause__, FileNotFoundError) or outputs.exists():
                raise
            raise RunError(_REMOVED) from error  # the folder had its place when the run was stopped
        if self.index is not None:
            text = stored.get("moved", outputs) / "text.md" if "text.md" in files else None
            await self.index.add(patient_id, text_of(member, done), text)
        return Stored(stored["key"])

    async def _retry_while_in_trouble(
        self, step: Step, what: str, work: Callable[[], Awaitable[_T]], done: str = "written"
    ) -> _T:
        return await retry_while_in_trouble(step, what, self.clock, work, done)

    async def update_status(self, step: Step, task_id: str, state: str, note: str) -> Updated:
        """TaskTracker_UpdateStatus."""
        return await self.tracker.update_status(step, task_id, state, note)

    async def report(self, step: Step, facts: Facts) -> Digest:
        """GenerateReport: writes report.html, report.json and, last, manifest.json."""
        patient_id, run_id = facts.run.patient_id, facts.run.run_id
        finished = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")
        facts = replace(facts, run=replace(facts.run, finished=finished))
        pictures = await self._pictures(step, patient_id, facts.documents)
        async with self._writing:
            files, digest = await asyncio.to_thread(reports_with_changes, self.storage, facts, pictures)
        if self.index is not None:
            await self.index.complete(patient_id, facts.documents)
        put = functools.partial(self.storage.put_run_files, patient_id, run_id, files, step.ticket)
        await self._retry_while_in_trouble(step, "storage", put)
        return Digest(digest, f"{self.storage.location(patient_id, run_id=run_id)}/report.html")

    async def _pictures(self, step: Step, patient_id: str, documents: list[Entry]) -> dict[str, bytes]:
        """Thumbnails for the report, where they can be read; the report works without them."""
        pictures = report.Pictures()
        for document_id in report.pictured(documents):
            try:
                data = await self.storage.get_document_file(
                    patient_id, document_id, report.PICTURE, step.ticket
                )
            except OSError as error:
                log.warning("thumbnail_not_read", document_id=document_id, reason=error.strerror)
            else:
                pictures.add(document_id, data)
        return pictures.kept

    async def append_report(self, step: Step, task_id: str, made: Digest, again: bool) -> Appended:
        """TaskTracker_AppendReport. `again`: there may be earlier reports."""
        return await append(self.tracker, step, task_id, made, again=again)

    async def release(self, run_id: str, address: str | None) -> None:
        """Let the exchange delete what it keeps for a search. No activity: best effort, without a checkpoint.

        Args:
            run_id: the run of the search.
            address: `Search.status` or `Archive.release`; None for nothing to delete.
        """
        await self.exchange.release(Ticket(run_id), address)

    async def clear_spool(self, run_id: str) -> None:
        """Remove the files of a finished run from the spool, and the run from the memory of the workers."""
        self.workers.forget(run_id)
        self._folders.forget(run_id)
        self._embedded.pop(run_id, None)
        if self.index is not None:  # of a run without a report, the texts are there
            await self.index.release(self.spool.path(run_id))
        await self.spool.drop(run_id)
