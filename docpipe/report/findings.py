"""What somebody has to look at, grouped by why: problems, what was not read, what is to be checked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from docpipe.model import Json, Outcome
from docpipe.report.reasons import Weight, told, weight_of
from docpipe.report.words import title_of

_ARCHIVES: Final = ("application/zip", "application/gzip", "application/x-tar")  # their files are listed
_UNKNOWN: Final = "Nothing is known of why."

Finding = dict[str, Any]
"""Where and what the file is, and why, as the manifest has it ("reason") and in plain words ("plain")."""


@dataclass(frozen=True, slots=True)
class Group:
    """The files of which the same is to be said."""

    plain: str
    advice: str
    items: list[Finding]


def problems(documents: list[Json]) -> list[Finding]:
    """Files that need somebody's eye: what could not be read, what was refused."""
    return [
        _finding(document, document.get("reason") or _UNKNOWN)
        for document in documents
        if document["outcome"] in (Outcome.FAILED, Outcome.REFUSED)
    ]


def not_read(documents: list[Json]) -> list[Finding]:
    """Files that are kept but whose text is not known, or not wholly: no converter, or scans."""
    return list(_warned(documents, Weight.MISSING, _unread))


def to_check(documents: list[Json]) -> list[Finding]:
    """Readable files of which the original is to be looked at before somebody relies on them."""
    return list(_warned(documents, Weight.CHECK, lambda _: []))


def _unread(document: Json) -> list[str]:
    opened = document.get("media_type") in _ARCHIVES
    kept = document["outcome"] == Outcome.STORED and not opened
    return [document.get("reason") or _UNKNOWN] if kept else []


def _warned(documents: list[Json], weight: Weight, more: Callable[[Json], list[str]]) -> Iterator[Finding]:
    for document in documents:
        if document["outcome"] not in (Outcome.CONVERTED, Outcome.STORED):
            continue
        warnings = [warning for warning in document.get("warnings") or () if weight_of(warning) is weight]
        for reason in dict.fromkeys([*more(document), *warnings]):
            yield _finding(document, reason)


def _finding(document: Json, reason: str) -> Finding:
    said = told(reason)
    return {
        "path": document["path"],
        "id": document.get("id"),
        "title": title_of(document),
        "outcome": document["outcome"],
        "reason": reason,
        "plain": said.text,
        "advice": said.advice,
        "key": document.get("key"),
        "original": document.get("original"),
    }


def grouped(findings: list[Finding]) -> list[Group]:
    """By what is said of them, in the order of the first of each: a hundred unread scans are one fact."""
    groups: dict[tuple[str, str], Group] = {}
    for finding in findings:
        plain, advice = finding.get("plain") or finding["reason"], finding.get("advice") or ""
        groups.setdefault((plain, advice), Group(plain, advice, [])).items.append(finding)
    return list(groups.values())
