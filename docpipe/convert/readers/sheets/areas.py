"""Conditional formatting by what an area of a sheet holds: the highest values, doubles, sets of icons."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from docpipe.convert.readers.sheets.conditions import Value

Row: TypeAlias = Mapping[int, Value]
"""The values of a row's cells by column, from 0."""
Area: TypeAlias = tuple[int, int, int, int]
"""Columns from 0 and rows from 1: first column, first row, last column, last row."""

ICONS: Final[Mapping[str, tuple[str, ...]]] = {
    "3Arrows": ("↓", "→", "↑"), "3ArrowsGray": ("↓", "→", "↑"), "3Triangles": ("▼", "=", "▲"),
    "4Arrows": ("↓", "↘", "↗", "↑"), "4ArrowsGray": ("↓", "↘", "↗", "↑"),
    "5Arrows": ("↓", "↘", "→", "↗", "↑"), "5ArrowsGray": ("↓", "↘", "→", "↗", "↑"),
    "3TrafficLights1": ("[red]", "[yellow]", "[green]"), "3TrafficLights2": ("[red]", "[yellow]", "[green]"),
    "3Signs": ("[red]", "[yellow]", "[green]"), "3Flags": ("[red]", "[yellow]", "[green]"),
    "4TrafficLights": ("[black]", "[red]", "[yellow]", "[green]"),
    "4RedToBlack": ("[black]", "[gray]", "[pink]", "[red]"),
    "3Symbols": ("✗", "!", "✓"), "3Symbols2": ("✗", "!", "✓"), "3Stars": ("☆", "[half star]", "★"),
    "4Rating": ("[1 of 4]", "[2 of 4]", "[3 of 4]", "[4 of 4]"),
    "5Rating": ("[0 of 4]", "[1 of 4]", "[2 of 4]", "[3 of 4]", "[4 of 4]"),
    "5Quarters": ("○", "◔", "◑", "◕", "●"),
    "5Boxes": ("[0 of 4]", "[1 of 4]", "[2 of 4]", "[3 of 4]", "[4 of 4]"),
}  # fmt: skip
"""The signs of each set, that of the lowest values first."""


@dataclass(slots=True)
class Values:
    """The values of a sheet by row, and what is computed of its areas, each once."""

    rows: dict[int, Row] = field(default_factory=dict)
    _numbers: dict[tuple[Area, ...], list[float]] = field(default_factory=dict)
    _counts: dict[tuple[Area, ...], Counter[Value]] = field(default_factory=dict)

    def of(self, areas: Sequence[Area]) -> Iterator[Value]:
        """The values within some areas, blank cells left out."""
        for number, row in self.rows.items():
            for column, value in row.items():
                if value != "" and any(a <= column <= c and b <= number <= d for a, b, c, d in areas):
                    yield value

    def numbers(self, areas: tuple[Area, ...]) -> list[float]:
        """The numbers within some areas, the lowest first."""
        if areas not in self._numbers:
            self._numbers[areas] = sorted(each for each in self.of(areas) if isinstance(each, float))
        return self._numbers[areas]

    def count(self, areas: tuple[Area, ...], value: Value) -> int:
        """How often a value is within some areas; the case of texts does not matter."""
        if areas not in self._counts:
            self._counts[areas] = Counter(map(_folded, self.of(areas)))
        return self._counts[areas][_folded(value)]


def _folded(value: Value) -> Value:
    return value.casefold() if isinstance(value, str) else value


def is_top(values: Sequence[float], value: float, rank: int, *, percent: bool, bottom: bool) -> bool:
    """Whether a value is among the first `rank` of ordered ones, from either end."""
    number = max(1, len(values) * rank // 100) if percent else rank
    if not values or number < 1:
        return False
    number = min(number, len(values))
    return value <= values[number - 1] if bottom else value >= values[-number]


def beyond_mean(values: Sequence[float], value: float, *, below: bool, equal: bool) -> bool:
    """Whether a value is above or below the mean, or the mean itself where that counts."""
    mean = sum(values) / len(values) if values else value
    return (value < mean if below else value > mean) or (equal and value == mean)


def threshold(kind: str, given: float, values: Sequence[float]) -> float | None:
    """From which value an icon stands, None for a kind that is not judged."""
    if kind == "num":
        return given
    if not values:
        return None
    low, high = values[0], values[-1]
    if kind == "percent":
        return low + (high - low) * given / 100
    if kind == "percentile":
        place = (len(values) - 1) * min(max(given, 0.0), 100.0) / 100
        before = values[int(place)]
        return before + (values[min(int(place) + 1, len(values) - 1)] - before) * (place - int(place))
    return {"min": low, "max": high}.get(kind)
