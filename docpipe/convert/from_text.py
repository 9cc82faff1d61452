"""Plain text in any encoding, and CSV."""

import csv
import re
from typing import Final

from docpipe.convert.base import Content, Source, UnreadableError
from docpipe.convert.blocks import Block, Paragraph, Preformatted, Table, clean, even, tidy
from docpipe.convert.encoding import UNSURE, charset_of, decode

_COLUMNS: Final = re.compile(r"\S(?: {3,}|\t)\S|^[ \t]{4,}\S|[-=_*]{12,}|[─-╿]", re.MULTILINE)
"""What makes lines depend on a typewriter's font: gaps that align, deep indents, rules, boxes."""
_DELIMITERS: Final = ",;\t|"
_CELL_LIMIT: Final = 10_000_000
_CHUNK: Final = 200_000


def read(source: Source) -> Content:
    """The text as paragraphs, or as it stands where its columns line up; CSV as a table.

    Raises: UnreadableError.
    """
    decoded = decode(source.data(), charset_of(source.declared))
    text = clean(decoded.text)
    blocks: tuple[Block, ...] | None = None
    if source.media_type == "text/csv":
        blocks = _table(text)
    blocks = blocks or tuple(_paragraphs(text))
    if not blocks:
        raise UnreadableError("The file has no text.")
    return Content(
        blocks=blocks,
        warnings=(UNSURE,) if decoded.lossy else (),
        libraries=("charset-normalizer",),
    )


def _paragraphs(text: str) -> list[Block]:
    blocks: list[Block] = []
    for paragraph in re.split(r"\n[ \t]*\n", text.expandtabs(8)):
        if not paragraph.strip():
            continue
        if _COLUMNS.search(paragraph):
            lines = paragraph.strip("\n").rstrip()
            if blocks and isinstance(blocks[-1], Preformatted) and len(blocks[-1].text) < _CHUNK:
                blocks[-1] = Preformatted(f"{blocks[-1].text}\n\n{lines}")
            else:
                blocks.append(Preformatted(lines))
        else:
            blocks.append(Paragraph(tidy(paragraph)))
    return blocks


def _table(text: str) -> tuple[Block, ...] | None:
    """The table, None when the lines do not have columns."""
    lines = text.strip("\n").split("\n")
    counts = {mark: [line.count(mark) for line in lines[:20]] for mark in _DELIMITERS}
    mark = max(_DELIMITERS, key=lambda each: (min(counts[each]) > 0, sum(counts[each])))
    if not sum(counts[mark]):
        return None
    csv.field_size_limit(_CELL_LIMIT)
    try:
        rows = even(
            [tidy(cell) for cell in row]
            for row in csv.reader(lines, delimiter=mark)
            if any(map(str.strip, row))
        )
    except csv.Error:
        return None
    return (Table(rows[:1], rows[1:]),) if rows else None
