"""Numbers of a spreadsheet as it shows them (ECMA-376-1, 18.8.30 and 18.8.31).

Dates and times are written as ISO 8601 whatever the format says: 1/2/2024 means two days to two readers.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

BUILT_IN: Final = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "$#,##0;-$#,##0", 6: "$#,##0;-$#,##0",
    7: "$#,##0.00;-$#,##0.00", 8: "$#,##0.00;-$#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy",
    18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "m/d/yy h:mm",
    37: "#,##0;-#,##0", 38: "#,##0;-#,##0", 39: "#,##0.00;-#,##0.00", 40: "#,##0.00;-#,##0.00",
    41: "#,##0;-#,##0;-", 42: "$#,##0;-$#,##0;-", 43: "#,##0.00;-#,##0.00;-", 44: "$#,##0.00;-$#,##0.00;-",
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
} | dict.fromkeys((*range(27, 32), 36, *range(50, 59)), "yyyy-mm-dd") | dict.fromkeys(
    (32, 33, 34, 35), "h:mm:ss"
)  # fmt: skip
GENERAL: Final = "General"
_TOKEN: Final = re.compile(
    r'"([^"]*)"?|\\(.)|_.|\*.|\[([^\]]*)\]|(General)|(AM/PM|A/P)|(E[+-])|([0#?]+)|([ymdhseg]+)|(.)',
    re.IGNORECASE | re.DOTALL,
)
_COLOURS: Final = {
    "red": "red", "yellow": "yellow", "color3": "red", "color6": "yellow", "color9": "red",
    "color44": "orange", "color45": "orange", "color46": "orange", "color53": "red",
}  # fmt: skip
"""Names that flag numbers, and the same by their numbers in Excel's palette."""
_CONDITION: Final = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[0-9.]+)")
_DAY_S: Final = 86_400
_LEAP_BUG: Final = 60
"""Serial numbers below this are off by one: Excel has a 29 February 1900, as Lotus 1-2-3 had."""
_LAST_DAY: Final = 2_958_466
_EXACT: Final = 1e15
_LONGEST: Final = 8
"""Decimals; with the digits of the largest number they stay within a decimal's precision."""
_LARGEST: Final = 1e18
_TEXT: Final = 3
"""Which part of a format is for text."""


@dataclass(frozen=True, slots=True)
class _Section:
    """One of the up to four parts of a format, for one kind of number."""

    tokens: tuple[tuple[str, str], ...]
    condition: tuple[str, float] | None
    date: bool
    time: bool
    elapsed: bool
    colour: str = ""
    """Red, orange or yellow where the part sets its numbers in such a colour."""
    blank: bool = False
    """Whether nothing at all is written here, which shows nothing."""


def hides_text(code: str) -> bool:
    """Whether a format shows nothing of a text, as `;;;` does."""
    sections = _sections(code)
    return len(sections) > _TEXT and sections[_TEXT].blank


def with_text(text: str, code: str) -> str:
    """A text in its format, such as `"Result: "@`."""
    sections = _sections(code)
    section = sections[-1] if len(sections) in {1, _TEXT + 1} else None
    if not text or section is None or ("at", "@") not in section.tokens:
        return text
    return "".join(text if kind == "at" else part for kind, part in section.tokens if kind in {"at", "text"})


def colour_of(value: float, code: str) -> str:
    """The colour that flags a number: red, orange or yellow for numbers of one kind alone; else empty."""
    sections = _sections(code)
    section = _chosen(sections, value)[0]
    return section.colour if section is not None and len(sections) > 1 else ""


def formatted(value: float, code: str, *, from_1904: bool = False) -> str:
    """A number in its format."""
    sections = _sections(code)
    section, magnitude = _chosen(sections, value)
    if section is None:
        return plain(value)
    if section.blank:
        return ""
    try:
        if section.date or section.time or section.elapsed:
            return _moment(value, section, from_1904=from_1904)
        return _number(magnitude, section)
    except (ValueError, OverflowError):
        return plain(value)


def plain(value: float) -> str:
    """A number without a format: as exact as spreadsheets are, without the noise of binary fractions."""
    if math.isfinite(value) and value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    text = f"{value:.15g}"
    if "e" in text:
        number, _, exponent = text.partition("e")
        return f"{number}E{int(exponent):+03d}"
    return text


@lru_cache(maxsize=2000)
def _sections(code: str) -> tuple[_Section, ...]:
    """The parts of a format; none where it shows numbers as they are."""
    if code.strip().lower() in {"", "general", "@", "standard"}:
        return ()
    parts: list[list[tuple[str, str]]] = [[]]
    blank = [True]
    for token in _TOKEN.finditer(code[:1000]):
        kind, text = _token(token)
        if kind == "end":
            parts.append([])
            blank.append(True)
            continue
        blank[-1] = False
        if kind:
            parts[-1].append((kind, text))
    return tuple(
        replace(_section(tokens), blank=empty) for tokens, empty in zip(parts[:4], blank, strict=False)
    )


def _token(match: re.Match[str]) -> tuple[str, str]:
    """What a piece of a format is: text, digits, a part of a date and so on; nothing for colours and gaps."""
    quoted, escaped, bracket, *others = match.groups()
    if quoted is not None or escaped is not None:
        return "text", quoted if quoted is not None else escaped
    if bracket is not None:
        return _bracketed(bracket)
    for kind, text in zip(("general", "noon", "exponent", "digits", "date"), others, strict=False):
        if text:
            return ("date", "h") if kind == "noon" else (kind, text.lower() if kind == "date" else text)
    other = others[-1] or ""
    if other == "@":
        return "at", other
    return (
        "end" if other == ";" else "mark" if other and other in ".,%/" else "text" if other else ""
    ), other


def _bracketed(text: str) -> tuple[str, str]:
    """What stands in brackets: elapsed time, a condition, a colour, a currency."""
    if re.fullmatch("h+|m+|s+", text, re.IGNORECASE):
        return "elapsed", text.lower()
    if _CONDITION.fullmatch(text):
        return "condition", text
    if colour := _COLOURS.get(text.lower().replace(" ", "")):
        return "colour", colour
    return ("text", text[1:].partition("-")[0]) if text.startswith("$") else ("", "")


def _section(tokens: list[tuple[str, str]]) -> _Section:
    codes = [text for kind, text in tokens if kind == "date"]
    clock = any("h" in text or "s" in text for text in codes)
    # A lone "m" is a month unless hours or seconds are about; no date has digits but those of seconds.
    date = any(set(text) & set("ydeg") for text in codes) or (
        any("m" in text for text in codes) and not clock
    )
    digits = any(kind == "digits" for kind, _ in tokens)
    limit = next((_CONDITION.fullmatch(text) for kind, text in tokens if kind == "condition"), None)
    return _Section(
        tuple(token for token in tokens if token[0] not in {"condition", "colour"}),
        (limit[1], _float(limit[2])) if limit else None,
        date and (clock or not digits),
        clock,
        any(kind == "elapsed" for kind, _ in tokens),
        next((text for kind, text in tokens if kind == "colour"), ""),
    )


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _chosen(sections: tuple[_Section, ...], value: float) -> tuple[_Section | None, float]:
    """The part of the format for this number, and what it shows of it: a minus is the format's own, but
    where one part is for all numbers.
    """
    if not sections or not math.isfinite(value):
        return None, value
    if any(section.condition for section in sections):
        for section in sections:
            if section.condition is None or _meets(value, *section.condition):
                return section, abs(value) if len(sections) > 1 and section is not sections[0] else value
        return None, value
    if len(sections) == 1 or value > 0 or (value == 0 and len(sections) < 3):  # noqa: PLR2004 - zero is third
        return sections[0], value
    return (sections[1], -value) if value < 0 else (sections[2], value)


def _meets(value: float, sign: str, limit: float) -> bool:
    return {
        "<": value < limit,
        ">": value > limit,
        "<=": value <= limit,
        ">=": value >= limit,
        "=": value == limit,
        "<>": value != limit,
    }[sign]


def _moment(value: float, section: _Section, *, from_1904: bool) -> str:
    if section.elapsed:
        return _elapsed(value, section)
    if not 0 <= value < _LAST_DAY:
        return plain(value)
    seconds = round(value * _DAY_S, 3)
    whole = round(seconds)
    days = value
    if abs(seconds - whole) < 0.002:  # noqa: PLR2004 - noise of the binary fraction
        days, seconds = whole / _DAY_S, float(whole)
    first = (1904, 1, 1) if from_1904 else (1899, 12, 30 if days >= _LEAP_BUG else 31)
    start = datetime(*first)  # noqa: DTZ001 - spreadsheets know no zones
    try:
        when = start + timedelta(seconds=seconds)
    except OverflowError:
        return plain(value)
    clock = when.strftime("%H:%M:%S") if when.second or when.microsecond else when.strftime("%H:%M")
    if section.time and not section.date:
        return clock
    date = f"{when.year:04d}-{when.month:02d}-{when.day:02d}"
    return f"{date} {clock}" if section.time else date


def _elapsed(value: float, section: _Section) -> str:
    unit = next(text[0] for kind, text in section.tokens if kind == "elapsed")
    sign = "-" if value < 0 else ""
    seconds = round(abs(value) * _DAY_S)
    codes = "".join(text for kind, text in section.tokens if kind == "date")
    if unit == "s":
        return f"{sign}{seconds}"
    minutes, seconds = divmod(seconds, 60)
    tail = f":{seconds:02d}" if "s" in codes else ""
    if unit == "m":
        return f"{sign}{minutes}{tail}"
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}" + (f":{minutes:02d}" if "m" in codes else "") + tail


def _number(value: float, section: _Section) -> str:
    tokens = section.tokens
    kinds = [kind for kind, _ in tokens]
    if "general" in kinds:
        return "".join(plain(value) if kind == "general" else text for kind, text in tokens)
    if "digits" not in kinds:
        parts = (plain(value) if kind == "at" else text for kind, text in tokens)
        return "".join(parts) or plain(value)
    first = kinds.index("digits")
    last = len(kinds) - 1 - kinds[::-1].index("digits")
    before, inner, after = tokens[:first], tokens[first : last + 1], tokens[last + 1 :]
    scale = sum(text.count("%") for kind, text in tokens if kind == "mark")
    thousands = 0
    for kind, text in after:
        if (kind, text) != ("mark", ","):
            break
        thousands += 1
    value = value * 100.0**scale / 1000.0**thousands
    head = "".join(text for _, text in before)
    tail = "".join(text for _, text in after[thousands:])
    sign = "-" if value < 0 else ""
    body = _digits(abs(value), inner)
    if not body.strip("0.,"):
        sign = ""  # minus zero
    return f"{sign}{head}{body}{tail}".strip()


def _digits(value: float, tokens: tuple[tuple[str, str], ...]) -> str:
    if ("mark", "/") in tokens:
        return _fraction(value, tokens)
    point = tokens.index(("mark", ".")) if ("mark", ".") in tokens else len(tokens)
    power = next((at for at, (kind, _) in enumerate(tokens) if kind == "exponent"), len(tokens))
    places = "".join(text for kind, text in tokens[point:power] if kind == "digits")
    most, least = min(len(places), _LONGEST), places.rfind("0") + 1
    if power < len(tokens):
        number, _, exponent = f"{value:.{most}e}".partition("e")
        return f"{_trimmed(number, least)}E{int(exponent):+03d}"
    if value >= _LARGEST:
        return plain(value)
    # Rounded as people do it: 37.25 becomes 37.3, where binary fractions would have it even.
    decimal = Decimal(f"{value:.15g}").quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP)
    number = _trimmed(f"{decimal:f}", least)
    whole, _, decimals = number.partition(".")
    front = tokens[: min(point, power)]
    text = _grouped(whole, front)
    suffix = "".join(text for kind, text in tokens[point:power] if kind == "text")
    return (f"{text}.{decimals}" if decimals else text) + suffix


def _trimmed(number: str, least: int) -> str:
    """Without the zeros at the end that a format leaves out."""
    whole, _, decimals = number.partition(".")
    decimals = decimals[:least] + decimals[least:].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def _grouped(whole: str, tokens: tuple[tuple[str, str], ...]) -> str:
    """The whole part: digits grouped, zeros filled in, signs within (as of a phone number) in place."""
    slots = "".join(text for kind, text in tokens if kind == "digits")
    required = (
        len(slots) - slots.index("0") if "0" in slots else 0
    )  # a place right of a 0 is required as well
    whole = whole.lstrip("0").rjust(required, "0")
    if not any(kind == "text" for kind, _ in tokens):
        return f"{int(whole):,}" if ("mark", ",") in tokens and whole.isdigit() and whole[0] != "0" else whole
    out: list[str] = []
    left = whole
    for kind, text in reversed(tokens):
        if kind == "digits":
            take = min(len(text), len(left))
            out.append(left[len(left) - take :])
            left = left[: len(left) - take]
        elif kind == "text" and left:
            out.append(text)
    return left + "".join(reversed(out))


def _fraction(value: float, tokens: tuple[tuple[str, str], ...]) -> str:
    at = tokens.index(("mark", "/"))
    below = next((text for kind, text in tokens[at + 1 :] if kind == "digits"), "?")
    mixed = sum(kind == "digits" for kind, _ in tokens[:at]) > 1
    limit = 10 ** min(len(below), 5) - 1
    whole = int(value) if mixed else 0
    part = Fraction(value - whole).limit_denominator(limit)
    if part == 1 and mixed:
        whole, part = whole + 1, Fraction(0)
    if not part and mixed:
        return str(whole)
    return (f"{whole} " if whole else "") + f"{part.numerator}/{part.denominator}"
