"""Tables of RTF: each cell in its column, by the edges that its row gives (RTF 1.9.1, Table Definitions)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from docpipe.convert.core.blocks import even
from docpipe.convert.readers.office.flags import few, flagged, heads

_COLOURS: Final = re.compile(rb"\\colortbl\b([^{}]*)")
_PART: Final = re.compile(rb"\\(red|green|blue)([0-9]{1,3})")
_NEAR: Final = 120
"""Twips within which edges of two rows are one: rows of one table are moved by the gap between cells."""


@dataclass(frozen=True, slots=True)
class Row:
    """The texts of a row, and where its cells begin and end, in twips; no edges where the file gives none."""

    texts: tuple[str, ...]
    left: int = 0
    edges: tuple[int, ...] = ()
    colours: tuple[str, ...] = ()
    """Of the cells: red, orange or yellow where that may flag one."""


def colours(data: bytes) -> dict[int, str]:
    """The codes of the colours of a file's table by number."""
    codes: dict[int, str] = {}
    table = _COLOURS.search(data)
    for at, each in enumerate(table[1].split(b";") if table else ()):
        parts = {name: min(int(value), 255) for name, value in _PART.findall(each)}
        if parts:
            codes[at] = "".join(f"{parts.get(name, 0):02X}" for name in (b"red", b"green", b"blue"))
    return codes


@dataclass(slots=True)
class Definition:
    """How the next row is set out; it holds until the next definition."""

    left: int = 0
    edges: list[int] = field(default_factory=list)
    papers: list[int] = field(default_factory=list)
    """The numbers of the colours of the cells' backgrounds, 0 for none."""
    _paper: int = 0

    def take(self, word: str, number: int) -> None:
        """A control word of a row's definition."""
        match word:
            case "trowd":
                self.left, self.edges, self.papers, self._paper = 0, [], [], 0
            case "trleft":
                self.left = number
            case "clcbpat":
                self._paper = number
            case "cellx":
                self.edges.append(number)
                self.papers.append(self._paper)
                self._paper = 0

    def row(
        self, texts: Iterable[str], inks: Sequence[str] = (), papers: Mapping[int, str] | None = None
    ) -> Row:
        """A row of this form; `inks` are the colours of the letters in its cells, `papers` those of
        backgrounds by number.
        """
        texts = tuple(texts)
        behind = [(papers or {}).get(number, "") for number in self.papers]
        colours = (
            (behind[at] if at < len(behind) else "") or (inks[at] if at < len(inks) else "")
            for at in range(len(texts))
        )
        return Row(texts, self.left, tuple(self.edges), tuple(colours))


def _with_flags(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with the colours of flagged cells in words, where these are few."""
    named = [[*zip(row.texts, row.colours, strict=False)] for row in rows]
    top = heads(named)
    if not few(cell for row in named[top:] for cell in row):
        return rows
    return [
        replace(row, texts=tuple(flagged(*cell) for cell in cells)) if cells and at >= top else row
        for at, (row, cells) in enumerate(zip(rows, named, strict=True))
    ]


def grid(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    """The texts in columns: a row that begins late, or has wide cells, has empty ones there. A colour that
    flags a cell stands in words.
    """
    rows = _with_flags(rows)
    starts = [_starts(row) for row in rows]
    columns = _columns(at for each in starts for at in each or ())
    placed: list[dict[int, str]] = []
    for row, edges in zip(rows, starts, strict=True):
        places = [_nearest(columns, at) for at in edges or ()]
        if edges is None or len(set(places)) < len(places):
            places = list(range(len(row.texts)))
        places += range(max(places, default=-1) + 1, max(places, default=-1) + 1 + len(row.texts))
        placed.append(dict(zip(places, row.texts, strict=False)))
    width = max((max(row, default=-1) + 1 for row in placed), default=0)
    lines = [[row.get(at, "") for at in range(width)] for row in placed]
    used = [at for at in range(width) if any(at in row for row in placed)]
    return even([line[at] for at in used] for line in lines)


def _starts(row: Row) -> list[int] | None:
    """Where the cells begin; None where some cell has no edge."""
    if len(row.edges) < len(row.texts) or list(row.edges) != sorted(row.edges):
        return None
    return [row.left, *row.edges][: len(row.texts)]


def _columns(starts: Iterable[int]) -> list[int]:
    columns: list[int] = []
    for at in sorted(set(starts)):
        if not columns or at - columns[-1] > _NEAR:
            columns.append(at)
    return columns


def _nearest(columns: Sequence[int], at: int) -> int:
    return max(index for index, each in enumerate(columns) if each <= at)
