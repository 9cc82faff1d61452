"""Reports of a run, as pure functions: for people (HTML), for programs (JSON), for the task (Markdown)."""

from collections.abc import Mapping
from typing import Final

from docpipe.report.digest import digest
from docpipe.report.findings import not_read, problems, to_check
from docpipe.report.pictures import NAME as PICTURE
from docpipe.report.pictures import fitting, pictured
from docpipe.results.report import Facts, Report

SCHEMA: Final = "urn:docpipe:report:1"
"""The schema of the JSON report, which ships as report.schema.json."""
SCHEMA_VERSION: Final = 1


def build(facts: Facts, pictures: Mapping[str, bytes | None] | None = None) -> tuple[Report, str, str]:
    """Make the three reports.

    Args:
        facts: of the run.
        pictures: PNG by document id, of those that `pictured` names; as many are shown as there is room for.

    Returns:
        The JSON report, the HTML page, and the Markdown digest of at most 65,536 characters. The same facts
        and pictures make the same reports.
    """
    from docpipe.report.page import page  # noqa: PLC0415 -- not needed before the first request

    report = Report(
        schema=SCHEMA,
        schema_version=SCHEMA_VERSION,
        run=facts.run,
        patient=facts.patient,
        archive=facts.archive,
        counts=facts.counts,
        problems=problems(facts.documents),
        not_read=not_read(facts.documents),
        to_check=to_check(facts.documents),
        documents=facts.documents,
        timeline=facts.timeline,
        waits=facts.waits,
        changes=facts.changes,
    )
    return report, page(report, fitting(dict(pictures or {}))), digest(report)


__all__ = ["PICTURE", "SCHEMA", "build", "pictured"]
