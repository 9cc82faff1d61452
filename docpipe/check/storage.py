"""Checks of the storage: every manifest, every document, and what lies beside them."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from docpipe.check.finding import ConvertAgain, Document, Finding, GiveUp, Remove, Scene, text
from docpipe.checkpoints import completed_runs, unfinished_runs
from docpipe.errors import StateError
from docpipe.storage import METADATA, RUNS, TEMPORARY, folder_name

_MANIFEST: Final = "manifest.json"
_FETCH: Final = "--from DocEx_DownloadAndExtract"


def storage(scene: Scene) -> Iterator[Finding]:
    """Every document that a manifest names, or that has metadata, is there as it was stored.

    Holds no more in memory than the documents of one patient.
    """
    if scene.storage.is_dir():
        for folder in sorted(scene.storage.iterdir()):
            if folder.name.startswith(TEMPORARY):
                if not scene.beside:
                    yield _leftover(folder)
            elif folder.is_dir() and not folder.is_symlink():
                yield from _settled(scene, folder)
                scene.counts["patients"] += 1
    try:
        for run_id, patient_id in completed_runs(scene.state):
            manifest = scene.storage / folder_name(patient_id) / RUNS / run_id / _MANIFEST
            if not manifest.exists() and run_id not in unfinished_runs(scene.state):
                yield _no_manifest(manifest, run_id)
            scene.counts["runs"] += 1
    except StateError:
        return  # told by the check of the database


def _settled(scene: Scene, folder: Path) -> Iterator[Finding]:
    """What is wrong in a patient's folder, unless a run is still at it.

    Beside a docpipe at work a second look makes sure: a run may have come and gone since the first began.
    """
    found = list(_patient(scene, folder))
    for _ in range(1 + scene.beside):
        if not found:
            return
        if (run_id := _busy(scene, folder)) is not None:
            cure = "nothing is judged before its end; `docpipe resume` goes on with it"
            yield Finding("storage", str(folder), f"run {run_id} is not finished", cure, wrong=False)
            return
        if scene.beside:
            counted = scene.counts.copy()
            found = list(_patient(scene, folder))
            scene.counts.clear()
            scene.counts.update(counted)
    yield from found


def _busy(scene: Scene, folder: Path) -> str | None:
    """The unfinished run of the patient, None where there is none."""
    try:
        unfinished = unfinished_runs(scene.state)
    except StateError:
        return None
    return next((run for run, patient in unfinished.items() if folder_name(patient) == folder.name), None)


def _patient(scene: Scene, folder: Path) -> Iterator[Finding]:
    wanted: dict[str, Document] = {}
    for run in _folders(folder / RUNS):
        yield from _leftovers(run)
        yield from _manifest(run, wanted)
    for name in sorted(wanted.keys() | {path.name for path in _folders(folder) if path.name != RUNS}):
        scene.progress(f"{scene.counts['documents']} documents")
        yield from _document(folder / name, wanted)
        scene.counts["documents"] += 1


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _leftovers(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(TEMPORARY):
            yield _leftover(path)


def _leftover(path: Path) -> Finding:
    problem = "a leftover that a crash left half-written"
    return Finding("storage", str(path), problem, "remove it, or --repair", remedy=Remove(path))


def _no_manifest(path: Path, run_id: str) -> Finding:
    cure = f"docpipe retry {run_id} --from GenerateReport"
    return Finding("storage", str(path), "the run is completed, and has no manifest", cure)


def _manifest(run: Path, wanted: dict[str, Document]) -> Iterator[Finding]:
    """Take in what a run's manifest names; a later run's word counts more."""
    path = run / _MANIFEST
    cure = f"docpipe retry {run.name} --from GenerateReport"
    try:
        manifest = json.loads(path.read_bytes())
        patient_id = manifest["run"]["patient_id"]
        for file in manifest["files"]:
            if file.get("key"):
                wanted[file["id"]] = _of_file(patient_id, run.name, file)
    except FileNotFoundError:
        yield Finding("storage", str(path), "a run has no manifest", cure)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        yield Finding("storage", str(path), f"the manifest cannot be read ({type(error).__name__})", cure)


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


def _of_metadata(folder: Path, told: dict[str, Any]) -> Document | None:
    """A document that no manifest names, from its own metadata; None where it does not tell enough."""
    patient = folder.parent.name
    patient_id = next((name for name in (patient, unquote(patient)) if folder_name(name) == patient), None)
    if patient_id is None:  # the id was too long to be read back from the folder's name
        return None
    entry = {**told, "id": folder.name, "path": told["name"]}
    return replace(_of_file(patient_id, "", entry), run_id=None)


def _document(folder: Path, wanted: dict[str, Document]) -> Iterator[Finding]:
    yield from _leftovers(folder)
    document = wanted.get(folder.name)
    told, why = _metadata(folder)
    if told is not None and document is None:
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            document = _of_metadata(folder, told)
    if document is None:
        yield _unknown(folder, told, why)
        return
    original = told and told.get("original")  # a later conversion may have given it another extension
    if isinstance(original, str) and "/" not in original:
        document = replace(document, original=original)
    spoiled = _spoiled(folder / document.original, document)
    if spoiled is not None:
        yield _lost(folder, document, spoiled, wanted)
        return
    problem = why if told is None else _outputs(folder, told)
    if problem is not None:
        cure = "docpipe check --repair converts its original, which is right, again"
        yield Finding("storage", _named(folder, document), problem, cure, remedy=ConvertAgain(document))


def _named(folder: Path, document: Document) -> str:
    return f"{folder} ({text(document.path)})"


def _unknown(folder: Path, told: dict[str, Any] | None, why: str) -> Finding:
    """A folder of which neither a manifest nor its own metadata tells what it is."""
    if told is None and not (folder / METADATA).exists():
        problem = "a leftover: it has no metadata, and no run names it"
        return Finding("storage", str(folder), problem, "remove it, or --repair", remedy=Remove(folder))
    problem = why if told is None else "its metadata do not tell what it is"
    return Finding("storage", str(folder), problem, "no run names it: look into it, and move it away")


def _metadata(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """The metadata of a document, or what is wrong with them."""
    try:
        told = json.loads((folder / METADATA).read_bytes())
    except FileNotFoundError:
        return None, f"{METADATA} is missing"
    except (ValueError, RecursionError):
        return None, f"{METADATA} cannot be read"
    if not isinstance(told, dict) or not isinstance(told.get("files"), dict):
        return None, f"{METADATA} does not tell what belongs to the document"
    return told, ""


def _spoiled(path: Path, document: Document) -> str | None:
    """What is wrong with an original, None where nothing is."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return f"its original ({path.name}) is missing"
    except OSError as error:
        return f"its original ({path.name}) cannot be read: {error.strerror}"
    return (
        None if sha256 == document.sha256 else f"its original ({path.name}) has other bytes than were stored"
    )


def _outputs(folder: Path, told: dict[str, Any]) -> str | None:
    """What is wrong with the readable forms of a document, None where nothing is."""
    names = [name for name in told.get("outputs") or [] if name not in told["files"]]
    for name, size in told["files"].items():
        path = folder / name
        if not path.is_file() or path.is_symlink() or path.stat().st_size != size:
            names.append(name)
    if not names:
        return None
    return f"{', '.join(text(name) for name in names)}: missing, or not as it was stored"


def _lost(folder: Path, document: Document, problem: str, wanted: dict[str, Document]) -> Finding:
    """A document without its original: it may be had from the document that held it, or not at all."""
    where = _named(folder, document)
    metadata = folder / METADATA
    parent = wanted.get(document.derived_from or "")
    if parent is not None and _spoiled(folder.parent / parent.id / parent.original, parent) is None:
        cure = f"docpipe check --repair takes it out of {text(parent.path)} again"
        return Finding("storage", where, problem, cure, remedy=ConvertAgain(parent, metadata))
    again = f"docpipe retry {document.run_id} {_FETCH}" if document.run_id else "a new run"
    cure = (
        f"it is lost here: docpipe check --repair, then {again}, which fetches it where the exchange has it"
    )
    return Finding("storage", where, problem, cure, remedy=GiveUp(metadata))
