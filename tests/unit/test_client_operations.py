"""Each operation of the API has a method of the client, or a reason why not."""

import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from docpipe.client import Client, ClientError
from docpipe.web.openapi import document

CALLS: Final[dict[str, Callable[[Client, Path], Any]]] = {
    "POST /api/runs": lambda client, _: client.submit(["P1"]),
    "GET /api/runs": lambda client, _: list(client.runs()),
    "GET /api/runs/{run_id}": lambda client, _: client.run("R/1"),
    "POST /api/runs/{run_id}/cancel": lambda client, _: client.cancel("R/1"),
    "POST /api/runs/{run_id}/retry": lambda client, _: client.retry("R/1"),
    "GET /api/runs/{run_id}/documents": lambda client, _: client.documents("R/1"),
    "GET /api/runs/{run_id}/files/{name}": lambda client, _: client.report("R/1"),
    "GET /api/documents/{patient_id}/{document_id}/{name}": lambda client, to: client.download(
        "/api/documents/P1/d1/text.md", to
    ),
    "GET /api/patients/{patient_id}": lambda client, _: client.patient("P/1"),
    "DELETE /api/patients/{patient_id}": lambda client, _: client.forget("P/1"),
    "GET /api/patients/{patient_id}/person": lambda client, _: client.person("P/1"),
    "GET /api/people": lambda client, _: client.people(["P/1", "P2"]),
    "GET /api/people/search": lambda client, _: client.people_by_name("lee an"),
    "POST /api/submissions/check": lambda client, _: client.check(["P1"]),
    "GET /api/patients/{patient_id}/chart.pdf": lambda client, to: client.chart(to, patient="P/1"),
    "GET /api/patients/{patient_id}/documents.zip": lambda client, to: client.package(to, patient="P/1"),
    "GET /api/runs/{run_id}/chart.pdf": lambda client, to: client.chart(to, run="R/1"),
    "GET /api/runs/{run_id}/documents.zip": lambda client, to: client.package(to, runs=["R/1"]),
    "GET /api/documents.zip": lambda client, to: client.package(to, runs=["R1", "R2"]),
    "GET /api/search": lambda client, _: client.search("fever"),
    "GET /api/services": lambda client, _: client.services(),
    "POST /api/services/{name}/pause": lambda client, _: client.pause("docex"),
    "POST /api/services/{name}/resume": lambda client, _: client.unpause("docex"),
    "POST /api/pause": lambda client, _: client.pause(),
    "POST /api/resume": lambda client, _: client.unpause(),
    "GET /api/summary": lambda client, _: client.summary(),
    "GET /api/events": lambda client, _: next(client.events()),
    "GET /api/schedules": lambda client, _: client.schedules(),
    "GET /api/notifications": lambda client, _: client.notifications(),
    "POST /api/schedules/{name}/pause": lambda client, _: client.pause_schedule("nightly"),
    "POST /api/schedules/{name}/resume": lambda client, _: client.unpause_schedule("nightly"),
}
WITHOUT: Final = {
    "GET /api/openapi.json": "the client is written from it",
    "GET /healthz": "for what supervises the service",
    "GET /readyz": "for what supervises the service",
    "GET /metrics": "for Prometheus",
    "GET /": "for browsers",
    "GET /static/{file}": "for browsers",
    "GET /static/{version}/{file}": "for browsers",
    "GET /login": "for browsers",
    "POST /login": "for browsers; the client sends the token itself",
    "POST /logout": "for browsers",
}


def test_each_operation_has_a_method_or_a_reason() -> None:
    """And none is listed that the API does not have."""
    operations = {
        f"{method.upper()} {path}"
        for path, methods in document(token=True)["paths"].items()
        for method in methods
    }
    assert sorted([*CALLS, *WITHOUT]) == sorted(operations)


@pytest.mark.parametrize("operation", CALLS)
def test_the_method_sends_this_operation(operation: str, tmp_path: Path) -> None:
    """Its method and its path, ids with a slash quoted."""
    sent = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(f"{request.method} {request.url.raw_path.decode().partition('?')[0]}")
        return httpx.Response(404)

    with Client(transport=httpx.MockTransport(answer)) as client, pytest.raises(ClientError):
        CALLS[operation](client, tmp_path / "file")
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(operation))
    assert [one for one in sent if re.fullmatch(pattern, one)] == sent
    assert len(sent) == 1


def test_many_people_are_asked_for_in_parts() -> None:
    """Each id once, at most a hundred in a request, and all of them in order."""
    asked = list[list[str]]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(urllib.parse.parse_qs(request.url.query.decode())["id"])
        people = [{"patient_id": one, "person": None, "problem": None} for one in asked[-1]]
        return httpx.Response(200, json={"people": people})

    ids = [f"P{number}" for number in range(250)]
    with Client(transport=httpx.MockTransport(answer)) as client:
        people = client.people([*ids, "P0"])
    assert [one.patient_id for one in people] == ids
    assert [len(part) for part in asked] == [100, 100, 50]
