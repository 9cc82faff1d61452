"""The list of documents in the report: every file of the archive, problems first."""

from collections.abc import Mapping
from typing import Final

from docpipe.model import Json, Outcome
from docpipe.report.markup import link, text
from docpipe.report.pictures import data_uri
from docpipe.report.reasons import told
from docpipe.report.words import OUTCOMES, in_order, many, shown, title_of, type_of

_COLUMNS: Final = ("Document", "Date", "Author", "Type", "Outcome", "Open")
_MOST_WARNINGS: Final = 3
_FORMS: Final = (("document.pdf", "PDF"), ("text.md", "Text"))


def documents_table(documents: list[Json], pictures: Mapping[str, bytes]) -> str:
    """The table, with those pictures that there are."""
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    titles = {file["id"]: title_of(file) for file in documents if file.get("id") and file.get("key")}
    rows = "".join(_row(file, pictures, titles) for file in in_order(documents))
    return (
        "<table>\n<caption>Every file of the archive: problems first, then the latest</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    )


def _row(file: Json, pictures: Mapping[str, bytes], titles: Mapping[str, str]) -> str:
    pages = file.get("pages")
    kind = text(type_of(file), 60) + ("" if pages is None else f", {many(int(pages), 'page')}")
    return (
        f'<tr><th scope="row"><div class="doc">{_picture(file, pictures)}<div>'
        f"<strong>{text(title_of(file))}</strong>{_source(file, titles)}</div></div></th>"
        f'<td class="date">{text(str(file.get("date") or "")[:10])}</td>'
        f'<td class="author">{text(file.get("author"), 80)}</td><td>{kind}</td>'
        f'<td>{_outcome(file)}</td><td class="open">{_links(file)}</td></tr>\n'
    )


def _picture(file: Json, pictures: Mapping[str, bytes]) -> str:
    picture = pictures.get(file.get("id") or "") if file.get("key") else None
    if picture is None:
        return '<span class="none"></span>'
    return f'<img src="{data_uri(picture)}" alt="First page" width="56" height="72">'


def _source(file: Json, titles: Mapping[str, str]) -> str:
    """Where it comes from: its place in the archive, what it was found in, who keeps it."""
    path, found_in = shown(file["path"], 200), titles.get(file.get("derived_from") or "")
    lines = [text(path, 200)] if path != title_of(file) else []
    if found_in:
        lines.append(f"found in {text(found_in, 80)}")
    elif file.get("parent"):
        lines.append(f"in the archive {text(file['parent'], 80)}")
    if file.get("custodian"):
        lines.append(f"from {text(file['custodian'], 80)}")
    return "".join(f'<span class="detail">{line}</span>' for line in lines)


def _outcome(file: Json) -> str:
    outcome = file["outcome"]
    kind = {"converted": "good", "failed": "bad", "refused": "bad"}.get(outcome, "note")
    told_ = f'<span class="{kind}">{OUTCOMES[outcome]}</span>'
    if file.get("duplicate_of") and outcome == Outcome.DUPLICATE:
        return f'{told_}<span class="detail">{text(file["duplicate_of"], 200)}</span>'
    why = [file["reason"]] if file.get("reason") else []
    warnings = file.get("warnings") or []
    said = [told(reason).text for reason in (*why, *warnings[:_MOST_WARNINGS])]
    if len(warnings) > _MOST_WARNINGS:
        said.append(f"and {len(warnings) - _MOST_WARNINGS} more remarks")
    return told_ + "".join(f'<span class="detail">{text(line, 300)}</span>' for line in said)


def _links(file: Json) -> str:
    key = file.get("key")
    if not key:
        return ""
    forms = [link(key, name, label) for name, label in _FORMS if name in file["outputs"]]
    return "".join([*forms, link(key, file["original"], "Original")])
