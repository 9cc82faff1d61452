"""The lines of a document around what a search matches."""

import re
from collections.abc import Sequence
from typing import Final

from docpipe.search.query import Term, fold
from docpipe.search.shapes import Line

MOST_LINES: Final = 3
_WIDTH: Final = 160
_BEFORE: Final = 60
"""Characters of a long line that stay before its first match."""


def lines_around(text: str, terms: Sequence[Term]) -> list[Line]:
    """The first lines that match, those with different terms before repetitions.

    Args:
        text: of the document.
        terms: of the query.

    Returns:
        At most three lines, in the order of the text.
    """
    patterns = [term.pattern for term in terms]
    missing = set(range(len(patterns)))
    chosen: dict[int, str] = {}
    others: dict[int, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        folded = fold(line)
        matching = {which for which, pattern in enumerate(patterns) if pattern.search(folded)}
        if not matching:
            continue
        target = chosen if matching & missing and len(chosen) < MOST_LINES else others
        if len(target) < MOST_LINES:
            target[number] = line
        missing -= matching
        if not missing and len(chosen) + len(others) >= MOST_LINES:
            break
    for number in list(others)[: MOST_LINES - len(chosen)]:
        chosen[number] = others[number]
    return [_line(number, chosen[number], patterns) for number in sorted(chosen)]


def _line(number: int, line: str, patterns: Sequence[re.Pattern[str]]) -> Line:
    marks = _marks(line, patterns)
    start = max(0, marks[0][0] - _BEFORE) if len(line) > _WIDTH else 0
    part = line[start : start + _WIDTH]
    visible = "".join(char if char.isprintable() else " " for char in part)
    if start:
        visible = "…" + visible[1:]
    if start + _WIDTH < len(line):
        visible = visible[:-1] + "…"
    within = [
        (begin - start, min(end - start, len(visible)))
        for begin, end in marks
        if begin < start + len(visible)
    ]
    return Line(number=number, text=visible, marks=within)


def _marks(line: str, patterns: Sequence[re.Pattern[str]]) -> list[tuple[int, int]]:
    """Where the patterns match, in code points of the line itself, without overlaps."""
    places: list[int] = []
    folded: list[str] = []
    for place, char in enumerate(line):
        for plain in fold(char):
            folded.append(plain)
            places.append(place)
    places.append(len(line))
    text = "".join(folded)
    spans = sorted(
        (places[match.start()], places[match.end() - 1] + 1)
        for pattern in patterns
        for match in pattern.finditer(text)
    )
    merged: list[tuple[int, int]] = []
    for begin, end in spans:
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
