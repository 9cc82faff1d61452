"""The ten activities: plain async functions from JSON values to JSON values, each given the step it runs in.

They know nothing of the engine that calls them, and get their gates from outside.
"""

import asyncio
import functools
import hashlib
import json
import shutil
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import structlog

from docpipe import report
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.errors import WorkerError
from docpipe.gates.disk_space import retry_while_full
from docpipe.gates.line import Slots
from docpipe.model import Clock, Json, Outcome, Patient, Step, Ticket, Wait, WaitKind
from docpipe.patients.lookup import Lookup
from docpipe.storage import Storage
from docpipe.tasks.tracker import TaskTracker
from docpipe.util.fsync import make_folder, sync_folder
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
Place = tuple[str, str, str]
"""Patient id, run id, and the number of the document within the run."""
_ENCODED: Final = json.JSONEncoder(ensure_ascii=False).encode
_KEPT: Final = (Outcome.CONVERTED, Outcome.STORED)
_REPORTS: Final = 4
"""Written at the same time: more would only fill the threads' queue, and hold up whoever is further."""


class Exchange(Protocol):
    """Where documents come from."""

    async def search(self, step: Step, patient: Patient) -> Json:
        """Start a search: {"search_id", "at", "ask_after", and whatever else the others need of it}."""

    async def wait_until_ready(self, step: Step, search: Json, patient: Patient) -> Json:
        """Ask until it is over: {"state": "ready", "archive", "documents"} or {"state": "expired"}."""

    async def download(self, step: Step, search: Json, ready: Json, folder: Path) -> Json:
        """Bring all documents into a folder: {"state": "ready", "size", "sha256", "members"} or "expired".

        Members are as of `archive.extract`, with `told`, what the exchange declares of each. They lie below
        `folder`, durably.
        """

    async def release(self, ticket: Ticket, search: Json) -> None:
        """Tell that everything is stored here, once: best effort, in little time, and without an error."""


@dataclass(frozen=True, slots=True)
class Activities:
    """What the ten activities need; each method is one of them."""

    patients: Lookup
    exchange: Exchange
    tracker: TaskTracker
    downloads: Slots
    workers: Workers | InlineWorkers
    storage: Storage
    spool: Path
    clock: Clock
    conversion: Json = field(default_factory=dict)
    """What every job of the converter says beside the document: "seconds" and "languages"."""
    _writing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_REPORTS))

    async def get_patient(self, step: Step, patient_id: str) -> Json:
        """GetPatientFromDB: the patient's row."""
        return asdict(await self.patients.get(patient_id, step.ticket))

    async def create_task(self, step: Step, run_id: str, patient_id: str) -> Json:
        """TaskTracker_Create: {"task_id"}."""
        return await self.tracker.create(step, run_id, f"Documents of patient {patient_id}")

    async def search(self, step: Step, patient: Json) -> Json:
        """DocEx_Search: what is needed to ask after the search."""
        return await self.exchange.search(step, Patient(**patient))

    async def wait_until_ready(self, step: Step, search: Json, patient: Json) -> Json:
        """DocEx_CheckStatus: {"state": "ready", "archive", "documents"} or {"state": "expired"}."""
        return await self.exchange.wait_until_ready(step, search, Patient(**patient))

    async def download_and_extract(self, step: Step, run_id: str, search: Json, ready: Json) -> Json:
        """DocEx_DownloadAndExtract: {"state": "ready", "size", "sha256", "members"}, or "expired"; "seconds".

        Those are of the download and the extraction; waiting for a place is not among them.
        """
        if ready["archive"] is None:
            return {"state": "ready", "size": 0, "sha256": None, "members": []}
        folder = self.spool / run_id
        for path in (folder, folder / "out"):  # what is downloaded comes to the disk with both names
            path.mkdir(mode=0o700, exist_ok=True)
        async with self.downloads.hold(step.ticket, Wait(WaitKind.DOWNLOAD, "", self.clock())):
            began = self.clock()
            done = await self.exchange.download(step, search, ready, folder)
            return {**done, "seconds": round(self.clock() - began, 3)}

    def extracted(self, run_id: str) -> Callable[[Json], bool]:
        """Whether what a checkpoint of the extraction points to is still there."""
        return lambda done: self._there(run_id, [member["file"] for member in done.get("members", [])])

    def converted(self, run_id: str, item: str) -> Callable[[Json], bool]:
        """Whether what a checkpoint of a conversion points to is still there."""
        return lambda done: (
            done["reused"]
            or self._there(
                run_id,
                [f"out/{item}/{name}" for name in done["outputs"]]
                + [part["file"] for part in done["embedded"]],
            )
        )

    def _there(self, run_id: str, files: list[str | None]) -> bool:
        return all((self.spool / run_id / file).exists() for file in files if file)

    async def convert(self, step: Step, place: Place, member: Json, siblings: list[str]) -> Json:
        """ConvertFile: what became of one document, its outputs in the spool unless it was stored before.

        "seconds" are those in the worker; waiting for one is not among them.

        `siblings` are the names of the files of the same archive, for documents that refer to them.
        """
        patient_id, run_id, item = place
        if (known := await self._stored(step, patient_id, member["id"])) is not None:
            return {**_of_metadata(known), "reused": True}
        path = self.spool / run_id / member["file"]
        if member["outcome"] is not None:  # an archive in the archive: its files are members of their own
            kept = await asyncio.to_thread(_not_converted, path, member, member["reason"])
            return {**kept, "outcome": member["outcome"], "reused": False}
        folder = self.spool / run_id / "out" / item
        names = await asyncio.to_thread(_prepared, folder, self.spool / run_id / "siblings.json", siblings)
        job = {
            "path": str(path),
            "name": member["path"],
            "declared": member["told"].get("media_type"),
            "folder": str(folder),
            "siblings": names,
            "facts": member["told"],
            **self.conversion,
        }
        try:
            answer = await self._retry_while_full(step, "spool", lambda: self.workers.ask(job, step.ticket))
            done, seconds = answer.value, round(answer.seconds, 3)
        except WorkerError as error:
            done, seconds = await asyncio.to_thread(_not_converted, path, member, str(error)), None
        done["metadata"]["warnings"] = [
            *(member["told"].get("warnings") or []),
            *(done["metadata"].get("warnings") or []),
        ]
        embedded = done["embedded"]
        if embedded:  # most hold none, and the thread is a detour
            embedded = await asyncio.to_thread(_embedded, self.spool / run_id, member, embedded)
        return {**done, "embedded": embedded, "reused": False, "seconds": seconds}

    async def _stored(self, step: Step, patient_id: str, document_id: str) -> dict[str, Any] | None:
        """The metadata of a document that is there with all that can come out of it.

        One that failed, or for which a part of docpipe was missing, is converted again.
        """
        find = functools.partial(self.storage.find_document, patient_id, document_id, step.ticket)
        known = await self._retry_while_full(step, "storage", find, "read")
        if known is None or known.get("outcome") not in _KEPT or known.get("needs"):
            return None
        for part in known["embedded"]:
            if await self._stored(step, patient_id, part["id"]) is None:
                return None
        return known

    async def store(self, step: Step, place: Place, member: Json, done: Json) -> Json:
        """PutToStorage: {"key"} of the document, its original, readable forms and metadata in place."""
        patient_id, run_id, item = place
        if done["reused"]:
            return {"key": self.storage.key(patient_id, member["id"])}
        spool = self.spool / run_id
        files = {f"original{done['extension']}": spool / member["file"]}
        files |= {name: spool / "out" / item / name for name in done["outputs"]}
        metadata = {
            "document_id": member["id"],
            "sha256": member["sha256"],
            "size": member["size"],
            "name": member["path"],
            "derived_from": member.get("derived_from"),
            "outcome": done["outcome"],
            "reason": done["reason"],
            "original": f"original{done['extension']}",
            "outputs": done["outputs"],
            "embedded": [
                {name: part[name] for name in ("id", "path", "size", "sha256")} for part in done["embedded"]
            ],
            **done["metadata"],
        }
        put = functools.partial(
            self.storage.put_document, patient_id, member["id"], files, metadata, step.ticket
        )
        return {"key": (await self._retry_while_full(step, "storage", put))["key"]}

    async def _retry_while_full(
        self, step: Step, what: str, work: Callable[[], Awaitable[_T]], done: str = "written"
    ) -> _T:
        return await retry_while_full(step, what, self.clock, work, done)

    async def update_status(self, step: Step, task_id: str, state: str, note: str) -> Json:
        """TaskTracker_UpdateStatus: {"status", "problem"}."""
        return await self.tracker.update_status(step, task_id, state, note)

    async def report(self, step: Step, facts: Json) -> Json:
        """GenerateReport: report.html, report.json and, last, manifest.json written; {"digest", "link"}."""
        patient_id, run_id = facts["run"]["patient_id"], facts["run"]["run_id"]
        facts["run"]["finished"] = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")
        pictures = await self._pictures(step, patient_id, facts["documents"])
        async with self._writing:
            files, digest = await asyncio.to_thread(_reports, facts, pictures)
        put = functools.partial(self.storage.put_run_files, patient_id, run_id, files, step.ticket)
        await self._retry_while_full(step, "storage", put)
        return {"digest": digest, "link": f"{self.storage.location(patient_id, run_id=run_id)}/report.html"}

    async def _pictures(self, step: Step, patient_id: str, documents: list[Json]) -> dict[str, bytes | None]:
        """Thumbnails for the report, where they can be read: it is a report without them too."""
        pictures: dict[str, bytes | None] = {}
        for document_id in report.pictured(documents):
            try:
                pictures[document_id] = await self.storage.get_document_file(
                    patient_id, document_id, report.PICTURE, step.ticket
                )
            except OSError as error:
                log.warning("thumbnail_not_read", document_id=document_id, reason=error.strerror)
        return pictures

    async def append_report(self, step: Step, task_id: str, made: Json, again: Json) -> Json:
        """TaskTracker_AppendReport: {"appended", "problem"}. `again`: there may be earlier reports."""
        return await self.tracker.append_report(step, task_id, made["digest"], made["link"], again=again)

    async def release(self, run_id: str, search: Json) -> None:
        """Let the exchange delete what it keeps for a search. No activity: best effort, without a checkpoint.

        Args:
            run_id: whose search it is.
            search: as `search` returned it, or what came of it as `download_and_extract` did.
        """
        await self.exchange.release(Ticket(run_id), search)

    async def clear_spool(self, run_id: str) -> None:
        """Remove what a finished run left in the spool."""
        await asyncio.to_thread(shutil.rmtree, self.spool / run_id, ignore_errors=True)


def _written(file: Path, names: list[str]) -> str:
    """A JSON file with the names, written once: they may be thousands, and so may the documents."""
    if not file.exists():
        part = file.with_name(f"{file.name}.{threading.get_ident()}")
        part.write_text(json.dumps(names), "utf-8")
        part.replace(file)
    return str(file)


def _prepared(folder: Path, file: Path, names: list[str]) -> str:
    """An empty folder for what a conversion makes, and the file with the names beside it."""
    _emptied(folder)
    return _written(file, names)


def _emptied(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileNotFoundError:  # what it lies in was made by an older docpipe, or by `check --repair`
        make_folder(folder.parent)
        folder.mkdir(mode=0o700)
    except FileExistsError:  # of a try before this one
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def _of_metadata(known: dict[str, Any]) -> dict[str, Any]:
    """The result of a conversion as a stored document remembers it."""
    return {
        "outcome": known["outcome"],
        "reason": known["reason"],
        "media_type": known["media_type"],
        "extension": Path(known["original"]).suffix,
        "outputs": known["outputs"],
        "metadata": known,
        "embedded": [{**part, "file": None} for part in known["embedded"]],
    }


def _not_converted(path: Path, member: Json, reason: str) -> dict[str, Any]:
    """The result for a document whose worker did not survive it."""
    media_type = detect(path, member["path"], member["told"].get("media_type"))
    extension = kind_of(media_type).extension
    return {
        "outcome": Outcome.FAILED,
        "reason": reason,
        "media_type": media_type,
        "extension": extension,
        "outputs": [],
        "metadata": {"media_type": media_type, "warnings": []},
        "embedded": [],
    }


def _embedded(spool: Path, member: Json, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents found in a document, as members of the archive in their own right."""
    members = []
    for part in parts:
        path = Path(part["path"])
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        members.append(
            {
                "path": f"{member['path']}/{part['name']}",
                "file": str(path.relative_to(spool)),
                "size": path.stat().st_size,
                "sha256": sha256,
                "id": sha256[:16],
                "outcome": None,
                "reason": None,
                "derived_from": member["id"],
                "told": {"media_type": part["declared"]} if part.get("declared") else {},
            }
        )
    return members


def _reports(facts: Json, pictures: dict[str, bytes | None]) -> tuple[dict[str, bytes], str]:
    """The files of the run, the manifest last, and the digest for the task."""
    written, html, digest = report.build(facts, pictures)
    manifest = {
        "schema_version": 1,
        "run": facts["run"],
        "counts": facts["counts"],
        "archive": facts["archive"],
        "files": facts["documents"],
    }
    files = {"report.html": html.encode(), "report.json": _lined(written), "manifest.json": _lined(manifest)}
    return files, digest


def _lined(value: dict[str, Json]) -> bytes:
    """JSON with a line for each member and each item of a list: readable, and made in C."""
    members = []
    for name, member in value.items():
        if isinstance(member, list) and member:
            text = "[\n  " + ",\n  ".join(map(_ENCODED, member)) + "\n ]"
        else:
            text = _ENCODED(member)
        members.append(f' "{name}": {text}')
    return ("{\n" + ",\n".join(members) + "\n}\n").encode(errors="replace")
