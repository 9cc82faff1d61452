"""Reports of a run, as pure functions: for people (HTML), for programs (JSON), for the task (Markdown)."""

from typing import Any, Final

from docpipe.model import Json
from docpipe.report.digest import digest
from docpipe.report.page import page
from docpipe.report.words import not_read, problems

SCHEMA_VERSION: Final = 1


def build(facts: Json) -> tuple[dict[str, Any], str, str]:
    """Make the three reports.

    Args:
        facts: {"run": {"run_id", "patient_id", "state", "started", "finished", "task_id", "error",
            "problem"}, "patient": the row or None,
            "documents": the manifest's files, "counts": documents by outcome,
            "timeline": [{"activity", "item", "attempts", "started", "finished", "outcome"}]}.

    Returns:
        The JSON report, the HTML page, and the Markdown digest of at most 65,536 characters. The same facts
        make the same reports.
    """
    documents = facts["documents"]
    report = {
        "schema_version": SCHEMA_VERSION,
        "run": facts["run"],
        "patient": facts["patient"],
        "counts": facts["counts"],
        "problems": problems(documents),
        "not_read": not_read(documents),
        "documents": documents,
        "timeline": facts["timeline"],
    }
    return report, page(report), digest(report)


__all__ = ["build"]
