"""Levels of numbered lists as Word counts them, in DOCX and in RTF."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from docpipe.convert.core.blocks import tidy
from docpipe.convert.readers.office.labels import bullet
from docpipe.convert.readers.office.numerals import numeral

DEEPEST: Final = 8
MOST: Final = 99_999
"""The highest number that a list may begin with."""
_PLACE: Final = re.compile("%([1-9])")


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a list: how its items are numbered."""

    form: str
    """As OOXML names it; bullet and none have no numbers."""
    start: int
    text: str
    """With %1 for the number of the first level and so on; of bullets the sign."""
    style: str | None = None
    """The style of paragraphs that are on this level."""
    decimal: bool = False
    """Whether all numbers in it are written in digits."""
    restarts: bool = True
    """Whether it begins anew under each item above."""


def next_label(
    levels: Mapping[int, Level], counts: dict[int, int], level: int, starts: Mapping[int, int] | None = None
) -> str:
    """Count the next item of a level and give its label; empty for a plain bullet.

    `counts` holds the numbers so far by level; `starts` first numbers that are not those of `levels`.
    """
    form = levels.get(level)
    if form is None:
        return ""
    first = {at: each.start for at, each in levels.items()} | dict(starts or {})
    counts[level] = counts.get(level, first[level] - 1) + 1
    for deeper in [each for each in counts if each > level]:
        if deeper not in levels or levels[deeper].restarts:
            del counts[deeper]
    if form.form == "bullet":
        return bullet(form.text)

    def number_of(match: re.Match[str]) -> str:
        at = int(match[1]) - 1
        other = levels.get(at)
        if other is None or other.form in {"bullet", "none"}:
            return ""
        return numeral(counts.setdefault(at, first[at]), "decimal" if form.decimal else other.form)

    return tidy(_PLACE.sub(number_of, form.text))
