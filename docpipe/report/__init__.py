"""Reports of a run, as pure functions: for people (HTML), for programs (JSON), for the task (Markdown).

Imports `results` and `model`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from docpipe.report.digest import digest
from docpipe.report.findings import not_read, problems, to_check
from docpipe.report.pictures import NAME as PICTURE
from docpipe.report.pictures import Pictures, pictured
from docpipe.results.report import Facts, Report

SCHEMA: Final = "urn:docpipe:report:1"
"""The schema of the JSON report, which ships as report.schema.json."""
SCHEMA_VERSION: Final = 1


def build(facts: Facts) -> Report:
    """The JSON report, which the others are made of. The same facts make the same reports."""
    return Report(
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


def html(report: Report, pictures: Mapping[str, bytes] = MappingProxyType({})) -> Iterator[str]:
    """The HTML page piece by piece.

    Args:
        report: as of `build`.
        pictures: PNG by document id, as `Pictures` has them.
    """
    from docpipe.report.page import page  # noqa: PLC0415 -- not needed before the first request

    return page(report, pictures)


__all__ = ["PICTURE", "SCHEMA", "Pictures", "build", "digest", "html", "pictured"]
