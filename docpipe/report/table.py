"""The list of documents in the report: every file of the archive, problems first."""

from collections.abc import Iterator, Mapping
from typing import Final

from docpipe.model import OUTCOMES, Outcome, count_of
from docpipe.report.labels import in_order, one_line, title_of, type_of
from docpipe.report.markup import link, text
from docpipe.report.pictures import data_uri
from docpipe.report.reasons import plain_words
from docpipe.results.report import Entry

_COLUMNS: Final = ("Document", "Date", "Author", "Type", "Outcome", "Open")
_MOST_WARNINGS: Final = 3
_FORMS: Final = (("document.pdf", "PDF"), ("text.md", "Text"))


def documents_table(documents: list[Entry], pictures: Mapping[str, bytes]) -> Iterator[str]:
    """The table row by row, with those pictures that there are: of 10,000 documents it has 10 MB."""
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    containers = {file.derived_from for file in documents}
    titles = {file.id: title_of(file) for file in documents if file.id in containers and file.id and file.key}
    yield (
        "<table>\n<caption>Every file of the archive: problems first, then the latest</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n"
    )
    for file in in_order(documents):
        yield _row(file, pictures, titles)
    yield "</tbody>\n</table>\n"


def _row(file: Entry, pictures: Mapping[str, bytes], titles: Mapping[str, str]) -> str:
    pages = file.pages
    kind = text(type_of(file), 60) + ("" if pages is None else f", {count_of(int(pages), 'page')}")
    return (
        f'<tr><th scope="row"><div class="doc">{_picture(file, pictures)}<div>'
        f"<strong>{text(title_of(file))}</strong>{_source(file, titles)}</div></div></th>"
        f'<td class="date">{text(str(file.date or "")[:10])}</td>'
        f'<td class="author">{text(file.author, 80)}</td><td>{kind}</td>'
        f'<td>{_outcome(file)}</td><td class="open">{_links(file)}</td></tr>\n'
    )


def _picture(file: Entry, pictures: Mapping[str, bytes]) -> str:
    picture = pictures.get(file.id or "") if file.key else None
    if picture is None:
        return '<span class="none"></span>'
    return f'<img src="{data_uri(picture)}" alt="First page" width="56" height="72">'


def _source(file: Entry, titles: Mapping[str, str]) -> str:
    """Where a document comes from: its place in the archive, its container, its custodian."""
    path, container = one_line(file.path, 200), titles.get(file.derived_from or "")
    lines = [text(path, 200)] if path != title_of(file) else []
    if container:
        lines.append(f"found in {text(container, 80)}")
    elif file.parent:
        lines.append(f"in the archive {text(file.parent, 80)}")
    if file.custodian:
        lines.append(f"from {text(file.custodian, 80)}")
    return "".join(f'<span class="detail">{line}</span>' for line in lines)


def _outcome(file: Entry) -> str:
    outcome = file.outcome
    kind = {"converted": "good", "failed": "bad", "refused": "bad"}.get(outcome, "note")
    label = f'<span class="{kind}">{OUTCOMES[Outcome(outcome)]}</span>'
    if file.duplicate_of and outcome == Outcome.DUPLICATE:
        return f'{label}<span class="detail">{text(file.duplicate_of, 200)}</span>'
    why = [file.reason] if file.reason else []
    warnings = file.warnings
    lines = [plain_words(reason).text for reason in (*why, *warnings[:_MOST_WARNINGS])]
    if len(warnings) > _MOST_WARNINGS:
        lines.append(f"and {len(warnings) - _MOST_WARNINGS} more remarks")
    return label + "".join(f'<span class="detail">{text(line, 300)}</span>' for line in lines)


def _links(file: Entry) -> str:
    key = file.key
    if not key or not file.original:
        return ""
    forms = [link(key, name, label) for name, label in _FORMS if name in file.outputs]
    return "".join([*forms, link(key, file.original, "Original")])
