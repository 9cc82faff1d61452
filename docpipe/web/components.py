"""The schemas of the API's description: those of `api.shapes`, of what callers send, and of problems."""

from typing import Any, Final

import msgspec

from docpipe.api import schedules
from docpipe.api.people import People
from docpipe.api.shapes import SHAPES
from docpipe.model import RunState
from docpipe.search import Hits

RUN_ID: Final = {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"}
DOCUMENT_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
CURSOR: Final = {"type": "string", "pattern": "^-?[0-9]-[0-9A-HJKMNP-TV-Z]{26}$"}
STATE: Final = {"type": "string", "enum": list(RunState)}
TEXT: Final = {"type": "string"}

Spec = dict[str, Any]
"""An object of the OpenAPI document, such as a schema, an operation or a response."""


def ref(name: str) -> Spec:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Spec) -> Spec:
    """Null, too."""
    wider = {**schema, "type": [schema["type"], "null"]}
    return wider | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def record(**members: Any) -> Spec:
    """An object with just these members, all of them there."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def response(about: str, types: Spec, **headers: Spec) -> Spec:
    """An answer: its media types with their shapes, and headers that it may bear."""
    content = {name: {"schema": schema} if schema else {} for name, schema in types.items()}
    headed = {name.replace("_", "-"): {"schema": schema} for name, schema in headers.items()}
    return {"description": about, "content": content} | ({"headers": headed} if headed else {})


def json_response(schema: Spec, about: str, **headers: Spec) -> Spec:
    """An answer in JSON."""
    return response(about, {"application/json": schema}, **headers)


def param(where: str, name: str, schema: Spec, about: str) -> Spec:
    """A parameter of an operation; `where` is `path`, `query` or `header`."""
    given = {"in": where, "name": name, "schema": schema, "description": about}
    return given | ({"required": True} if where == "path" else {})


ONE_RUN: Final = param("path", "run_id", RUN_ID, "The run.")


_PARTLY: Final = ("StepFacts",)
"""Shapes of which the members without a value are left out."""


def _sent() -> Spec:
    """The shapes that the service sends: every member is there but for `_PARTLY`, and no other."""
    _, made = msgspec.json.schema_components(
        (*SHAPES, *schedules.SHAPES, Hits, People), ref_template="#/components/schemas/{name}"
    )
    for name, schema in made.items():
        if name not in _PARTLY:
            schema["required"] = list(schema["properties"])
        schema["additionalProperties"] = False
        for member in schema["properties"].values():
            member.pop("default", None)
            if "properties" in member:  # counts of fixed names
                member["additionalProperties"] = False
    return made


SCHEMAS: Final[Spec] = {
    **_sent(),
    "Submission": {
        "type": "object",
        "properties": {
            "patients": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 10_000},
            "priority": {"type": "integer", "minimum": 0, "maximum": 9, "default": 0},
        },
        "required": ["patients"],
        "additionalProperties": False,
        "examples": [{"patients": ["P123", "P124"], "priority": 3}],
    },
    "Problem": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "instance": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail", "instance"],
    },
}
"""By name."""
