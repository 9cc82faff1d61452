"""Which rows of a PDF's table are its head: they name columns, and have no figures."""

import re
from collections.abc import Sequence
from typing import Final

from docpipe.convert.core.blocks import Table, even
from docpipe.convert.core.marks import plain

_FACTS: Final = 2
"""Columns of a list of facts, whose first row is one of them."""
_LETTER: Final = re.compile(r"[^\W\d_]")
_FIGURE: Final = re.compile(r"\d")


def split_head(lines: Sequence[tuple[str, ...]]) -> Table:
    """The lines as a table. The first is its head if it names every column and others have figures."""
    listed = even(lines)
    first, rest = listed[0], listed[1:]
    named = all(_LETTER.search(plain(cell)) and not _FIGURE.search(cell) for cell in first)
    figures = any(_FIGURE.search(cell) for line in rest for cell in line)
    if named and figures and len(first) > _FACTS and len(rest) > 1:
        return Table((first,), rest)
    return Table((), listed)
