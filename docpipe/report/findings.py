"""What needs a person's attention, grouped by reason: problems, unread files, files to check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from docpipe.model import Outcome
from docpipe.report.labels import title_of
from docpipe.report.reasons import Weight, plain_words, weight_of
from docpipe.results.report import Entry, Finding

ARCHIVES: Final = ("application/zip", "application/gzip", "application/x-tar")  # their files are listed
_UNKNOWN: Final = "The reason is unknown."


@dataclass(frozen=True, slots=True)
class Group:
    """The files with the same reason and advice."""

    plain: str
    advice: str
    items: list[Finding]


def problems(documents: list[Entry]) -> list[Finding]:
    """Files that could not be read, or were refused."""
    return [
        _finding(document, document.reason or _UNKNOWN)
        for document in documents
        if document.outcome in (Outcome.FAILED, Outcome.REFUSED)
    ]


def not_read(documents: list[Entry]) -> list[Finding]:
    """Files that are kept but of which no text, or only a part, was read: no converter, or scans."""
    return list(_warned(documents, Weight.MISSING, _unread))


def to_check(documents: list[Entry]) -> list[Finding]:
    """Readable files to compare with the original before anybody relies on them."""
    return list(_warned(documents, Weight.CHECK, lambda _: []))


def _unread(document: Entry) -> list[str]:
    opened = document.media_type in ARCHIVES
    kept = document.outcome == Outcome.STORED and not opened
    return [document.reason or _UNKNOWN] if kept else []


def _warned(documents: list[Entry], weight: Weight, more: Callable[[Entry], list[str]]) -> Iterator[Finding]:
    for document in documents:
        if document.outcome not in (Outcome.CONVERTED, Outcome.STORED):
            continue
        warnings = [warning for warning in document.warnings if weight_of(warning) is weight]
        for reason in dict.fromkeys([*more(document), *warnings]):
            yield _finding(document, reason)


def _finding(document: Entry, reason: str) -> Finding:
    words = plain_words(reason)
    return Finding(
        path=document.path,
        id=document.id,
        title=title_of(document),
        outcome=document.outcome,
        reason=reason,
        plain=words.text,
        advice=words.advice,
        key=document.key,
        original=document.original,
    )


def grouped(findings: list[Finding]) -> list[Group]:
    """Group findings by reason and advice, in the order of the first of each."""
    groups: dict[tuple[str, str], Group] = {}
    for finding in findings:
        plain, advice = finding.plain or finding.reason, finding.advice
        groups.setdefault((plain, advice), Group(plain, advice, [])).items.append(finding)
    return list(groups.values())
