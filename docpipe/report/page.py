"""report.html: one file that needs nothing from anywhere, on screen and on paper; no scripts, all escaped."""

from collections import Counter
from html import escape
from typing import Any, Final
from urllib.parse import quote

from docpipe.model import Json, Outcome
from docpipe.report import svg
from docpipe.report.words import OUTCOMES, STATES, shown, title_of, type_of, year_of

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #59636e; --line: #d1d9e0;
  --bar: #2f6feb; --bad: #b42318; --good: #1a7f37; --note: #8a5a00; --tint: #f6f8fa }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --faint: #9198a1;
  --line: #3d444d; --bar: #6ea8ff; --bad: #ff8a80; --good: #56d364; --note: #e3b341; --tint: #151b23 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 64rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
tbody th .faint { font-weight: 400 }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem }
header p, .faint { color: var(--faint); margin: .2rem 0 }
.state { font-weight: 600 }
.bad { color: var(--bad) } .good { color: var(--good) } .note { color: var(--note) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0 }
dt { color: var(--faint) } dd { margin: 0; overflow-wrap: anywhere }
ul { padding-left: 1.2rem } li { margin: .3rem 0; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
caption { text-align: left; color: var(--faint); padding-bottom: .3rem }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word }
thead th { background: var(--tint); white-space: nowrap }
tbody th { font-weight: 600; min-width: 12rem; overflow-wrap: anywhere } td.why { min-width: 11rem }
td.number { text-align: right } td.nowrap { white-space: nowrap }
a { color: var(--bar) } a:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px }
svg { width: 100%; max-width: 45rem; height: auto; font: 13px system-ui, sans-serif }
svg text { fill: var(--ink) }
svg rect { fill: var(--bar) }
@page { margin: 15mm 12mm }
@media print { table { font-size: 8.5pt } th, td { padding: .25rem .4rem } tbody th, td.why { min-width: 0 }
  :root { --ink: #000; --paper: #fff; --faint: #444; --line: #999; --bar: #555; --bad: #000;
  --good: #000; --note: #000; --tint: #eee } body { padding: 0; max-width: none; font-size: 10.5pt }
  .scroll { overflow: visible } tr, li, svg { break-inside: avoid } thead { display: table-header-group }
  h2 { break-after: avoid } a { color: inherit; text-decoration: none } }
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'"


def page(report: dict[str, Any]) -> str:
    """The whole page."""
    run = report["run"]
    documents = report["documents"]
    sections = (
        _head(run, report["patient"], report["counts"]),
        _list("Problems", report["problems"], "problems"),
        _grouped("Kept, but not read", report["not_read"], "not-read"),
        _documents(documents),
        _summary(documents),
        _timeline(report["timeline"]),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>Documents of patient {_text(run['patient_id'])}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{''.join(sections)}</body>\n</html>\n"
    )


def _text(value: Any, limit: int = 120) -> str:
    return f"<bdi>{escape(shown(value, limit))}</bdi>" if value not in (None, "") else ""


def _head(run: Json, patient: Json | None, counts: dict[str, int]) -> str:
    rows = []
    if patient:
        rows += [
            ("Name", _text(f"{patient['family']}, {patient['given']}")),
            ("Born", _text(patient["birth_date"])),
            ("Sex", _text(patient["sex"])),
        ]
    told = ", ".join(f"{counts[outcome]} {OUTCOMES[outcome]}" for outcome in Outcome if counts.get(outcome))
    rows += [
        ("Files found", f"{sum(counts.values())}{f': {escape(told)}' if told else ''}"),
        ("Retrieved", f"{_moment(run['started'])} to {_moment(run['finished'])}"),
        ("Run", _text(run["run_id"])),
        ("Task", _text(run["task_id"])),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows if value)
    kind = {"completed": "good", "failed": "bad"}.get(run["state"], "note")
    errors = "".join(f'<p class="bad">{_text(why, 600)}</p>' for why in (run["error"], run["problem"]) if why)
    return (
        f"<header>\n<h1>Documents of patient {_text(run['patient_id'])}</h1>\n"
        f'<p class="state {kind}">{STATES[run["state"]]}</p>\n{errors}<dl>{listed}</dl>\n</header>\n<main>\n'
    )


def _list(heading: str, items: list[Json], name: str) -> str:
    """Each item with its reason."""
    rows = "".join(
        f"<li><strong>{_text(item['title'])}</strong>: {_text(item['reason'], 400)}"
        f'<br><span class="faint">{_text(item["path"], 200)}</span></li>\n'
        for item in items
    )
    return _section(heading, name, rows)


def _grouped(heading: str, items: list[Json], name: str) -> str:
    """One line a reason: a hundred scans that were not read are one fact, with a hundred names."""
    by_reason: dict[str, list[str]] = {}
    for item in items:
        by_reason.setdefault(shown(item["reason"], 400), []).append(_named(item))
    rows = "".join(
        f"<li><strong>{_text(reason, 400)}</strong> ({len(files)} {'file' if len(files) == 1 else 'files'})"
        f"<br>{'; '.join(files)}</li>\n"
        for reason, files in by_reason.items()
    )
    return _section(heading, name, rows)


def _named(item: Json) -> str:
    path = shown(item["path"], 200)
    more = f' <span class="faint">{_text(path, 200)}</span>' if path != item["title"] else ""
    return f"{_text(item['title'])}{more}"


def _section(heading: str, name: str, rows: str) -> str:
    if not rows:
        return ""
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>\n<ul>\n{rows}</ul>\n</section>\n'
    )


def _documents(documents: list[Json]) -> str:
    if not documents:
        return "<p>The exchange gave no documents for this patient.</p>\n"
    worst = (Outcome.FAILED, Outcome.REFUSED, Outcome.CONVERTED, Outcome.STORED)
    order = {outcome: place for place, outcome in enumerate(worst)}
    rows = "".join(map(_row, sorted(documents, key=lambda file: order.get(file["outcome"], len(order)))))
    heads = ("Document", "Date", "Author", "Type", "Pages", "Outcome", "Open")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        '<section aria-labelledby="documents"><h2 id="documents">Documents</h2>\n'
        '<div class="scroll" role="region" aria-labelledby="documents" tabindex="0"><table>\n'
        "<caption>Every file of the archive, problems first</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )


def _row(file: Json) -> str:
    title, path = title_of(file), shown(file["path"], 200)
    source = f'<br><span class="faint">{_text(path, 200)}</span>' if path != title else ""
    kind = {"converted": "good", "failed": "bad", "refused": "bad"}.get(file["outcome"], "note")
    why = file.get("reason") or (file.get("duplicate_of") and f"the same as {file['duplicate_of']}")
    reason = f'<br><span class="faint">{_text(why, 300)}</span>' if why else ""
    pages = file.get("pages")
    return (
        f'<tr><th scope="row">{_text(title)}{source}</th>'
        f'<td class="nowrap">{_text(str(file.get("date") or "")[:10])}</td>'
        f"<td>{_text(file.get('author'), 80)}</td><td>{_text(type_of(file), 60)}</td>"
        f'<td class="number">{"" if pages is None else int(pages)}</td>'
        f'<td class="why"><span class="{kind}">{OUTCOMES[file["outcome"]]}</span>{reason}</td>'
        f'<td class="nowrap">{_links(file)}</td></tr>\n'
    )


def _links(file: Json) -> str:
    """Links from the run's folder to the document's, which lie beside each other."""
    if not file.get("key"):
        return ""
    folder = f"../../{quote(file['key'].rsplit('/', 1)[-1])}"
    names = {"document.pdf": "PDF", "text.md": "text", file["original"]: "original"}
    there = [*file["outputs"], file["original"]]
    return " ".join(
        f'<a href="{folder}/{quote(name)}">{label}</a>' for name, label in names.items() if name in there
    )


def _summary(documents: list[Json]) -> str:
    kept = [file for file in documents if file.get("key")]
    if not kept:
        return ""
    types = svg.bars("Documents by type", Counter(map(type_of, kept)).most_common())
    years = sorted(Counter(filter(None, map(year_of, kept))).items(), reverse=True)
    plot = f"<h2>By year</h2>\n{svg.bars('Documents by year', years)}\n" if years else ""
    return f"<section><h2>By type</h2>\n{types}\n{plot}</section>\n"


def _timeline(steps: list[Json]) -> str:
    plot = svg.timeline(steps)
    return f"<section><h2>How it went</h2>\n{plot}\n</section>\n</main>\n" if plot else "</main>\n"


def _moment(text: Any) -> str:
    return escape(str(text or "")[:19].replace("T", " ")) + " UTC"
