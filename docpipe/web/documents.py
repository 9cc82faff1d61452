"""Documents of a run, and the files of documents and runs, for download."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from aiohttp import web

from docpipe.app import Docpipe
from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.convert.core.kinds import KINDS
from docpipe.model import Json, RunState
from docpipe.web.answers import array, of_text
from docpipe.web.context import web_of
from docpipe.web.files import SANDBOX_HEADERS, from_storage, send
from docpipe.web.found import Found, found_in
from docpipe.web.problems import Problem
from docpipe.web.reading import only
from docpipe.web.runs import stored_run

_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "document.pdf": "application/pdf",
        "text.md": "text/markdown; charset=utf-8",
        "thumbnail.png": "image/png",
        "metadata.json": "application/json",
    }
)
_OF_RUNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "manifest.json": "application/json",
        "report.json": "application/json",
        "report.html": "text/html; charset=utf-8",
    }
)
_REPORT: Final = "report.html"
_ACTIVE: Final = (
    "text/html",
    "application/xml",
    "image/svg+xml",
    "multipart/related",
    "application/fhir+xml",
)
"""Types that browsers may run something of; as an original they are bytes, and no more."""
_BYTES: Final = "application/octet-stream"
_ORIGINALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        kind.extension: name
        for name, kind in reversed(list(KINDS.items()))
        if name not in _ACTIVE and "cda" not in name
    }
)
_ORIGINAL: Final = re.compile(r"original(\.[a-z0-9]{1,16})?")
_DOCUMENT_ID: Final = re.compile(r"[0-9a-f]{16}")
_TOLD: Final = ("media_type", "title", "author", "date", "pages", "words")
_OF_MEMBER: Final = ("path", "id", "size", "outcome", "reason", "derived_from", "duplicate_of")
_WITH_MANIFEST: Final = (RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS, RunState.FAILED)


async def documents(request: web.Request) -> web.Response:
    """Every file of the archive, as far as it is known."""
    only(request)
    docpipe = web_of(request).docpipe
    run = await stored_run(request)
    entries = await _entries(docpipe, run)
    return of_text(f'{{"documents": {await array(entries, lambda entry: _view(run.patient_id, entry))}}}')


async def _entries(docpipe: Docpipe, run: StoredRun) -> list[Json]:
    if run.state in _WITH_MANIFEST:
        with from_storage():
            manifest = await docpipe.storage.get_run_file(run.patient_id, run.run_id, "manifest.json")
        if manifest is not None:
            told: Json = await asyncio.to_thread(json.loads, manifest)
            files: list[Json] = told["files"]
            return files
    return list(_so_far(await docpipe.checkpoints.steps(run.run_id)))


def _so_far(steps: Iterable[StoredStep]) -> Iterator[Json]:
    """The same entries as in a manifest, from checkpoints; a file still to be converted has no outcome."""
    return (_entry(found) for found in found_in(steps))


def _entry(found: Found) -> Json:
    member, done = found.member, found.converted
    made = done["metadata"] if done else {}
    told = member["told"] if done or member["outcome"] is None else {}
    entry = {
        **{name: member.get(name) for name in _OF_MEMBER},
        **{name: made.get(name) for name in ("pages", "words", "ocr", "warnings")},
        "title": made.get("title") or told.get("title"),
        "author": made.get("author") or told.get("author"),
        "date": made.get("date") or told.get("created"),
        "media_type": told.get("media_type"),
    }
    if found.converted is not None:
        entry |= {name: found.converted[name] for name in ("outcome", "reason", "media_type")}
        entry |= {
            "original": f"original{found.converted['extension']}",
            "outputs": found.converted["outputs"],
        }
    return entry | {"key": found.stored["key"] if found.stored else None}


def _view(patient_id: str, entry: Json) -> dict[str, Json]:
    """An entry of a manifest, as the API tells it."""
    document_id = entry.get("id")
    files = {}
    if document_id and entry.get("key"):
        place = f"/api/documents/{quote(patient_id, safe='')}/{document_id}"
        files["original"] = f"{place}/{entry['original']}"
        files |= {name: f"{place}/{name}" for name in entry["outputs"] if name in _FORMS}
    return {
        "path": entry["path"],
        "document_id": document_id,
        "outcome": entry["outcome"],
        "reason": entry.get("reason"),
        **{name: entry.get(name) for name in _TOLD},
        "ocr": bool(entry.get("ocr")),
        "warnings": entry.get("warnings") or [],
        "derived_from": entry.get("derived_from"),
        "duplicate_of": entry.get("duplicate_of"),
        "size": entry.get("size"),
        "files": files,
    }


async def document_file(request: web.Request) -> web.StreamResponse:
    """A file of a stored document."""
    only(request)
    patient_id, document_id, name = (request.match_info[key] for key in ("patient_id", "document_id", "name"))
    original = _ORIGINAL.fullmatch(name)
    if not _DOCUMENT_ID.fullmatch(document_id) or (name not in _FORMS and original is None):
        raise _none()
    if original is None:
        return await send(request, _FORMS[name], patient_id, name, document_id=document_id)
    extension = PurePosixPath(name).suffix
    media_type = _ORIGINALS.get(extension, _BYTES)
    download = f"{document_id}{extension}"
    return await send(request, media_type, patient_id, name, document_id=document_id, download=download)


async def run_file(request: web.Request) -> web.StreamResponse:
    """The manifest or a report of a run."""
    only(request)
    name = request.match_info["name"]
    if name not in _OF_RUNS:
        raise _none()
    run = await stored_run(request)
    if name == _REPORT:
        return await _report(request, run)
    return await send(request, _OF_RUNS[name], run.patient_id, name, run_id=run.run_id)


async def _report(request: web.Request, run: StoredRun) -> web.Response:
    """The report for people. Its links lead from folder to folder; here they lead to the API."""
    storage = web_of(request).docpipe.storage
    with from_storage():
        data = await storage.get_run_file(run.patient_id, run.run_id, _REPORT)
    if data is None:
        raise _none()
    place = f'href="/api/documents/{quote(run.patient_id, safe="")}/'
    data = data.replace(b'href="../../', place.encode())  # in texts a quotation mark is escaped
    return web.Response(body=data, headers={**SANDBOX_HEADERS, "Content-Type": _OF_RUNS[_REPORT]})


def _none() -> Problem:
    return Problem(404, "There is no such file.", "no-such-file")


ROUTES: Final = (
    web.get("/api/runs/{run_id}/documents", documents),
    web.get("/api/runs/{run_id}/files/{name}", run_file),
    web.get("/api/documents/{patient_id:[^/]+}/{document_id}/{name}", document_file),
)
