"""The shapes of the API's answers, as JSON Schema 2020-12."""

from typing import Final

from docpipe.model import Activity, Json, Outcome, RunState, WaitKind

RUN_ID: Final = {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"}
DOCUMENT_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
CURSOR: Final = {"type": "string", "pattern": "^[0-9]-[0-9A-HJKMNP-TV-Z]{26}$"}
ACTIVITY: Final = {"type": "string", "enum": list(Activity)}
STATE: Final = {"type": "string", "enum": list(RunState)}
TEXT: Final = {"type": "string"}
TIME: Final = {"type": "string", "format": "date-time"}
COUNT: Final = {"type": "integer", "minimum": 0}


def ref(name: str) -> Json:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Json) -> Json:
    """Null, too."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    wider = {**schema, "type": [schema["type"], "null"]}
    return wider | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def listing(schema: Json) -> Json:
    """A list of these."""
    return {"type": "array", "items": schema}


def record(**members: Json) -> Json:
    """An object with just these members, all of them there."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def extended(base: Json, **members: Json) -> Json:
    """A record with more members."""
    return record(**base["properties"], **members)


_WAIT: Final = record(
    kind={"type": "string", "enum": list(WaitKind)},
    what=TEXT,
    since=TIME,
    until=maybe(TIME),
    place=maybe({"type": "integer", "minimum": 1}),
    told=TEXT,
)
_RUN: Final = record(
    run_id=RUN_ID,
    patient_id=TEXT,
    priority={"type": "integer", "minimum": 0, "maximum": 9},
    state=STATE,
    created_at=TIME,
    started_at=maybe(TIME),
    finished_at=maybe(TIME),
    task_id=maybe(TEXT),
    error=maybe(TEXT),
    retries=COUNT,
    documents=record(**{outcome.value: COUNT for outcome in Outcome}),
    files=maybe(COUNT),
    doing=maybe(ref("Doing")),
)
_SERVICE: Final = record(
    name=TEXT,
    state={"type": "string", "enum": ["up", "down", "paused"]},
    since=maybe(TIME),
    failures=COUNT,
    next_probe=maybe(TIME),
    paused=maybe(TIME),
    quotas=listing(ref("Quota")),
    outages=listing(record(since=TIME, until=maybe(TIME), reason=TEXT)),
)

SCHEMAS: Final[Json] = {
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
    "Accepted": record(
        runs=listing(record(run_id=RUN_ID, patient_id=TEXT, state=STATE, created={"type": "boolean"})),
        refused=listing(record(line={"type": "integer", "minimum": 1}, reason=TEXT)),
    ),
    "Wait": _WAIT,
    "Doing": record(
        activity=ACTIVITY,
        since=TIME,
        progress=maybe({"type": "number", "minimum": 0, "maximum": 1}),
        wait=maybe(ref("Wait")),
    ),
    "Run": _RUN,
    "Runs": record(runs=listing(ref("Run")), next=maybe(CURSOR), total=COUNT),
    "Activity": record(
        activity=ACTIVITY,
        item=TEXT,
        attempts={"type": "integer", "minimum": 1},
        started_at=TIME,
        finished_at=maybe(TIME),
        outcome=maybe({"type": "string", "enum": ["ok", "failed"]}),
        error=maybe(TEXT),
        polls=maybe(COUNT),
        about={"type": "object"},
        asked=listing({"type": "number"}),
    ),
    "OneRun": extended(
        _RUN,
        activities=listing(ref("Activity")),
        waits=listing(
            record(
                activity=ACTIVITY, kind=_WAIT["properties"]["kind"], what=TEXT, since=TIME, until=maybe(TIME)
            )
        ),
    ),
    "Document": record(
        path=TEXT,
        document_id=maybe(DOCUMENT_ID),
        outcome=maybe({"type": "string", "enum": list(Outcome)}),
        reason=maybe(TEXT),
        media_type=maybe(TEXT),
        title=maybe(TEXT),
        author=maybe(TEXT),
        date=maybe(TEXT),
        pages=maybe(COUNT),
        words=maybe(COUNT),
        ocr={"type": "boolean"},
        warnings=listing(TEXT),
        derived_from=maybe(TEXT),
        duplicate_of=maybe(TEXT),
        size=maybe(COUNT),
        files={
            "type": "object",
            "propertyNames": {
                "enum": ["original", "document.pdf", "text.md", "thumbnail.png", "metadata.json"]
            },
            "additionalProperties": {"type": "string", "format": "uri-reference"},
        },
    ),
    "Documents": record(documents=listing(ref("Document"))),
    "Quota": record(
        name=TEXT,
        rate=maybe(TEXT),
        used=COUNT,
        of=maybe({"type": "integer", "minimum": 1}),
        waiting=COUNT,
        next_at=maybe(TIME),
    ),
    "Service": _SERVICE,
    "Services": record(
        paused=maybe(TIME),
        services=listing(ref("Service")),
        workers=record(size=COUNT, busy=COUNT, waiting=COUNT),
        checkpoints=record(full_since=maybe(TIME)),
        disk=record(state_free_bytes=maybe(COUNT), storage_free_bytes=maybe(COUNT)),
    ),
    "Summary": record(
        counts=record(**{state.value: COUNT for state in RunState}),
        throughput=listing(record(hour=TIME, finished=COUNT, documents=COUNT)),
        expected_end=maybe(TIME),
        bottleneck=maybe(TEXT),
    ),
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
