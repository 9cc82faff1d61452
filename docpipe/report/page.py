"""report.html: one file that needs nothing from anywhere, on screen and on paper; no scripts, all escaped."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from docpipe.model import count_of
from docpipe.report import plots
from docpipe.report.findings import Group, grouped
from docpipe.report.labels import GONE, NEW, STATES, changed, counted, one_line
from docpipe.report.markup import Section, link, moment, section, size, text
from docpipe.report.reasons import plain_words
from docpipe.report.table import documents_table
from docpipe.results.report import Entry, Finding, Mention, Report, RunFacts

_MOST_OF_GROUP: Final = 100
"""The most files listed under one reason; the list of documents has all of them."""
_CUT_OFF: Final = "The run ended before this list could be made. Documents that were stored already are kept."
_COLOURS: Final = {"converted": "good", "failed": "bad", "refused": "bad"}
_POLICY: Final = "default-src 'none'; style-src {styles}; img-src data:; base-uri 'none'; form-action 'none'"


def page(report: Report, pictures: Mapping[str, bytes]) -> Iterator[str]:
    """The page piece by piece; `pictures` are PNG by document id."""
    run = report.run
    styles = (_style(), _footer(run))
    sections = [
        _findings("Problems", "problems", report.problems),
        _findings("Kept, but not read, or not wholly", "not-read", report.not_read),
        _findings("To be checked against the original", "check", report.to_check),
        *_changes(report),
        _documents(report, pictures),
        _plots(report.documents),
        _timeline(report),
    ]
    policy = _POLICY.format(styles=" ".join(map(_hashed, styles)))
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>Documents of patient {text(run.patient_id, marked=False)}</title>\n"
        f"{''.join(f'<style>{style}</style>' for style in styles)}\n</head>\n<body>\n"
        f"{_head(report, [(heading, name) for heading, name, body in sections if body])}<main>\n"
    )
    for parts in sections:
        yield from section(*parts)
    yield "</main>\n</body>\n</html>\n"


@cache
def _style() -> str:
    return files(__package__).joinpath("page.css").read_text("utf-8")


def _footer(run: RunFacts) -> str:
    """The footer of each printed sheet names patient and run: sheets get separated."""
    whose = f"Patient {one_line(run.patient_id, 60)} · run {one_line(run.run_id, 40)}"
    quoted = re.sub(
        r"[^A-Za-z0-9 ]", lambda match: f"\\{ord(match[0]):06x} ", whose
    )  # the space is part of it
    return f'@page {{ @bottom-left {{ content: "{quoted}"; font: 8pt sans-serif }} }}'


def _hashed(style: str) -> str:
    """What the policy allows: this very text, and no other style."""
    return f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def _head(report: Report, contents: list[tuple[str, str]]) -> str:
    run, patient, archive = report.run, report.patient, report.archive
    name = f"{patient.family}, {patient.given}" if patient else ""
    rows = [
        ("Patient", text(run.patient_id)),
        *([("Born", text(patient.birth_date)), ("Sex", text(patient.sex))] if patient else ()),
        ("Retrieved (UTC)", f"{moment(run.started)} to {_until(run)}"),
        ("Changes", text(changed(report.changes), 200) if report.changes else ""),
        ("Archive", f"{size(archive.size)} from the exchange" if archive and archive.size else ""),
        ("Task", text(run.task_id)),
        ("Run", text(run.run_id)),
    ]
    listed = "".join(f"<div><dt>{term}</dt><dd>{value}</dd></div>\n" for term, value in rows if value)
    kind = {"completed": "good", "failed": "bad"}.get(run.state, "note")
    errors = "".join(f'<p class="bad">{text(why, 600)}</p>\n' for why in (run.error, run.problem) if why)
    links = "".join(f'<li><a href="#{anchor}">{heading}</a></li>' for heading, anchor in contents)
    return (
        f'<header>\n<p class="kicker">Retrieved documents</p>\n'
        f"<h1>{text(name) or 'Patient ' + text(run.patient_id)}</h1>\n"
        f'<p class="state {kind}">{STATES[run.state]}</p>\n{errors}{_counts(report.counts)}'
        f"<dl>\n{listed}</dl>\n"
        + (f'<nav aria-label="On this page"><ul>{links}</ul></nav>\n' if len(contents) > 1 else "")
        + "</header>\n"
    )


def _until(run: RunFacts) -> str:
    """The end of the run, without the day where that is the one of its beginning."""
    begin, end = moment(run.started), moment(run.finished)
    return end.partition(" ")[2] if begin[:10] == end[:10] else end


def _counts(counts: dict[str, int]) -> str:
    if not counts:
        return ""
    total = f"<li><strong>{count_of(sum(counts.values()), 'file')}</strong> found</li>"
    items = (f'<li class="{_COLOURS.get(outcome, "")}">{words}</li>' for outcome, words in counted(counts))
    return f'<ul class="counts">{total}{"".join(items)}</ul>\n'


def _findings(heading: str, name: str, findings: list[Finding]) -> Section:
    return heading, name, "".join(map(_group, grouped(findings)))


def _group(group: Group) -> str:
    items = group.items
    count = f' <span class="faint">({count_of(len(items), "file")})</span>' if len(items) > 1 else ""
    left = len(items) - _MOST_OF_GROUP
    more = f"<li>and {left:,} more, in the list of documents</li>" if left > 0 else ""
    details = {plain_words(item.reason).detail for item in items}
    same = details.pop() if len(details) == 1 else ""
    listed = "".join(
        _item(item, "" if same else plain_words(item.reason).detail) for item in items[:_MOST_OF_GROUP]
    )
    files_ = ' class="files"' if len(items) > 6 else ""  # noqa: PLR2004 -- more than a handful
    return (
        f'<div class="group"><p><strong>{text(group.plain, 400)}</strong>{count}</p>\n'
        + (f"<p>{text(group.advice, 400)}</p>\n" if group.advice else "")
        + _detail(same)
        + f"<ul{files_}>\n{listed}{more}</ul></div>\n"
    )


def _detail(detail: str) -> str:
    return f'<span class="detail">In detail: {text(detail, 400)}</span>' if detail else ""


def _item(item: Finding, detail: str) -> str:
    title, path = text(item.title), one_line(item.path, 200)
    where = f' <span class="faint">{text(path, 200)}</span>' if path != item.title else ""
    open_ = f" {link(item.key, item.original, 'Original')}" if item.key and item.original else ""
    return f"<li>{title}{where}{open_}{_detail(detail)}</li>\n"


def _changes(report: Report) -> tuple[Section, ...]:
    if report.changes is None:
        return ()
    return (
        (NEW, "new", _mentions(report.changes.new)),
        (GONE, "gone", _mentions(report.changes.gone)),
    )


def _mentions(mentions: list[Mention]) -> str:
    items = []
    for mention in mentions[:_MOST_OF_GROUP]:
        date = f' <span class="faint">{text(mention.date[:10], 20)}</span>' if mention.date else ""
        key, name = mention.key, mention.original
        open_ = f" {link(key, name, 'Original')}" if key and name else ""
        items.append(f"<li>{text(mention.title)}{date}{open_}</li>\n")
    left = len(mentions) - _MOST_OF_GROUP
    more = f"<li>and {left:,} more</li>" if left > 0 else ""
    return f'<div class="group"><ul>\n{"".join(items)}{more}</ul></div>\n' if mentions else ""


def _documents(report: Report, pictures: Mapping[str, bytes]) -> Section:
    why = _CUT_OFF if report.run.error else "The exchange gave no documents for this patient."
    if not report.documents:
        return "Documents", "documents", f"<p>{why}</p>\n"
    return "Documents", "documents", documents_table(report.documents, pictures)


def _plots(documents: list[Entry]) -> Section:
    kept = [file for file in documents if file.key]
    body = (
        '<div class="plots">\n'
        f"<div><h3>By type</h3>\n{plots.types(kept)}</div>\n"
        f"<div><h3>By year</h3>\n{plots.years(kept)}</div>\n</div>\n"
    )
    return "What was found", "found", body if kept else ""


def _timeline(report: Report) -> Section:
    drawn = plots.timeline(report.timeline, report.waits, report.run.finished)
    return "What happened when", "timeline", drawn
