"""Plain text in any encoding, and CSV."""

import csv
import io
import itertools
import re
from collections import Counter
from typing import Final, Literal

from docpipe.convert.core.base import Content, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Paragraph, Preformatted, Table, clean, even, tidy
from docpipe.convert.core.encoding import charset_of, decode
from docpipe.convert.readers.text.columns import split
from docpipe.convert.readers.text.terminal import printed

_COLUMNS: Final = re.compile(r"\S(?: {3,}|\t)\S|^[ \t]{4,}\S|[-=_*]{12,}|[─-╿]", re.MULTILINE)
"""What makes lines depend on a typewriter's font: gaps that align, deep indents, rules, boxes."""
_DELIMITERS: Final = ",;\t|"
_SEPARATOR: Final = re.compile(r"\"?sep=([,;\t|])\"?[ \t]*\n", re.IGNORECASE)
_MOST_LINES: Final = 200
"""In one cell; more of them mean that a quotation mark was never closed."""
_MOST_CELLS: Final = 4_000_000
_CELL_LIMIT: Final = 10_000_000
_CHUNK: Final = 200_000


def read(source: Source) -> Content:
    """The text as paragraphs, or preformatted where its columns line up; CSV as a table.

    Raises: UnreadableError.
    """
    decoded = decode(source.data(), charset_of(source.declared))
    text = clean(printed(decoded.text))
    warnings = list(decoded.warnings)
    blocks: tuple[Block, ...] | None = None
    if source.media_type == "text/csv":
        blocks = _table(text, warnings)
    blocks = blocks or tuple(paragraphs(text))
    if not blocks:
        raise UnreadableError("The file has no text.")
    return Content(
        blocks=blocks,
        warnings=tuple(warnings),
        libraries=("chardet",),
    )


def paragraphs(text: str) -> list[Block]:
    """Text as paragraphs, as tables where tabs or bars part cells, or preformatted where columns line up."""
    blocks: list[Block] = []
    whole = re.split(r"\n[ \t]*\n", text)
    for paragraph in (piece for part in whole if part.strip() for piece in split(part)):
        if isinstance(paragraph, Table):
            blocks.append(paragraph)
            continue
        typed = paragraph.expandtabs(8)
        if _COLUMNS.search(typed):
            lines = typed.strip("\n").rstrip()
            if blocks and isinstance(blocks[-1], Preformatted) and len(blocks[-1].text) < _CHUNK:
                blocks[-1] = Preformatted(f"{blocks[-1].text}\n\n{lines}")
            else:
                blocks.append(Preformatted(lines))
        elif paragraph.strip():
            blocks.append(Paragraph(tidy(paragraph)))
    return blocks


def _table(text: str, warnings: list[str]) -> tuple[Block, ...] | None:
    """The table, None when the lines do not have columns."""
    text = text.strip("\n")
    separator = _SEPARATOR.match(text)  # as Excel writes it
    mark = separator[1] if separator else _delimiter(text[:_CHUNK])
    if mark is None:
        return None
    text = text[separator.end() :] if separator else text
    rows = _rows(text, mark, csv.QUOTE_MINIMAL)
    if rows is None or any(cell.count("\n") > _MOST_LINES for row in rows for cell in row):
        rows = _rows(text, mark, csv.QUOTE_NONE)  # a quotation mark that nothing closes
    if not rows:
        return None
    if sum(map(len, rows)) >= _MOST_CELLS:
        warnings.append(f"only the first {_MOST_CELLS:,} cells are converted; the original has all")
    lines = even(rows)
    return (Table(lines[:1], lines[1:]),)


def _rows(text: str, mark: str, quoting: Literal[0, 3]) -> list[list[str]] | None:
    """The rows with something in them, up to the limit; None for what is no CSV."""
    rows: list[list[str]] = []
    left = _MOST_CELLS
    usual = csv.field_size_limit(_CELL_LIMIT)  # of the whole process
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark, quoting=quoting):
            if any(map(str.strip, row)):
                rows.append([tidy(cell) for cell in row])
                left -= len(row)
                if left <= 0:
                    break
    except csv.Error:
        return None
    finally:
        csv.field_size_limit(usual)
    return rows


def _delimiter(text: str) -> str | None:
    """The mark that gives most lines the same number of columns, None where none gives any."""

    def score(mark: str) -> tuple[int, int]:
        try:
            widths = [len(row) for row in itertools.islice(csv.reader(io.StringIO(text), delimiter=mark), 50)]
        except csv.Error:
            return 0, 0
        usual = Counter(width for width in widths if width > 1).most_common(1)
        return (usual[0][1], usual[0][0]) if usual else (0, 0)

    best = max(_DELIMITERS, key=score)
    return best if any(score(best)) else None
