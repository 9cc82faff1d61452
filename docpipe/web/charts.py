"""Charts of a patient or a run, and ZIPs of all documents: made on request and streamed."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from docpipe import chart
from docpipe.chart import Contents
from docpipe.web.context import web_of
from docpipe.web.downloads import attachment, safe_name
from docpipe.web.exports import pieces
from docpipe.web.files import SANDBOX_HEADERS, copy
from docpipe.web.problems import Problem, from_storage
from docpipe.web.reading import LONGEST_ID, bad, only
from docpipe.web.runs import RUN_ID, stored_run

MOST_RUNS: Final = 100
"""Runs whose documents go into one ZIP."""
_PDF: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "application/pdf", **SANDBOX_HEADERS})
_ZIP: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "application/zip", **SANDBOX_HEADERS})


async def patient_chart(request: web.Request) -> web.StreamResponse:
    """All documents of a patient as one PDF."""
    only(request)
    return await _chart(request, await _contents(request, _patient(request)))


async def run_chart(request: web.Request) -> web.StreamResponse:
    """All documents of a run as one PDF."""
    only(request)
    run = await stored_run(request)
    return await _chart(request, await _contents(request, run.patient_id, [run.run_id]))


async def patient_documents(request: web.Request) -> web.StreamResponse:
    """All files of a patient's documents as one ZIP."""
    only(request)
    contents = await _contents(request, _patient(request))
    return await _package(request, [contents], _name(contents, "documents.zip"))


async def run_documents(request: web.Request) -> web.StreamResponse:
    """All files of a run's documents as one ZIP."""
    only(request)
    run = await stored_run(request)
    contents = await _contents(request, run.patient_id, [run.run_id])
    return await _package(request, [contents], _name(contents, "documents.zip"))


async def documents_of_runs(request: web.Request) -> web.StreamResponse:
    """All files of several runs as one ZIP, with a folder for each patient."""
    only(request, "run")
    ids = list(dict.fromkeys(request.query.getall("run", [])))
    if not 0 < len(ids) <= MOST_RUNS or not all(map(RUN_ID.fullmatch, ids)):
        raise bad(f"`run` has to name 1 to {MOST_RUNS} runs by their ids.")
    runs = await web_of(request).source.runs(ids)
    if len(runs) < len(ids):
        raise Problem(404, "One of these runs is not known, or was forgotten.", "no-such-run")
    of_patients: dict[str, list[str]] = {}
    for run in runs:
        of_patients.setdefault(run.patient_id, []).append(run.run_id)
    several = [await _contents_or_reason(request, patient_id, ids) for patient_id, ids in of_patients.items()]
    if not any(contents.documents or contents.retrieved for contents in several):
        raise _nothing()
    name = _name(several[0], "documents.zip") if len(several) == 1 else "documents of several patients.zip"
    return await _package(request, several, name)


def _patient(request: web.Request) -> str:
    patient_id = request.match_info["patient_id"]
    if len(patient_id) > LONGEST_ID or not patient_id.isprintable():
        raise _nothing()
    return patient_id


async def _contents(request: web.Request, patient_id: str, runs: list[str] | None = None) -> Contents:
    storage = web_of(request).source.storage
    try:
        with from_storage():
            return await asyncio.to_thread(chart.contents_of, storage, patient_id, runs)
    except (chart.NoReportError, ValueError) as error:
        raise _nothing() from error


async def _contents_or_reason(request: web.Request, patient_id: str, runs: list[str]) -> Contents:
    """The same; of runs that have no report yet, the reason why nothing of them is in the ZIP."""
    try:
        return await _contents(request, patient_id, runs)
    except Problem as problem:
        if problem.status != 404:  # noqa: PLR2004 -- as of HTTP
            raise
        return Contents(patient_id, None, [], [], {}, [], [("All documents", problem.detail)])


def _nothing() -> Problem:
    return Problem(
        404,
        "There are no documents yet: a retrieval has to end first, with documents or without.",
        "no-documents",
    )


def _name(contents: Contents, end: str) -> str:
    """Such as `Lee Ann P123 chart.pdf`."""
    who = contents.patient
    return safe_name(f"{who.family} {who.given} {contents.patient_id}" if who else contents.patient_id, end)


async def _chart(request: web.Request, contents: Contents) -> web.StreamResponse:
    """Make the chart and send it; HEAD says whether there is something to make it of."""
    exports = web_of(request).exports
    headers = {**_PDF, "Content-Disposition": attachment(_name(contents, "chart.pdf"))}
    if request.method == "HEAD":
        exports.charts.refuse_when_full()
        return web.Response(headers=headers)
    async with exports.chart_of(contents) as (file, size):
        response = web.StreamResponse(headers={**headers, "Content-Length": str(size)})
        await response.prepare(request)
        await copy(request, response, pieces(file), size)
    return response


async def _package(request: web.Request, several: list[Contents], name: str) -> web.StreamResponse:
    """Stream a ZIP; HEAD says whether there is something to put into it."""
    source, exports = web_of(request).source, web_of(request).exports
    headers = {**_ZIP, "Content-Disposition": attachment(name)}
    if request.method == "HEAD":
        exports.packages.refuse_when_full()
        return web.Response(headers=headers)
    async with exports.packages.taken():
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await copy(request, response, chart.package(source.storage, several), None)
    return response


ROUTES: Final = (
    web.get("/api/patients/{patient_id:[^/]+}/chart.pdf", patient_chart),
    web.get("/api/patients/{patient_id:[^/]+}/documents.zip", patient_documents),
    web.get("/api/runs/{run_id}/chart.pdf", run_chart),
    web.get("/api/runs/{run_id}/documents.zip", run_documents),
    web.get("/api/documents.zip", documents_of_runs),
)
