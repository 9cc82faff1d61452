"""The API's description tells of every route, and of no other."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from docpipe.web.app import ROUTES
from docpipe.web.components import SCHEMAS
from docpipe.web.openapi import document


def routes() -> set[tuple[str, str]]:
    return {(route.method.lower(), route.path.replace(":[^/]+", "")) for route in ROUTES}


@pytest.mark.parametrize("token", [False, True])
def test_every_route_is_described(token: bool) -> None:
    """And nothing else is."""
    paths = document(token=token)["paths"]
    reported = {(method, path) for path, operations in paths.items() for method in operations}
    assert reported == routes()
    assert len({operation["operationId"] for op in paths.values() for operation in op.values()}) == len(
        reported
    )


def test_the_token_is_reported_where_it_is_needed() -> None:
    """Everywhere but at what is open, and nowhere when there is none."""
    guarded = {
        path
        for path, operations in document(token=True)["paths"].items()
        for operation in operations.values()
        if operation.get("security")
    }
    assert {path for _, path in routes()} - guarded == {
        "/healthz",
        "/readyz",
        "/login",
        "/static/{file}",
        "/static/{version}/{file}",
    }
    assert "security" not in json.dumps(document(token=False))


def test_shapes_are_valid_schemas() -> None:
    """Each of them, and every reference leads to one."""
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate(schema)
    assert set(references(document(token=True))) <= {f"#/components/schemas/{name}" for name in SCHEMAS}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_error_is_a_problem() -> None:
    """Of every operation, and those that callers can cause anywhere are reported."""
    for operations in document(token=True)["paths"].values():
        for operation in operations.values():
            errors = {
                status: message for status, message in operation["responses"].items() if int(status) >= 400
            }
            assert {"400", "421", "500"} <= errors.keys()
            for message in errors.values():
                assert list(message["content"]) == ["application/problem+json"]
