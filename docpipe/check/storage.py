"""Checks of the storage: every manifest, every document, and what is beside them."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from docpipe.check.finding import (
    Document,
    Finding,
    GiveUp,
    Permit,
    Reconversion,
    RemoveStored,
    Scene,
    text,
)
from docpipe.checkpoints import completed_runs, unfinished_runs
from docpipe.errors import StateError
from docpipe.storage import METADATA, RUNS, TEMPORARY, FolderStorage, Listing, Tree
from docpipe.storage.privacy import closed, mode_for_others

MANIFEST: Final = "manifest.json"
_FETCH: Final = "--from DocEx_DownloadAndExtract"


@dataclass(frozen=True, slots=True)
class _Home:
    """A patient's folder in the storage."""

    tree: Tree
    folder_of: Callable[[str], str]
    name: str
    listing: Listing

    def path(self, *parts: str) -> str:
        """Path of something in it, from the top of the storage."""
        return "/".join((self.name, *parts))

    def where(self, *parts: str) -> str:
        """The same, for people."""
        return self.tree.where(self.path(*parts))

    def documents(self) -> set[str]:
        """The folders that should be those of documents."""
        return {name for name in self.listing.folders if "/" not in name and name != RUNS}

    def runs(self) -> list[str]:
        """Ids of runs that have a folder."""
        start = f"{RUNS}/"
        inner = (name.removeprefix(start) for name in self.listing.folders if name.startswith(start))
        return sorted(name for name in inner if "/" not in name)


def storage(scene: Scene) -> Iterator[Finding]:
    """Every document that a manifest names, or that has metadata, is there as it was stored.

    Holds no more in memory than the documents of one patient.
    """
    tree = scene.storage.tree()
    yield from _privacy(scene)
    try:
        for stray in [] if scene.beside else tree.orphans():
            yield _leftover(tree, stray)
        for name in tree.patients():
            yield from _settled(scene, tree, name)
            scene.counts["patients"] += 1
        yield from _manifests(scene, tree)
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
        yield Finding(
            "storage", tree.where(), problem, "make it readable, and check again: the rest was not checked"
        )


def _privacy(scene: Scene) -> Iterator[Finding]:
    """No other user of this machine has access to a storage folder."""
    folder = scene.storage.folder if isinstance(scene.storage, FolderStorage) else None
    if folder is not None and (mode := mode_for_others(folder)) is not None:
        problem = f"every user of this machine can get in (mode {mode:04o}); its names are those of patients"
        cure = f"chmod o-rwx {folder}, or --repair"
        yield Finding("storage", str(folder), problem, cure, remedy=Permit(folder, closed(mode)))


def _manifests(scene: Scene, tree: Tree) -> Iterator[Finding]:
    """Every completed run has its manifest."""
    try:
        for run_id, patient_id in completed_runs(scene.state):
            path = f"{scene.storage.folder_of(patient_id)}/{RUNS}/{run_id}/{MANIFEST}"
            if not tree.exists(path) and run_id not in unfinished_runs(scene.state):
                cure = f"docpipe retry {run_id} --from GenerateReport"
                yield Finding("storage", tree.where(path), "the run is completed, and has no manifest", cure)
            scene.counts["runs"] += 1
    except StateError:
        return  # reported by the check of the database


def _settled(scene: Scene, tree: Tree, name: str) -> Iterator[Finding]:
    """What is wrong in a patient's folder, unless an unfinished run still writes there.

    Beside a running docpipe findings are checked twice: a run may begin and end during the first check.
    """
    findings = list(_patient(scene, tree, name))
    for _ in range(1 + scene.beside):
        if not findings:
            return
        if (run_id := _busy(scene, name)) is not None:
            cure = "it is checked after its end; `docpipe resume` continues it"
            yield Finding("storage", tree.where(name), f"run {run_id} is not finished", cure, wrong=False)
            return
        if scene.beside:
            counted = scene.counts.copy()
            findings = list(_patient(scene, tree, name))
            scene.counts.clear()
            scene.counts.update(counted)
    yield from findings


def _busy(scene: Scene, name: str) -> str | None:
    """The unfinished run of the patient, None where there is none."""
    try:
        unfinished = unfinished_runs(scene.state)
    except StateError:
        return None
    folder_of = scene.storage.folder_of
    return next((run for run, patient in unfinished.items() if folder_of(patient) == name), None)


def _patient(scene: Scene, tree: Tree, name: str) -> Iterator[Finding]:
    home = _Home(tree, scene.storage.folder_of, name, tree.listing(name))
    wanted: dict[str, Document] = {}
    for run_id in home.runs():
        yield from _leftovers(home, f"{RUNS}/{run_id}")
        yield from _manifest(home, run_id, wanted)
    for document_id in sorted(wanted.keys() | home.documents()):
        scene.progress(f"{scene.counts['documents']} documents")
        yield from _document(home, document_id, wanted)
        scene.counts["documents"] += 1


def _leftovers(home: _Home, folder: str) -> Iterator[Finding]:
    for name in sorted(home.listing.within(folder)):
        if name.startswith(TEMPORARY):
            yield _leftover(home.tree, home.path(folder, name))


def _leftover(tree: Tree, path: str) -> Finding:
    problem = "an incomplete file that a crash left behind"
    return Finding("storage", tree.where(path), problem, "remove it, or --repair", remedy=RemoveStored(path))


def _manifest(home: _Home, run_id: str, wanted: dict[str, Document]) -> Iterator[Finding]:
    """Collect the documents of a run's manifest; a later run overrides an earlier one."""
    where = home.where(RUNS, run_id, MANIFEST)
    cure = f"docpipe retry {run_id} --from GenerateReport"
    try:
        manifest = json.loads(home.tree.read(home.path(RUNS, run_id, MANIFEST)))
        patient_id = manifest["run"]["patient_id"]
        for file in manifest["files"]:
            if file.get("key"):
                wanted[file["id"]] = _of_file(patient_id, run_id, file)
    except FileNotFoundError:
        yield Finding("storage", where, "a run has no manifest", cure)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        yield Finding("storage", where, f"the manifest cannot be read ({type(error).__name__})", cure)


def _of_file(patient_id: str, run_id: str, file: dict[str, Any]) -> Document:
    facts = {
        "media_type": file.get("media_type"),
        "title": file.get("title"),
        "author": file.get("author"),
        "created": file.get("date"),
    }
    return Document(
        patient_id=patient_id,
        run_id=run_id,
        id=file["id"],
        path=file["path"],
        size=file["size"],
        sha256=file["sha256"],
        original=file["original"],
        derived_from=file.get("derived_from"),
        facts={name: value for name, value in facts.items() if isinstance(value, str)},
    )


def _of_metadata(
    home: _Home, document_id: str, metadata: dict[str, Any], wanted: dict[str, Document]
) -> Document | None:
    """A document that no manifest names, from its own metadata; None where that lacks something."""
    known = {document.patient_id for document in wanted.values()} | {home.name, unquote(home.name)}
    patient_id = next((name for name in sorted(known) if home.folder_of(name) == home.name), None)
    if patient_id is None:  # the folder is named after a hash, of a long id
        return None
    entry = {**metadata, "id": document_id, "path": metadata["name"]}
    return replace(_of_file(patient_id, "", entry), run_id=None)


def _document(home: _Home, document_id: str, wanted: dict[str, Document]) -> Iterator[Finding]:
    yield from _leftovers(home, document_id)
    document = wanted.get(document_id)
    metadata, why = _metadata(home, document_id)
    if metadata is not None and document is None:
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            document = _of_metadata(home, document_id, metadata, wanted)
    if document is None:
        yield _unknown(home, document_id, metadata, why)
        return
    original = metadata and metadata.get("original")  # a later conversion may have given it another extension
    if isinstance(original, str) and "/" not in original:
        document = replace(document, original=original)
    spoiled = _spoiled(home, document)
    if spoiled is not None:
        yield _lost(home, document, spoiled, wanted)
        return
    problem = why if metadata is None else _outputs(home, document_id, metadata)
    if problem is not None:
        cure = "docpipe check --repair converts its original, which is right, again"
        yield Finding("storage", _named(home, document), problem, cure, remedy=Reconversion(document))


def _named(home: _Home, document: Document) -> str:
    return f"{home.where(document.id)} ({text(document.path)})"


def _unknown(home: _Home, document_id: str, metadata: dict[str, Any] | None, why: str) -> Finding:
    """A folder of which neither a manifest nor its own metadata identifies the document."""
    where = home.where(document_id)
    if metadata is None and METADATA not in home.listing.within(document_id):
        problem = "a leftover of a crash: it has no metadata, and no run names it"
        remedy = RemoveStored(home.path(document_id))
        return Finding("storage", where, problem, "remove it, or --repair", remedy=remedy)
    problem = why if metadata is None else "its metadata does not identify the document"
    return Finding(
        "storage", where, problem, "no run names it: look at its files, and move the folder elsewhere"
    )


def _metadata(home: _Home, document_id: str) -> tuple[dict[str, Any] | None, str]:
    """The metadata of a document, or what is wrong with them."""
    if METADATA not in home.listing.within(document_id):
        return None, f"{METADATA} is missing"
    try:
        metadata = json.loads(home.tree.read(home.path(document_id, METADATA)))
    except FileNotFoundError:
        return None, f"{METADATA} is missing"
    except (ValueError, RecursionError):
        return None, f"{METADATA} cannot be read"
    if not isinstance(metadata, dict) or not isinstance(metadata.get("files"), dict):
        return None, f"{METADATA} does not list the files of the document"
    return metadata, ""


def _spoiled(home: _Home, document: Document) -> str | None:
    """What is wrong with an original, None where nothing is."""
    name = document.original
    try:
        sha256 = home.tree.sha256(home.path(document.id, name))
    except FileNotFoundError:
        return f"its original ({name}) is missing"
    except OSError as error:
        return f"its original ({name}) cannot be read: {error.strerror}"
    return None if sha256 == document.sha256 else f"its original ({name}) has other bytes than were stored"


def _outputs(home: _Home, document_id: str, metadata: dict[str, Any]) -> str | None:
    """What is wrong with the readable forms of a document, None where nothing is."""
    there = home.listing.within(document_id)
    names = [name for name in metadata.get("outputs") or [] if name not in metadata["files"]]
    names += [name for name, size in metadata["files"].items() if there.get(name) != size]
    if not names:
        return None
    return f"{', '.join(text(name) for name in names)}: missing, or not as it was stored"


def _lost(home: _Home, document: Document, problem: str, wanted: dict[str, Document]) -> Finding:
    """A document without its original: extract it from its container, or give it up."""
    where = _named(home, document)
    metadata = home.path(document.id, METADATA)
    parent = wanted.get(document.derived_from or "")
    if parent is not None and _spoiled(home, parent) is None:
        cure = f"docpipe check --repair extracts it from {text(parent.path)} again"
        return Finding("storage", where, problem, cure, remedy=Reconversion(parent, metadata))
    again = f"docpipe retry {document.run_id} {_FETCH}" if document.run_id else "a new run"
    cure = f"it is lost here: docpipe check --repair, then {again} to fetch it if the exchange still has it"
    return Finding("storage", where, problem, cure, remedy=GiveUp(metadata))
