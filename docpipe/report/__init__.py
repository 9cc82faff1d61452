"""Reports of a run, as pure functions: for people (HTML), for programs (JSON), for the task (Markdown)."""

from collections.abc import Mapping
from typing import Any, Final

from docpipe.model import Json
from docpipe.report.digest import digest
from docpipe.report.findings import not_read, problems, to_check
from docpipe.report.page import page
from docpipe.report.pictures import NAME as PICTURE
from docpipe.report.pictures import fitting, pictured

SCHEMA: Final = "urn:docpipe:report:1"
"""The schema of the JSON report, which ships as report.schema.json."""
SCHEMA_VERSION: Final = 1


def build(facts: Json, pictures: Mapping[str, bytes | None] | None = None) -> tuple[dict[str, Any], str, str]:
    """Make the three reports.

    Args:
        facts: {"run": {"run_id", "patient_id", "state", "started", "finished", "task_id", "error",
            "problem"}, "patient": the row or None, "archive": {"size", "sha256"} or None,
            "documents": the manifest's files, "counts": documents by outcome,
            "timeline": [{"activity", "item", "attempts", "started", "finished", "outcome", "polls"}],
            "waits": [{"activity", "kind", "what", "since", "until"}]}.
        pictures: PNG by document id, of those that `pictured` names; as many are shown as there is room for.

    Returns:
        The JSON report, the HTML page, and the Markdown digest of at most 65,536 characters. The same facts
        and pictures make the same reports.
    """
    documents = facts["documents"]
    report = {
        "$schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "run": facts["run"],
        "patient": facts["patient"],
        "archive": facts["archive"],
        "counts": facts["counts"],
        "problems": problems(documents),
        "not_read": not_read(documents),
        "to_check": to_check(documents),
        "documents": documents,
        "timeline": facts["timeline"],
        "waits": facts["waits"],
    }
    return report, page(report, fitting(dict(pictures or {}))), digest(report)


__all__ = ["PICTURE", "SCHEMA", "build", "pictured"]
