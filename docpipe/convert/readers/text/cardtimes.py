"""Durations and repetitions of calendar entries (RFC 5545, 3.3.6 and 3.3.10) in words."""

import re
from typing import Final

from docpipe.convert.readers.cda.times import iso_date

_DURATION: Final = re.compile(
    r"([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
_NAMES: Final = ("week", "day", "hour", "minute", "second")
_EVERY: Final = {
    "SECONDLY": "second", "MINUTELY": "minute", "HOURLY": "hour", "DAILY": "day", "WEEKLY": "week",
    "MONTHLY": "month", "YEARLY": "year",
}  # fmt: skip
_DAYS: Final = {
    "MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday", "SA": "Saturday",
    "SU": "Sunday",
}  # fmt: skip
_ORDINALS: Final = {"1": "first", "2": "second", "3": "third", "4": "fourth", "5": "fifth", "-1": "last"}


def span_in_words(text: str) -> str:
    """`PT1H30M` is 1 hour 30 minutes, `-P1D` 1 day before; anything else unchanged."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()[1:]):
        return text
    parts = [
        f"{int(number)} {name}{'' if int(number) == 1 else 's'}"
        for number, name in zip(match.groups()[1:], _NAMES, strict=True)
        if number and int(number)
    ]
    words = " ".join(parts)
    return f"{words} before" if match[1] == "-" and words else words or text


def repetition(text: str) -> str:
    """`FREQ=WEEKLY;COUNT=3` is every week, 3 times; unchanged where it has parts that are not known."""
    parts = dict(part.upper().split("=", 1) for part in text.split(";") if "=" in part)
    name = _EVERY.get(parts.pop("FREQ", ""))
    parts.pop("WKST", None)
    if name is None or not parts.keys() <= {"INTERVAL", "COUNT", "UNTIL", "BYDAY"}:
        return text
    step = parts.get("INTERVAL", "1")
    words = [f"every {name}" if step == "1" else f"every {step} {name}s"]
    if days := parts.get("BYDAY"):
        words.append("on " + ", ".join(map(_day, days.split(","))))
    if count := parts.get("COUNT"):
        words.append(f"{count} times" if count != "1" else "once")
    if until := parts.get("UNTIL"):
        words.append(f"until {iso_date(until) or until}")
    return ", ".join(words)


def _day(text: str) -> str:
    number, day = text[:-2].removeprefix("+"), _DAYS.get(text[-2:], text[-2:])
    return f"the {_ORDINALS.get(number, number)} {day}" if number else day
