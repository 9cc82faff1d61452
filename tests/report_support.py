"""Facts of runs, as the reports are made from."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import msgspec

from docpipe import report
from docpipe.model import Json
from docpipe.results.report import Entry, Facts, plain_entries

ID = "0123456789abcdef"


def document(path: str = "a.pdf", outcome: str = "converted", **more: Any) -> dict[str, Any]:
    """A file of the manifest, as the pipeline tells it."""
    names = ("size", "sha256", "reason", "duplicate_of", "parent", "derived_from")
    entry = {"path": path, "id": ID, "outcome": outcome, **dict.fromkeys(names)}
    if outcome not in ("converted", "stored", "failed"):
        return entry | more
    of_it = ("title", "author", "custodian", "loinc", "language", "words", "ocr")
    kept = {
        **dict.fromkeys(of_it),
        "date": "2021-05-06",
        "media_type": "application/pdf",
        "pages": 2,
        "warnings": [],
        "key": f"P1/{entry['id']}",
        "original": "original.pdf",
        "outputs": ["document.pdf", "text.md", "thumbnail.png"] if outcome == "converted" else [],
        "reused": False,
    }
    return entry | kept | more


def at(seconds: float) -> str:
    """A time of the run, as its story tells it."""
    return f"2026-01-01T10:{int(seconds // 60):02d}:{seconds % 60:06.3f}+00:00"


def step(activity: str, started: float, finished: float | None, **more: Any) -> dict[str, Any]:
    """An activity, as the run's story tells it."""
    return {
        "activity": activity,
        "item": "",
        "attempts": 1,
        "started": at(started),
        "finished": None if finished is None else at(finished),
        "outcome": "ok",
        **more,
    }


def wait(activity: str, kind: str, since: float, until: float, what: str = "") -> dict[str, Any]:
    """A wait, likewise."""
    return {"activity": activity, "kind": kind, "what": what, "since": at(since), "until": at(until)}


def facts(documents: list[dict[str, Any]], **run: Any) -> dict[str, Any]:
    """What a run tells of itself; `run` changes something of it."""
    counts: dict[str, int] = {}
    for file in documents:
        counts[file["outcome"]] = counts.get(file["outcome"], 0) + 1
    return {
        "run": {
            "run_id": "01J00000000000000000000000",
            "patient_id": "P1",
            "state": "completed",
            "task_id": "T1",
            "error": None,
            "problem": None,
            "started": "2026-01-01T10:00:00+00:00",
            "finished": "2026-01-01T10:01:00+00:00",
            **run,
        },
        "patient": {"id": "P1", "given": "Zoë", "family": "Lee", "birth_date": "1957-03-31", "sex": "female"},
        "archive": {"size": 1_400_000, "sha256": "0" * 64},
        "documents": documents,
        "counts": counts,
        "timeline": [
            step("DocEx_Search", 0, 5),
            step("DocEx_CheckStatus", 5, 20, polls=[at(8), at(13), at(20)]),
            step("ConvertFile", 20, None),
        ],
        "waits": [
            wait("DocEx_Search", "quota", 0, 4, "docex.search"),
            wait("DocEx_CheckStatus", "poll", 5, 20),
        ],
    }


def wrong(expected: Json) -> list[str]:
    """Where a report departs from the schema that ships."""
    schema = json.loads(files("docpipe.report").joinpath("report.schema.json").read_text("utf-8"))
    assert schema["$id"] == expected["$schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(expected)]


def build(
    expected: dict[str, Any], images: dict[str, bytes | None] | None = None
) -> tuple[dict[str, Any], str, str]:
    """The three reports of facts as JSON has them; the first as it is written to report.json."""
    made, pictures = report.build(msgspec.convert(expected, Facts)), report.Pictures()
    for document_id, data in (images or {}).items():
        pictures.add(document_id, data)
    plain, html = msgspec.to_builtins(made), "".join(report.html(made, pictures.kept))
    return {**plain, "documents": plain_entries(plain["documents"])}, html, report.digest(made)


def pictured(files: list[dict[str, Any]]) -> list[str]:
    """Which documents are shown with a picture."""
    return report.pictured(msgspec.convert(files, list[Entry]))
