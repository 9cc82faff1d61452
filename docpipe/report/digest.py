"""The digest on the task: Markdown of bounded length, cut at whole lines."""

import re
from collections.abc import Iterator
from typing import Any, Final

from docpipe.model import Outcome, count_of
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

LIMIT: Final = 65_536
"""Characters, as the TaskTracker's contract has it. JSON Schema counts code points, programs in Java, C# and
JavaScript count UTF-16 units: the digest keeps the limit either way."""
_POINTER: Final = "\n(Shortened: {left} of {all} left out. The full report is with the documents.)\n"
_ROOM: Final = 160  # for the pointer
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$^-])")
_NUMBERED: Final = re.compile(r"^(\d+)\.")
"""A title such as "1. Letter" would begin a list of its own."""
_LINKED: Final = re.compile(r"(://|\bwww\.)", re.IGNORECASE)  # what some readers of Markdown make a link of
_LISTED: Final = (("Problems", "problems"), ("Kept, but not read", "not_read"), ("To be checked", "to_check"))


def digest(report: Report) -> str:
    """The report in a few lines: state, problems, documents."""
    return cut(list(_lines(report)))


def cut(lines: list[str], limit: int = LIMIT) -> str:
    """The lines as one text, as many from the first on as fit; where some do not, how many these are."""
    sizes = [length(line) + 1 for line in lines]
    if sum(sizes) <= limit:
        return "".join(f"{line}\n" for line in lines)
    used = kept = 0
    while used + sizes[kept] <= limit - _ROOM:
        used += sizes[kept]
        kept += 1
    pointer = _POINTER.format(left=f"{len(lines) - kept:,}", all=count_of(len(lines), "line"))
    return "".join(f"{line}\n" for line in lines[:kept]) + pointer


def length(text: str) -> int:
    """UTF-16 units, which are never fewer than code points."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def _lines(report: Report) -> Iterator[str]:
    run, counts = report.run, report.counts
    yield from (f"# {STATES[run.state]}", "")
    for why in (run.error, run.problem):
        if why:
            yield from (_plain(why, 600), "")
    yield from (f"- {words}" for _, words in counted(counts))
    if (changes := report.changes) is not None:
        yield f"- {_plain(changed(changes), 200)}"
    if not counts and not run.error:
        yield "The exchange holds no documents for this patient."
    for heading, name in _LISTED:
        if findings := getattr(report, name):
            yield from ("", f"## {heading}", "")
            yield from _findings(findings)
    if changes is not None:
        yield from _mentions(NEW, changes.new)
        yield from _mentions(GONE, changes.gone)
    readable = [file for file in in_order(report.documents) if file.outcome == Outcome.CONVERTED]
    if readable:
        yield from ("", "## Documents", "")
        yield from map(_document, readable)


def _findings(findings: list[Finding]) -> Iterator[str]:
    for group in grouped(findings):
        sentence = _plain(f"{group.plain} {group.advice}".strip(), 400)
        if len(group.items) == 1:
            yield f"- **{_plain(group.items[0].title)}**: {sentence}"
            continue
        yield f"- {sentence} ({count_of(len(group.items), 'file')})"
        yield from (f"  - **{_plain(item.title)}**" for item in group.items)


def _mentions(heading: str, mentions: list[Mention]) -> Iterator[str]:
    if mentions:
        yield from ("", f"## {heading}", "")
    for mention in mentions:
        date = f" ({_plain(mention.date[:10], 20)})" if mention.date else ""
        yield f"- {_plain(mention.title)}{date}"


def _document(file: Entry) -> str:
    pages = file.pages
    about = (
        str(file.date or "")[:10],
        type_of(file),
        "" if pages is None else count_of(int(pages), "page"),
        file.author,
    )
    return f"- {_plain(title_of(file))} ({_plain(', '.join(filter(None, about)), 200)})"


def _plain(text: Any, limit: int = 120) -> str:
    """A text that stays text in Markdown."""
    escaped = _NUMBERED.sub(r"\1\\.", _SPECIAL.sub(r"\\\1", one_line(text, limit)))
    return _LINKED.sub(lambda match: match[0].replace("/", r"\/").replace(".", r"\."), escaped)
