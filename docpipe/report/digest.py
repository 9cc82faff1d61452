"""The digest on the task: Markdown of bounded length, cut at whole lines."""

import re
from collections.abc import Iterator
from typing import Any, Final

from docpipe.model import Json, Outcome
from docpipe.report.findings import grouped
from docpipe.report.words import STATES, counted, in_order, many, shown, title_of, type_of

LIMIT: Final = 65_536
"""Characters, as the TaskTracker's contract has it. JSON Schema counts code points, programs in Java, C# and
JavaScript count UTF-16 units: the digest keeps the limit either way."""
_POINTER: Final = "\n(Shortened: {left} of {all} left out. The full report lies with the documents.)\n"
_ROOM: Final = 160  # for the pointer
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$^-])")
_NUMBERED: Final = re.compile(r"^(\d+)\.")
"""A title such as "1. Letter" would begin a list of its own."""
_LINKED: Final = re.compile(r"(://|\bwww\.)", re.IGNORECASE)  # what some readers of Markdown make a link of
_LISTED: Final = (("Problems", "problems"), ("Kept, but not read", "not_read"), ("To be checked", "to_check"))


def digest(report: dict[str, Any]) -> str:
    """The report in a few lines: state, problems first, then the documents."""
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
    pointer = _POINTER.format(left=f"{len(lines) - kept:,}", all=many(len(lines), "line"))
    return "".join(f"{line}\n" for line in lines[:kept]) + pointer


def length(text: str) -> int:
    """UTF-16 units, which are never fewer than code points."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    run, counts = report["run"], report["counts"]
    yield from (f"# {STATES[run['state']]}", "")
    for why in (run["error"], run["problem"]):
        if why:
            yield from (_plain(why, 600), "")
    yield from (f"- {said}" for _, said in counted(counts))
    if not counts and not run["error"]:
        yield "The exchange holds no documents for this patient."
    for heading, name in _LISTED:
        if found := report.get(name):
            yield from ("", f"## {heading}", "")
            yield from _findings(found)
    readable = [file for file in in_order(report["documents"]) if file["outcome"] == Outcome.CONVERTED]
    if readable:
        yield from ("", "## Documents", "")
        yield from map(_document, readable)


def _findings(found: list[Json]) -> Iterator[str]:
    for group in grouped(found):
        said = _plain(f"{group.plain} {group.advice}".strip(), 400)
        if len(group.items) == 1:
            yield f"- **{_plain(group.items[0]['title'])}**: {said}"
            continue
        yield f"- {said} ({many(len(group.items), 'file')})"
        yield from (f"  - **{_plain(item['title'])}**" for item in group.items)


def _document(file: Json) -> str:
    pages = file.get("pages")
    about = (
        str(file.get("date") or "")[:10],
        type_of(file),
        "" if pages is None else many(int(pages), "page"),
        file.get("author"),
    )
    return f"- {_plain(title_of(file))} ({_plain(', '.join(filter(None, about)), 200)})"


def _plain(text: Any, limit: int = 120) -> str:
    """A text that stays text in Markdown."""
    escaped = _NUMBERED.sub(r"\1\\.", _SPECIAL.sub(r"\\\1", shown(text, limit)))
    return _LINKED.sub(lambda found: found[0].replace("/", r"\/").replace(".", r"\."), escaped)
