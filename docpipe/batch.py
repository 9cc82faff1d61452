"""`docpipe convert`: files on the disk, with the readers, workers and limits of a run, without its services.

Archives are opened, documents in documents are documents of their own, and every file has one outcome, as
in a run.
"""

import asyncio
import json
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from docpipe import __version__
from docpipe.archive.delivered import DeliveredFile
from docpipe.archive.extract import Entry
from docpipe.archive.limits import Limits
from docpipe.convert.core.job import Job, Options
from docpipe.errors import WorkerError
from docpipe.gates.local_trouble import trouble_of, wait_out
from docpipe.model import Outcome, Ticket, WaitKind
from docpipe.workers.answers import Answer, Conversion, Part
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers
from docpipe.workers.unpacking import Unpacker

DEEPEST: Final = 10
"""Documents in documents that are opened."""
METADATA: Final = "metadata.json"
_TAKEN_AT_ONCE: Final = 32
"""Files that share the limits of one archive, with what is in them."""
_LIMITS: Final = Limits(members=10_000 + _TAKEN_AT_ONCE, total=2**40)
"""Of these; the user's own files are not measured by their size."""
_LONGEST: Final = 100
_UNPRINTABLE: Final = re.compile(r"[^\w .()+,@=-]")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file. Times are seconds, memory is bytes; None where no worker was asked."""

    path: str
    """Its name with those of the archives and documents around it."""
    outcome: Outcome
    reason: str | None
    folder: Path | None = None
    """Where its readable forms are."""
    media_type: str | None = None
    warnings: tuple[str, ...] = ()
    pages: int | None = None
    words: int | None = None
    seconds: float | None = None
    memory: int | None = None
    escaped: bool = False
    """Whether its worker did not survive it."""
    unchanged: bool = False
    """Whether an earlier conversion of the same bytes was kept."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"folder": self.folder and str(self.folder)}


@dataclass(frozen=True, slots=True)
class _Document:
    path: Path
    name: str
    declared: str | None
    siblings: str | None
    """A JSON file with the names of the files around it."""
    given: bool
    """Whether it is one of the caller's own files, of which no copy is kept."""
    above: frozenset[str] = frozenset()
    """The SHA-256 of the documents that it is in."""

    def part(
        self, name: str, sha256: str, path: Path | None = None, declared: str | None = None
    ) -> "_Document":
        """A document in this one, whose digest is `sha256`; without a path where nothing is to be read."""
        above = self.above | {sha256}
        return _Document(path or self.path, f"{self.name}/{name}", declared, None, given=False, above=above)


class OutputFolder:
    """A folder of converted documents, each in a folder of its own that is named after it."""

    def __init__(self, root: Path, *, again: bool = False) -> None:
        """`again`: whether documents that were converted before are converted again."""
        self._root = root
        self._again = again
        self._taken: set[str] = set()

    def place(self, name: str) -> Path:
        """A folder for a document, which no other document of this call has and which holds nothing else."""
        return self._place(name, self._taken)

    def _place(self, name: str, taken: set[str]) -> Path:
        stem = _UNPRINTABLE.sub("_", name.replace("/", " - "))[-_LONGEST:].strip(" .") or "document"
        number = 1
        while True:
            folder = self._root / (stem if number == 1 else f"{stem} ({number})")
            ours = not folder.exists() or (folder / METADATA).is_file()
            if folder.name.lower() not in taken and ours:
                taken.add(folder.name.lower())
                return folder
            number += 1

    def unchanged(self, document: "_Document", sha256: str) -> list[Result]:
        """A document that was converted before, from the same bytes by this docpipe, and those in it.

        Their folders are taken then. Empty, and nothing taken, where one of them has to be converted.
        """
        if self._again:
            return []
        taken = set(self._taken)
        kept = self._earlier_results(document, sha256, taken)
        if kept:
            self._taken = taken
        return kept

    def _earlier_results(self, document: "_Document", sha256: str, taken: set[str]) -> list[Result]:
        folder = self._place(document.name, taken)
        if (known := self._earlier_metadata(folder, sha256)) is None:
            return []
        results = [
            replace(
                _result(document, Outcome(known["outcome"]), known["reason"], known),
                folder=folder,
                unchanged=True,
            )
        ]
        for part in known.get("parts", ()):
            inner = document.part(part["name"], sha256)
            if (left_out := _excluded(inner, part["sha256"])) is not None:
                results.append(left_out)
            elif more := self._earlier_results(inner, part["sha256"], taken):
                results += more
            else:
                return []
        return results

    def _earlier_metadata(self, folder: Path, sha256: str) -> dict[str, Any] | None:
        """The metadata of a document whose folder is whole, and of these bytes."""
        try:
            known: dict[str, Any] = json.loads((folder / METADATA).read_bytes())
            same = known["sha256"] == sha256 and known["converter"]["versions"]["docpipe"] == __version__
            names = [*known["outputs"], *filter(None, [known["original"]])]
            whole = all((folder / name).is_file() for name in names)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        # An earlier docpipe did not write down the digests of the documents within it.
        settled = known["outcome"] != "failed" and not known.get("needs")
        settled = settled and len(known["embedded"]) == len(known.get("parts", ()))
        return known if same and whole and settled else None

    def put(self, made: Path, folder: Path) -> None:
        """Move a finished document to its place."""
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)


class BatchConverter:
    """Converts files with some workers.

    Args:
        workers: they do it.
        unpacker: takes archives apart.
        work: a folder for what is under way, on the disk of the shelf, and removed by the caller.
        shelf: where the documents go; None to throw them away, as for trying a corpus.
        done: called with each result.
        job: the members of every job that do not depend on the document.
        at_once: documents in the hands of workers, or in line for them.
        file_size: bytes of the largest file that is taken.
    """

    def __init__(
        self,
        workers: Workers | InlineWorkers,
        unpacker: Unpacker,
        work: Path,
        *,
        shelf: OutputFolder | None,
        done: Callable[[Result], None],
        job: Options,
        at_once: int,
        file_size: int = _LIMITS.member,
    ) -> None:
        self._workers = workers
        self._unpacker = unpacker
        self._work = work
        self._shelf = shelf
        self._done = done
        self._job = job
        self._limits = replace(_LIMITS, member=file_size)
        self._places = asyncio.Semaphore(at_once)
        self._numbers = iter(range(10**9))

    async def convert(self, files: Mapping[str, Path]) -> None:
        """Convert files, by the names to show."""
        folder = self._folder()
        entries = await self._taken(files, folder)
        siblings = folder / "siblings.json"
        siblings.write_text(json.dumps([entry["path"] for entry in entries if entry["file"]]), "utf-8")
        groups: list[list[tuple[_Document, str]]] = []
        of_path: dict[str, list[tuple[_Document, str]]] = {}
        for entry in entries:
            name, parent = entry["path"], entry["parent"]
            if parent is None:
                groups.append([])
            of_path[name] = groups[-1] if parent is None else of_path[parent]
            if entry["outcome"] is not None:
                same = entry["duplicate_of"] and f"The same bytes as {entry['duplicate_of']}."
                self._done(Result(name, Outcome(entry["outcome"]), entry["reason"] or same))
            else:
                path = folder / entry["file"]
                document = _Document(path, name, None, str(siblings), given=parent is None)
                of_path[name].append((document, entry["sha256"]))
        async with asyncio.TaskGroup() as group:
            for number, documents in enumerate(groups, 1):
                group.create_task(self._file(documents, Ticket(f"file {number}")))
        await asyncio.to_thread(shutil.rmtree, folder)

    async def _file(self, documents: Collection[tuple[_Document, str]], ticket: Ticket) -> None:
        """The documents of one file that was given, which share workers, turns and a budget with no other's.

        Nothing is known of whose the files are, so they are taken for as many patients'.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for document, sha256 in documents:
                    group.create_task(self._one(document, sha256, ticket))
        finally:
            self._workers.forget(ticket.run_id)

    async def _taken(self, files: Mapping[str, Path], folder: Path) -> list[Entry]:
        """The files with those of archives among them; each `file` is relative to the folder."""
        given = [DeliveredFile(name, path) for name, path in files.items()]
        first: dict[str, Entry] = {}
        entries: list[Entry] = []
        for number, at in enumerate(range(0, len(given), _TAKEN_AT_ONCE)):
            part = folder / str(number)
            part.mkdir(mode=0o700)
            some = given[at : at + _TAKEN_AT_ONCE]
            for entry in await self._unpacker.gather(some, part, self._limits, Ticket()):
                entry["file"] = entry["file"] and f"{number}/{entry['file']}"
                if entry["sha256"] and (known := first.setdefault(entry["sha256"], entry)) is not entry:
                    entry |= {"outcome": Outcome.DUPLICATE, "duplicate_of": known["path"]}
                entries.append(entry)
        return entries

    def _folder(self) -> Path:
        folder = self._work / str(next(self._numbers))
        folder.mkdir(mode=0o700)
        return folder

    async def _one(self, document: _Document, sha256: str, ticket: Ticket) -> None:
        """One document, then the documents in it."""
        if self._shelf and (kept := self._shelf.unchanged(document, sha256)):
            for result in kept:
                self._done(result)
            return
        place = self._shelf and self._shelf.place(document.name)
        folder = self._folder()
        job: Job = {
            "path": str(document.path),
            "name": document.name,
            "declared": document.declared,
            "folder": str(folder),
            "siblings": document.siblings,
            "facts": {},
            "places": None,
            **self._job,
        }
        try:
            async with self._places:
                answer = await self._answer(job, ticket)
        except WorkerError as error:
            await asyncio.to_thread(shutil.rmtree, folder)
            self._done(Result(document.name, Outcome.FAILED, str(error), escaped=True))
            return
        done: Conversion = answer.value
        made = _result(document, Outcome(done.outcome), done.reason, done.metadata)
        result = replace(made, seconds=answer.seconds, memory=answer.peak)
        parts = await self._parts(done, folder)
        if self._shelf and place and (done.outputs or not document.given):
            await asyncio.to_thread(_complete, document, sha256, done, folder)
            await asyncio.to_thread(self._shelf.put, folder, place)
            result = replace(result, folder=place)
        else:
            await asyncio.to_thread(shutil.rmtree, folder)
        self._done(result)
        await self._embedded(document, sha256, parts, ticket)

    async def _answer(self, job: Job, ticket: Ticket) -> Answer:
        """A worker's answer; where this machine cannot start another process, that is waited out."""
        while True:
            try:
                return await self._workers.execute(job, ticket)
            except OSError as error:
                if (trouble := trouble_of(error)) is None or trouble.kind is WaitKind.DISK:
                    raise
            await wait_out(trouble, ticket, "folder", time.time)

    async def _parts(self, done: Conversion, folder: Path) -> list[tuple[Path, Part]]:
        """The documents that were found in one, moved out of its folder."""
        if not done.embedded:
            return []
        beside = self._folder()
        (folder / "embedded").replace(beside)
        return [(beside / Path(part.file).name, part) for part in done.embedded]

    async def _embedded(
        self,
        document: _Document,
        sha256: str,
        parts: Collection[tuple[Path, Part]],
        ticket: Ticket,
    ) -> None:
        for path, part in parts:
            inner = document.part(part.name, sha256, path, part.declared)
            if (left_out := _excluded(inner, part.sha256)) is not None:
                self._done(left_out)
            else:
                await self._one(inner, part.sha256, ticket)


def _excluded(part: _Document, sha256: str) -> Result | None:
    """The result of a document in a document that is not converted, None for one that is."""
    if sha256 in part.above:
        return Result(part.name, Outcome.DUPLICATE, "It is the document that it lies in.")
    if len(part.above) > DEEPEST:
        return Result(part.name, Outcome.REFUSED, f"Nested more than {DEEPEST} deep.")
    return None


def _result(document: _Document, outcome: Outcome, reason: str | None, metadata: dict[str, Any]) -> Result:
    return Result(
        path=document.name,
        outcome=outcome,
        reason=reason,
        media_type=metadata["media_type"],
        warnings=tuple(metadata["warnings"]),
        pages=metadata.get("pages"),
        words=metadata.get("words"),
    )


def _complete(document: _Document, sha256: str, done: Conversion, folder: Path) -> None:
    """Add the metadata and, of what the caller does not have as a file, the original."""
    original = f"original{done.extension}"
    if not document.given:
        shutil.copyfile(document.path, folder / original)
    metadata = {
        "name": document.name,
        "sha256": sha256,
        "size": document.path.stat().st_size,
        "outcome": done.outcome,
        "reason": done.reason,
        "original": None if document.given else original,
        "outputs": done.outputs,
        "embedded": [part.name for part in done.embedded],
        "parts": [{"name": part.name, "sha256": part.sha256} for part in done.embedded],
        **done.metadata,
    }
    text = json.dumps(metadata, indent=1, ensure_ascii=False)
    (folder / METADATA).write_bytes(text.encode(errors="backslashreplace"))
