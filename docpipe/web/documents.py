"""Documents of a run, and the files of documents and runs, for download."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec.structs import replace

from docpipe.api.shapes import Document, Documents, Finding
from docpipe.checkpoints import StoredRun
from docpipe.convert.core.kinds import KINDS
from docpipe.engine.files import entry, stored_entry
from docpipe.engine.runfiles import File, files_in
from docpipe.model import RunState
from docpipe.report.findings import not_read, problems, to_check
from docpipe.report.labels import type_of
from docpipe.results import report
from docpipe.results.files import Declared
from docpipe.results.report import Entry
from docpipe.util.json import to_json
from docpipe.web.answers import each, of_text
from docpipe.web.context import web_of
from docpipe.web.downloads import Described, readable_name
from docpipe.web.files import SANDBOX_HEADERS, send
from docpipe.web.problems import Problem, from_storage
from docpipe.web.reading import choice_in, only
from docpipe.web.runs import stored_run
from docpipe.web.source import Source
from docpipe.web.views import outcome_of

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
"""Types with content that browsers may run; as an original they are served as plain bytes."""
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
_AS_IT_IS: Final = (
    *("path", "reason", "media_type", "title", "author", "date", "pages", "words"),
    *("derived_from", "duplicate_of", "size", "warnings"),
)
_WITH_MANIFEST: Final = (RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS, RunState.FAILED)


async def documents(request: web.Request) -> web.Response:
    """Every file of the archive that is known so far."""
    only(request)
    source = web_of(request).source
    run = await stored_run(request)
    views = await views_of_run(source, run)
    return of_text(to_json(Documents(documents=views)))


async def views_of_run(source: Source, run: StoredRun) -> list[Document]:
    """The documents of a run, from its manifest or, while it is under way, from its checkpoints."""
    if run.state in _WITH_MANIFEST:
        with from_storage():
            manifest = await source.storage.get_run_file(run.patient_id, run.run_id, "manifest.json")
        if manifest is not None:
            decoded = await asyncio.to_thread(msgspec.json.decode, manifest, type=_Files)
            return await each(decoded.files, lambda file: _view(run.patient_id, file))
    files = files_in(await source.steps(run.run_id))
    return await each(files, lambda file: _view_so_far(run.patient_id, file))


class _Files(msgspec.Struct):
    """What is needed of manifest.json."""

    files: list[Entry]


def _view_so_far(patient_id: str, file: File) -> Document:
    """A file of a run under way; one that is still to be converted has no outcome."""
    member, key = file.member, file.stored.key if file.stored else None
    if file.converted is not None:
        return _view(patient_id, stored_entry(member, file.converted, key))
    declared = member.declared if member.outcome is None else Declared()
    view = _view(patient_id, entry(member))
    if member.outcome is None:  # nothing is known of it yet, least of all a problem
        view = replace(view, attention=None, findings=[])
    return replace(
        view,
        outcome=outcome_of(file),
        media_type=declared.media_type,
        title=declared.title,
        author=declared.author,
        date=declared.created,
    )


def _view(patient_id: str, file: Entry) -> Document:
    """An entry of a manifest, as the API sends it."""
    files = {}
    if file.id and file.key:
        place = f"/api/documents/{quote(patient_id, safe='')}/{file.id}"
        files["original"] = f"{place}/{file.original}"
        files |= {name: f"{place}/{name}" for name in file.outputs if name in _FORMS}
    attention, findings = _attention(file)
    return Document(
        document_id=file.id,
        outcome=file.outcome,
        **{name: getattr(file, name) for name in _AS_IT_IS},
        ocr=bool(file.ocr),
        custodian=file.custodian,
        kind=(file.loinc or {}).get("display"),
        format=type_of(file),
        attention=attention,
        findings=[Finding(reason=one.reason, plain=one.plain, advice=one.advice) for one in findings],
        files=files,
    )


def _attention(file: Entry) -> tuple[str | None, list[report.Finding]]:
    """What a person should look at, by the rules of the report."""
    for name, rule in (("problem", problems), ("not_read", not_read), ("to_check", to_check)):
        if findings := rule([file]):
            return name, findings
    return None, []


async def document_file(request: web.Request) -> web.StreamResponse:
    """A file of a stored document."""
    only(request, "download")
    patient_id, document_id, name = (request.match_info[key] for key in ("patient_id", "document_id", "name"))
    original = _ORIGINAL.fullmatch(name)
    if not _DOCUMENT_ID.fullmatch(document_id) or (name not in _FORMS and original is None):
        raise _none()
    extension = PurePosixPath(name).suffix
    media_type = _ORIGINALS.get(extension, _BYTES) if original else _FORMS[name]
    download = ""
    if original or choice_in(request, "download", ("0", "1")) == "1":
        download = await _download_name(request, patient_id, document_id, extension)
    return await send(request, media_type, patient_id, name, document_id=document_id, download=download)


async def _download_name(request: web.Request, patient_id: str, document_id: str, extension: str) -> str:
    """The name under which a file of a document is saved."""
    storage = web_of(request).source.storage
    with from_storage():
        metadata = await storage.get_document_file(patient_id, document_id, "metadata.json")
    try:
        described = msgspec.json.decode(metadata or b"{}", type=Described)
    except msgspec.DecodeError:  # damaged: the file itself may be whole
        described = Described()
    return readable_name(described, document_id, extension)


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
    """The report for people. Its relative links between folders are replaced by addresses of the API."""
    storage = web_of(request).source.storage
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
