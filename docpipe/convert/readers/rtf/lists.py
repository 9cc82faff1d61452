"""The tables of lists of RTF (RTF 1.9.1, List Tables): labels for paragraphs that do not bear theirs."""

from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.symbols import in_font
from docpipe.convert.readers.office.levels import MOST, Level, next_label

_FORMS: Final = {
    0: "decimal", 1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter", 5: "ordinal",
    6: "cardinalText", 7: "ordinalText", 8: "hex", 9: "chicago", 10: "ideographDigital",
    11: "japaneseCounting", 12: "aiueo", 13: "iroha", 14: "decimalFullWidth", 16: "japaneseCounting",
    18: "decimalEnclosedCircle", 20: "aiueoFullWidth", 21: "irohaFullWidth", 22: "decimalZero",
    23: "bullet", 24: "ganada", 25: "chosung", 26: "decimalEnclosedFullstop", 27: "decimalEnclosedParen",
    28: "decimalEnclosedCircleChinese", 30: "ideographTraditional", 31: "ideographZodiac",
    33: "taiwaneseCounting", 37: "chineseCounting", 39: "chineseCountingThousand", 45: "hebrew1",
    46: "arabicAlpha", 47: "hebrew2", 48: "arabicAbjad", 53: "thaiLetters", 54: "thaiNumbers",
    57: "numberInDash", 58: "russianLower", 59: "russianUpper", 255: "none",
}  # fmt: skip


@dataclass(slots=True)
class _Level:
    form: int = 0
    start: int = 1
    text: str = ""
    font: int | None = None
    decimal: bool = False
    restarts: bool = True


@dataclass(slots=True)
class RtfLists:
    """The tables of lists while they are read, and the labels of paragraphs after that."""

    _lists: dict[int, list[_Level]] = field(default_factory=dict)
    _levels: list[_Level] = field(default_factory=list)
    """Of the list that is being defined."""
    _overrides: dict[int, tuple[int, dict[int, int]]] = field(default_factory=dict)
    """List and first numbers by the number that paragraphs bear."""
    _list: int = 0
    _starts: dict[int, int] = field(default_factory=dict)
    _level: int = -1
    _counts: dict[int, dict[int, int]] = field(default_factory=dict)
    _met: set[int] = field(default_factory=set)

    def define(self, word: str, number: int) -> None:
        """A control word of the table of lists."""
        level = self._levels[-1] if self._levels else _Level()
        match word:
            case "list":
                self._levels = []
            case "listlevel":
                self._levels.append(_Level())
            case "levelnfc" | "levelnfcn":
                level.form = number
            case "levelstartat":
                level.start = max(0, min(number, MOST))
            case "levellegal":
                level.decimal = bool(number)
            case "levelnorestart":
                level.restarts = not number
            case "f":
                level.font = number
            case "listid":
                self._lists[number] = self._levels

    def override(self, word: str, number: int) -> None:
        """A control word of the table of overrides, by which paragraphs refer to lists."""
        match word:
            case "listoverride":
                self._starts, self._level = {}, -1
            case "listid":
                self._list = number
            case "lfolevel":
                self._level += 1
            case "levelstartat":
                self._starts[self._level] = max(0, min(number, MOST))
            case "ls":
                self._overrides[number] = (self._list, self._starts)

    def text(self, text: str) -> None:
        """A part of the text of a level: its length, then signs, and for numbers the level from 0."""
        if self._levels:
            self._levels[-1].text += text

    def label(self, number: int, level: int, fonts: dict[int, str]) -> str:
        """Count the next paragraph of a list and give its label; empty for a plain bullet."""
        id_, starts = self._overrides.get(number, (0, {}))
        levels = {at: _level_of(each, fonts) for at, each in enumerate(self._lists.get(id_, ()))}
        counts = self._counts.setdefault(id_, {})
        if starts and number not in self._met:
            counts.clear()
        self._met.add(number)
        return next_label(levels, counts, level, starts)


def _level_of(level: _Level, fonts: dict[int, str]) -> Level:
    length = ord(level.text[0]) if level.text else 0
    text = level.text[1 : 1 + length]
    if level.form == 23:  # noqa: PLR2004 - bullets
        text = in_font(fonts.get(level.font) if level.font is not None else None, text)
    else:
        text = "".join(f"%{ord(each) + 1}" if ord(each) <= 8 else each for each in text)  # noqa: PLR2004
    return Level(_FORMS.get(level.form, "decimal"), level.start, text, None, level.decimal, level.restarts)
