"""The digest on the task: Markdown of bounded length, cut at whole lines."""

import re
from typing import Any, Final

from docpipe.model import Outcome
from docpipe.report.words import OUTCOMES, STATES, shown, title_of, type_of

LIMIT: Final = 65_536
"""Characters, as the TaskTracker's contract has it."""
_POINTER: Final = "\n(Shortened: {left} more lines are in the full report, which lies with the documents.)\n"
_ROOM: Final = 120  # for the pointer


def digest(report: dict[str, Any]) -> str:
    """The report in a few lines: state, problems first, then the documents."""
    lines = _lines(report)
    text = "\n".join(lines) + "\n"
    if len(text) <= LIMIT:
        return text
    used, kept = 0, 0
    while used + len(lines[kept]) + 1 <= LIMIT - _ROOM:
        used += len(lines[kept]) + 1
        kept += 1
    return "\n".join(lines[:kept]) + "\n" + _POINTER.format(left=len(lines) - kept)


def _lines(report: dict[str, Any]) -> list[str]:
    run, counts = report["run"], report["counts"]
    lines = [f"# {STATES[run['state']]}", ""]
    if run["error"]:
        lines += [_plain(run["error"], 600), ""]
    lines += [f"- {counts[outcome]} {OUTCOMES[outcome]}" for outcome in Outcome if counts.get(outcome)]
    if not counts and not run["error"]:
        lines.append("The exchange holds no documents for this patient.")
    for heading, items in (("Problems", report["problems"]), ("Kept, but not read", report["not_read"])):
        if items:
            lines += ["", f"## {heading}", ""]
            lines += [f"- **{_plain(item['title'])}**: {_plain(item['reason'], 300)}" for item in items]
    readable = [file for file in report["documents"] if file["outcome"] == Outcome.CONVERTED]
    if readable:
        lines += ["", "## Documents", ""]
    for file in readable:
        about = (
            str(file.get("date") or "")[:10],
            type_of(file),
            _pages(file.get("pages")),
            file.get("author"),
        )
        lines.append(f"- {_plain(title_of(file))} ({_plain(', '.join(filter(None, about)), 200)})")
    return lines


def _pages(pages: int | None) -> str:
    return "" if pages is None else f"{pages} page{'' if pages == 1 else 's'}"


def _plain(text: Any, limit: int = 120) -> str:
    """A text that stays text in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", shown(text, limit))
