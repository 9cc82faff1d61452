"""The report as lines for a terminal: no markup, a head first, then problems, then the documents."""

from collections.abc import Iterator
from typing import Final

from docpipe.model import count_of
from docpipe.report.findings import grouped
from docpipe.report.labels import (
    GONE,
    NEW,
    STATES,
    changed,
    counted,
    in_order,
    one_line,
    title_of,
    type_of,
)
from docpipe.results.report import Entry, Finding, Mention, Report

_LISTED: Final = (
    ("Problems", "problems"),
    ("Kept, but not read, or not wholly", "not_read"),
    ("To be checked against the original", "to_check"),
)
"""Headings as in report.html, with the member of the report."""
_READABLE: Final = "converted"


def as_lines(report: Report) -> Iterator[str]:
    """The report line by line; no line has control characters, whatever the documents are called."""
    yield from _head(report)
    for heading, name in _LISTED:
        if findings := getattr(report, name):
            yield from ("", heading)
            yield from _findings(findings)
    if report.changes is not None:
        yield from _mentions(NEW, report.changes.new)
        yield from _mentions(GONE, report.changes.gone)
    readable = [file for file in in_order(report.documents) if file.outcome == _READABLE]
    if readable:
        yield from ("", "Documents")
        yield from map(_document, readable)


def _head(report: Report) -> Iterator[str]:
    run, counts = report.run, report.counts
    yield f"Patient {one_line(run.patient_id)}: {STATES.get(run.state, run.state)}"
    for why in (run.error, run.problem):
        if why:
            yield f"  {one_line(why, 600)}"
    yield f"  run        {run.run_id}"
    yield f"  retrieved  {_moment(run.started)} to {_moment(run.finished)} UTC"
    if run.task_id:
        yield f"  task       {one_line(run.task_id)}"
    if counts:
        outcomes = ", ".join(words for _, words in counted(counts))
        yield f"  files      {count_of(sum(counts.values()), 'file')}: {outcomes}"
    if report.changes is not None:
        yield f"  changes    {changed(report.changes)}"
    if not counts and not run.error:
        yield "  files      The exchange holds no documents for this patient."


def _mentions(heading: str, mentions: list[Mention]) -> Iterator[str]:
    if mentions:
        yield from ("", heading)
    for mention in mentions:
        yield f"  {one_line(mention.date or '', 10)[:10] or '-':10}  {one_line(mention.title)}"


def _moment(when: str) -> str:
    """A time of ISO 8601 in UTC, without its fractions and zone."""
    return one_line(when[:19].replace("T", " "))


def _findings(findings: list[Finding]) -> Iterator[str]:
    for group in grouped(findings):
        yield f"  {one_line(f'{group.plain} {group.advice}'.strip(), 400)}"
        yield from (f"    - {_named(item)}" for item in group.items)


def _named(item: Finding) -> str:
    """The title, with the name in the archive where that is another."""
    title, path = one_line(item.title), one_line(item.path)
    return title if title == path else f"{title} ({path})"


def _document(file: Entry) -> str:
    about = (
        type_of(file),
        "" if file.pages is None else count_of(int(file.pages), "page"),
        one_line(file.author, 80),
    )
    date = one_line(str(file.date or "")[:10], 10)
    details = ", ".join(filter(None, about))
    return f"  {date or '-':10}  {title_of(file)}" + (f" ({details})" if details else "")
