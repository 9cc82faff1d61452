"""The description of the API (OpenAPI 3.1). A test holds it to the routes, and a fuzzer to what they do."""

from http import HTTPStatus
from typing import Final

from docpipe import __version__
from docpipe.model import Activity, Json
from docpipe.web.guard import COOKIE, CSRF_HEADER
from docpipe.web.schemas import (
    CURSOR,
    DOCUMENT_ID,
    RUN_ID,
    SCHEMAS,
    STATE,
    TEXT,
    maybe,
    record,
    ref,
)

_ABOUT: Final = f"""\
docpipe retrieves every document that a health-information exchange holds for a patient, converts, stores
and reports it. Times are ISO 8601 in UTC. Every error is a problem (RFC 9457). Where a token is set, programs
send it as `Authorization: Bearer`; the page has a cookie, whose changes also need the header
`{CSRF_HEADER}: 1`.
"""
_ALWAYS: Final = (400, 413, 415, 421, 500)
_TOKEN: Final = (401, 429)
_HEADER_NAMES: Final = {
    401: {"WWW-Authenticate": {"schema": TEXT}},
    405: {"Allow": {"schema": TEXT}},
    429: {"Retry-After": {"schema": {"type": "integer", "minimum": 0}}},
}


def document(*, token: bool) -> Json:
    """The whole document; `token`: whether callers have to show one."""
    schemes: Json = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    paths = _paths()
    for path, operations in paths.items():
        for method, operation in operations.items():
            _complete(path, method, operation, token=token)
    components: Json = {"schemas": SCHEMAS}
    if token:
        components["securitySchemes"] = schemes
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "docpipe",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": components,
    }


def _complete(path: str, method: str, operation: Json, *, token: bool) -> None:
    """Add what holds for all: the problems, and that a token is needed."""
    is_open = operation.pop("open", False)
    problems = {*_ALWAYS, *operation.pop("problems", ())}
    if method == "post":
        problems.add(403)
    if token and not is_open:
        problems |= {*_TOKEN}
        operation["security"] = [{"bearer": []}, {"cookie": []}]
    for status in sorted(problems):
        operation["responses"].setdefault(str(status), _problem(status))
    operation["operationId"] = f"{method}{path.replace('/', '_').replace('{', '').replace('}', '')}"


def _problem(status: int) -> Json:
    made: Json = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": ref("Problem")}},
    }
    if status in _HEADER_NAMES:
        made["headers"] = _HEADER_NAMES[status]
    return made


def _answer(about: str, types: Json, **headers: Json) -> Json:
    """An answer: its media types with their shapes, and headers that it may bear."""
    content = {name: {"schema": schema} if schema else {} for name, schema in types.items()}
    told = {name.replace("_", "-"): {"schema": schema} for name, schema in headers.items()}
    return {"description": about, "content": content} | ({"headers": told} if told else {})


def _json(schema: Json, about: str, **headers: Json) -> Json:
    return _answer(about, {"application/json": schema}, **headers)


def _in(where: str, name: str, schema: Json, about: str) -> Json:
    given = {"in": where, "name": name, "schema": schema, "description": about}
    return given | ({"required": True} if where == "path" else {})


_NOTHING: Final = {"description": "Done."}
_ONE_RUN: Final = _in("path", "run_id", RUN_ID, "The run.")
_PAGE: Final = {"text/html": TEXT}
_RANGE: Final = _in("header", "Range", TEXT, "One range of bytes; what is none is passed over.")


def _paths() -> Json:
    return {**_of_runs(), **_of_one_run(), **_of_files(), **_of_control(), **_of_health(), **_of_page()}


def _of_runs() -> Json:
    submit = {
        "summary": "Take patients in.",
        "description": "A patient with an unfinished run goes on with that one. Ids that cannot be used are "
        "refused by their line (of JSON: their number), and the rest goes in. CSV has a column `id`, or one "
        "id a line. With the same Idempotency-Key the same request has the same answer for 7 days, and no "
        "second effect.",
        "parameters": [
            _in(
                "query",
                "priority",
                {"type": "integer", "minimum": 0, "maximum": 9, "default": 0},
                "Higher goes first, a level being worth an hour of waiting. JSON may say otherwise.",
            ),
            _in("header", "Idempotency-Key", {"type": "string", "pattern": "^[!-~]{1,200}$"}, "Any key."),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": ref("Submission")},
                "text/csv": {"schema": {"type": "string", "pattern": "\\S"}, "example": "id\nP123\nP124\n"},
            },
        },
        "responses": {
            "202": _json(
                ref("Accepted"),
                "All of them are on the disk.",
                Idempotent_Replayed={"type": "string", "const": "true"},
            )
        },
        "problems": (408, 422, 503),
    }
    many = {
        "summary": "List runs by the page.",
        "parameters": [
            _in("query", "state", {"type": "array", "items": STATE}, "Only runs in one of these states."),
            _in("query", "q", {"type": "string", "maxLength": 200}, "How the run's or patient's id begins."),
            _in(
                "query",
                "order",
                {"type": "string", "enum": ["newest", "urgent"]},
                "Newest first if left out.",
            ),
            _in("query", "limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Runs."),
            _in("query", "cursor", CURSOR, "`next` of the page before."),
        ],
        "responses": {"200": _json(ref("Runs"), "A page; `total` counts up to 100,000.")},
    }
    return {"/api/runs": {"post": submit, "get": many}}


def _of_one_run() -> Json:
    first = record(**{"from": maybe({"type": "string", "enum": list(Activity)})}) | {"required": []}
    return {
        "/api/runs/{run_id}": {
            "get": {
                "summary": "One run, its activities, and what it has waited for.",
                "parameters": [_ONE_RUN],
                "responses": {"200": _json(ref("OneRun"), "The run.")},
                "problems": (404,),
            }
        },
        "/api/runs/{run_id}/documents": {
            "get": {
                "summary": "Every file of the archive, as far as it is known.",
                "parameters": [_ONE_RUN],
                "responses": {"200": _json(ref("Documents"), "In the order of the archive.")},
                "problems": (404, 503),
            }
        },
        "/api/runs/{run_id}/cancel": {
            "post": {
                "summary": "Give an unfinished run up.",
                "parameters": [_ONE_RUN],
                "responses": {"202": _json(ref("Run"), "The tracker is told next.")},
                "problems": (404, 409, 503),
            }
        },
        "/api/runs/{run_id}/retry": {
            "post": {
                "summary": "Do a finished run again, from an activity on or from what failed.",
                "parameters": [_ONE_RUN],
                "requestBody": {"required": False, "content": {"application/json": {"schema": first}}},
                "responses": {"202": _json(ref("Run"), "It is queued again.")},
                "problems": (404, 408, 409, 503),
            }
        },
    }


def _of_files() -> Json:
    whole = {"Accept_Ranges": {"type": "string", "const": "bytes"}}
    part = {**whole, "Content_Range": TEXT}
    of_run = {"application/json": None, "text/html": TEXT}
    of_document = {"*/*": None}
    which = {"type": "string", "enum": ["manifest.json", "report.json", "report.html"]}
    name = {
        "type": "string",
        "pattern": r"^(document\.pdf|text\.md|thumbnail\.png|metadata\.json|original(\.[a-z0-9]{1,16})?)$",
    }
    return {
        "/api/runs/{run_id}/files/{name}": {
            "get": {
                "summary": "The manifest or a report of a run.",
                "parameters": [_ONE_RUN, _in("path", "name", which, "The file."), _RANGE],
                "responses": {
                    "200": _answer("The file.", of_run, **whole),
                    "206": _answer("The range.", of_run, **part),
                },
                "problems": (404, 416, 503),
            }
        },
        "/api/documents/{patient_id}/{document_id}/{name}": {
            "get": {
                "summary": "A file of a stored document; originals are to be saved, not shown.",
                "parameters": [
                    _in("path", "patient_id", TEXT, "Whose it is."),
                    _in("path", "document_id", DOCUMENT_ID, "The document."),
                    _in("path", "name", name, "The file."),
                    _RANGE,
                ],
                "responses": {
                    "200": _answer("The file.", of_document, **whole),
                    "206": _answer("The range.", of_document, **part),
                },
                "problems": (404, 416, 503),
            }
        },
    }


def _of_control() -> Json:
    service = _in("path", "name", TEXT, "The service, as /api/services names it.")

    def change(summary: str, *parameters: Json) -> Json:
        problems = (404, 503) if parameters else (503,)
        told = {"summary": summary, "responses": {"204": _NOTHING}, "problems": problems}
        return {"post": told | ({"parameters": list(parameters)} if parameters else {})}

    def look(summary: str, answer: Json) -> Json:
        return {"get": {"summary": summary, "responses": {"200": answer}}}

    events = look(
        "What changes: the events `reset` (load anew), `run`, `service`, `summary`.",
        _answer("As it changes.", {"text/event-stream": TEXT}),
    )
    events["get"]["problems"] = (503,)
    return {
        "/api/services": look(
            "Services, quotas, workers and disks.", _json(ref("Services"), "As they stand now.")
        ),
        "/api/summary": look(
            "What was done, and when all should be done.", _json(ref("Summary"), "The last 24 hours.")
        ),
        "/api/events": events,
        "/api/openapi.json": look("This description.", _json({"type": "object"}, "OpenAPI 3.1.")),
        "/api/pause": change("Begin no activity until `resume`; what is under way ends. Survives restarts."),
        "/api/resume": change("Take that back."),
        "/api/services/{name}/pause": change("Send nothing to a service. Survives restarts.", service),
        "/api/services/{name}/resume": change("Take that back.", service),
    }


def _of_health() -> Json:
    ready = record(ready={"type": "boolean", "const": True})
    return {
        "/healthz": {
            "get": {
                "summary": "It lives.",
                "responses": {"200": _answer("ok", {"text/plain": TEXT})},
                "open": True,
            }
        },
        "/readyz": {
            "get": {
                "summary": "It has started, and can write what it has to.",
                "responses": {"200": _json(ready, "It is.")},
                "problems": (503,),
                "open": True,
            }
        },
        "/metrics": {
            "get": {
                "summary": "Metrics for Prometheus.",
                "responses": {"200": _answer("Of now.", {"text/plain": TEXT})},
            }
        },
    }


def _of_page() -> Json:
    form = {"type": "object", "properties": {"token": TEXT}, "required": ["token"]}
    to_page = {"description": "On to another page.", "headers": {"Location": {"schema": TEXT}}}
    token = {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": form}},
    }
    unchanged = {"description": "The browser has it."}
    return {
        "/": {
            "get": {
                "summary": "The page.",
                "responses": {"200": _answer("The page.", _PAGE), "303": to_page, "304": unchanged},
                "problems": (404,),
            }
        },
        "/static/{file}": {
            "get": {
                "summary": "A file of the page.",
                "parameters": [_in("path", "file", TEXT, "Its name.")],
                "responses": {"200": _answer("The file.", {"*/*": None}), "304": unchanged},
                "problems": (404,),
                "open": True,
            }
        },
        "/login": {
            "get": {
                "summary": "The form that asks for the token.",
                "responses": {"200": _answer("The form.", _PAGE), "303": to_page, "304": unchanged},
                "problems": (404,),
                "open": True,
            },
            "post": {
                "summary": "Begin a session.",
                "requestBody": token,
                "responses": {"303": to_page},
                "problems": (401, 408, 429),
                "open": True,
            },
        },
        "/logout": {"post": {"summary": "End the session.", "responses": {"204": _NOTHING}}},
    }
