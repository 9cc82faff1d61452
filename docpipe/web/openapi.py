"""The description of the API (OpenAPI 3.1). A test compares it with the routes, a fuzzer with the answers."""

from http import HTTPStatus
from typing import Final

from docpipe import __version__
from docpipe.model import Activity
from docpipe.web import schedules
from docpipe.web.components import (
    CURSOR,
    ONE_RUN,
    SCHEMAS,
    STATE,
    TEXT,
    Spec,
    json_response,
    maybe,
    param,
    record,
    ref,
    response,
)
from docpipe.web.guard import COOKIE, CSRF_HEADER
from docpipe.web.openapi_files import of_charts, of_files, of_search
from docpipe.web.patients import NAME, NAMED
from docpipe.web.reading import LONGEST_ID

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


def document(*, token: bool) -> Spec:
    """The whole document; `token`: whether callers have to show one."""
    schemes: Spec = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    paths = _paths()
    for path, operations in paths.items():
        for method, operation in operations.items():
            _complete(path, method, operation, token=token)
    components: Spec = {"schemas": SCHEMAS}
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


def _complete(path: str, method: str, operation: Spec, *, token: bool) -> None:
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


def _problem(status: int) -> Spec:
    made: Spec = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": ref("Problem")}},
    }
    if status in _HEADER_NAMES:
        made["headers"] = _HEADER_NAMES[status]
    return made


_NOTHING: Final = {"description": "Done."}
_PRIORITY: Final = param(
    "query",
    "priority",
    {"type": "integer", "minimum": 0, "maximum": 9, "default": 0},
    "Higher goes first, a level being worth an hour of waiting. The JSON body can set it, too.",
)
_SUBMISSION: Final = {
    "required": True,
    "content": {
        "application/json": {"schema": ref("Submission")},
        "text/csv": {"schema": {"type": "string", "pattern": "\\S"}, "example": "id\nP123\nP124\n"},
    },
}
_PAGE: Final = {"text/html": TEXT}


def _paths() -> Spec:
    parts = (
        _of_runs,
        _of_one_run,
        _of_patients,
        _of_people,
        of_search,
        of_files,
        of_charts,
        _of_control,
        schedules.paths,
        _of_health,
        _of_page,
    )
    return {path: operations for part in parts for path, operations in part().items()}


def _of_runs() -> Spec:
    submit = {
        "summary": "Take patients in.",
        "description": "A patient with an unfinished run continues that one. Ids that cannot be used are "
        "refused by their line (of JSON: their number), and the rest goes in. CSV has a column `id`, or one "
        "id a line. With the same Idempotency-Key the same request has the same answer for 7 days, and no "
        "second effect.",
        "parameters": [
            _PRIORITY,
            param("header", "Idempotency-Key", {"type": "string", "pattern": "^[!-~]{1,200}$"}, "Any key."),
        ],
        "requestBody": _SUBMISSION,
        "responses": {
            "202": json_response(
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
            param("query", "state", {"type": "array", "items": STATE}, "Only runs in one of these states."),
            param(
                "query", "q", {"type": "string", "maxLength": 200}, "How the run's or patient's id begins."
            ),
            param(
                "query",
                "order",
                {"type": "string", "enum": ["newest", "urgent"]},
                "Newest first if left out.",
            ),
            param(
                "query", "limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Runs."
            ),
            param("query", "cursor", CURSOR, "`next` of the page before."),
        ],
        "responses": {
            "200": json_response(
                ref("Runs"), "A page; `total` counts up to 100,000, and `more` is true where more match."
            )
        },
    }
    return {"/api/runs": {"post": submit, "get": many}}


def _of_one_run() -> Spec:
    first = record(**{"from": maybe({"type": "string", "enum": list(Activity)})}) | {"required": []}
    return {
        "/api/runs/{run_id}": {
            "get": {
                "summary": "One run, its activities, and what it has waited for.",
                "parameters": [ONE_RUN],
                "responses": {"200": json_response(ref("OneRun"), "The run.")},
                "problems": (404,),
            }
        },
        "/api/runs/{run_id}/documents": {
            "get": {
                "summary": "Every file of the archive, as far as it is known.",
                "parameters": [ONE_RUN],
                "responses": {"200": json_response(ref("Documents"), "In the order of the archive.")},
                "problems": (404, 503),
            }
        },
        "/api/runs/{run_id}/cancel": {
            "post": {
                "summary": "Give an unfinished run up.",
                "parameters": [ONE_RUN],
                "responses": {"202": json_response(ref("Run"), "The task in the tracker is closed next.")},
                "problems": (404, 409, 503),
            }
        },
        "/api/runs/{run_id}/retry": {
            "post": {
                "summary": "Do a finished run again, from an activity on or from what failed.",
                "parameters": [ONE_RUN],
                "requestBody": {"required": False, "content": {"application/json": {"schema": first}}},
                "responses": {"202": json_response(ref("Run"), "It is queued again.")},
                "problems": (404, 408, 409, 503),
            }
        },
    }


_ID: Final = {**TEXT, "minLength": 1, "maxLength": LONGEST_ID}
_IDS: Final = {"type": "array", "items": _ID, "minItems": 1, "maxItems": NAMED}
_NAME: Final = {**TEXT, "pattern": f"^{NAME.pattern}$"}


def _of_people() -> Spec:
    return {
        "/api/people": {
            "get": {
                "summary": "Who some patients are, read from the database.",
                "parameters": [param("query", "id", _IDS, "The ids.") | {"required": True}],
                "responses": {"200": json_response(ref("People"), "The persons, or null.")},
                "problems": (400,),
            }
        },
        "/api/people/search": {
            "get": {
                "summary": "The patients whose names begin with some words, read from the database.",
                "parameters": [
                    param("query", "name", _NAME, "Beginnings of names, such as `lee an`.")
                    | {"required": True}
                ],
                "responses": {"200": json_response(ref("People"), "At most 20 persons.")},
                "problems": (400,),
            }
        },
    }


def _of_patients() -> Spec:
    return {
        "/api/patients/{patient_id}": {
            "get": {
                "summary": "A patient with all runs and documents; the name is read from the database.",
                "parameters": [param("path", "patient_id", TEXT, "The id.")],
                "responses": {"200": json_response(ref("OnePatient"), "The patient.")},
                "problems": (404, 503),
            },
            "delete": {
                "summary": "Permanently remove all that docpipe keeps of a patient.",
                "parameters": [param("path", "patient_id", TEXT, "The id.")],
                "responses": {"200": json_response(ref("Forgotten"), "What was removed, and what stays.")},
                "problems": (404, 409, 503),
            },
        },
        "/api/patients/{patient_id}/person": {
            "get": {
                "summary": "Who a patient is, read from the database.",
                "parameters": [param("path", "patient_id", TEXT, "The id.")],
                "responses": {"200": json_response(ref("Identity"), "The person, or null.")},
            }
        },
        "/api/submissions/check": {
            "post": {
                "summary": "Check what a submission would do, without beginning anything.",
                "parameters": [_PRIORITY],
                "requestBody": _SUBMISSION,
                "responses": {"200": json_response(ref("CheckedPatients"), "Nothing has begun.")},
                "problems": (408,),
            }
        },
    }


def _of_control() -> Spec:
    service = param("path", "name", TEXT, "The service, as /api/services names it.")

    def change(summary: str, *parameters: Spec) -> Spec:
        problems = (404, 503) if parameters else (503,)
        operation = {"summary": summary, "responses": {"204": _NOTHING}, "problems": problems}
        return {"post": operation | ({"parameters": list(parameters)} if parameters else {})}

    def look(summary: str, answer: Spec) -> Spec:
        return {"get": {"summary": summary, "responses": {"200": answer}}}

    events = look(
        "What changes: the events `reset` (load anew), `run`, `service`, `summary`.",
        response("As it changes.", {"text/event-stream": TEXT}),
    )
    events["get"]["problems"] = (503,)
    return {
        "/api/services": look(
            "Services, quotas, workers and disks.", json_response(ref("Services"), "As they stand now.")
        ),
        "/api/summary": look(
            "What was done, and when all should be done.", json_response(ref("Summary"), "The last 24 hours.")
        ),
        "/api/events": events,
        "/api/openapi.json": look("This description.", json_response({"type": "object"}, "OpenAPI 3.1.")),
        "/api/pause": change(
            "Send and begin nothing until `resume`; what is on its way ends. Survives restarts."
        ),
        "/api/resume": change("Take that back."),
        "/api/services/{name}/pause": change("Send nothing to a service. Survives restarts.", service),
        "/api/services/{name}/resume": change("Take that back.", service),
    }


def _of_health() -> Spec:
    ready = record(ready={"type": "boolean", "const": True})
    return {
        "/healthz": {
            "get": {
                "summary": "The process runs.",
                "responses": {"200": response("ok", {"text/plain": TEXT})},
                "open": True,
            }
        },
        "/readyz": {
            "get": {
                "summary": "It has started, and can write what it has to.",
                "responses": {"200": json_response(ready, "It is.")},
                "problems": (503,),
                "open": True,
            }
        },
        "/metrics": {
            "get": {
                "summary": "Metrics for Prometheus.",
                "responses": {"200": response("Of now.", {"text/plain": TEXT})},
            }
        },
    }


def _of_static() -> Spec:
    name = param("path", "file", TEXT, "Its name.")
    version = param("path", "version", TEXT, "The folder that the page names.")

    def file(summary: str, *parameters: Spec) -> Spec:
        unchanged = {"description": "The browser has it."}
        return {
            "get": {
                "summary": summary,
                "parameters": list(parameters),
                "responses": {"200": response("The file.", {"*/*": None}), "304": unchanged},
                "problems": (404,),
                "open": True,
            }
        }

    return {
        "/static/{file}": file("A file of the page.", name),
        "/static/{version}/{file}": file("The same, which browsers keep.", version, name),
    }


def _of_page() -> Spec:
    form = {"type": "object", "properties": {"token": TEXT}, "required": ["token"]}
    to_page = {"description": "On to another page.", "headers": {"Location": {"schema": TEXT}}}
    token = {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": form}},
    }
    unchanged = {"description": "The browser has it."}
    return _of_static() | {
        "/": {
            "get": {
                "summary": "The page.",
                "responses": {"200": response("The page.", _PAGE), "303": to_page, "304": unchanged},
                "problems": (404,),
            }
        },
        "/login": {
            "get": {
                "summary": "The form that asks for the token.",
                "responses": {"200": response("The form.", _PAGE), "303": to_page, "304": unchanged},
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
