"""FHIR's Timing as one line: how often, when in the day, and from when to when."""

from collections.abc import Callable, Mapping
from typing import Any, Final

_UNITS: Final = {
    "s": "seconds", "min": "minutes", "h": "hours", "d": "days", "wk": "weeks", "mo": "months", "a": "years",
}  # fmt: skip
_EVENTS: Final = {
    "MORN": "in the morning", "MORN.early": "early in the morning", "MORN.late": "late in the morning",
    "NOON": "at noon", "AFT": "in the afternoon", "AFT.early": "early in the afternoon",
    "AFT.late": "late in the afternoon", "EVE": "in the evening", "EVE.early": "early in the evening",
    "EVE.late": "late in the evening", "NIGHT": "at night", "PHS": "after going to sleep",
    "HS": "at bedtime", "WAKE": "on waking", "C": "with meals", "CM": "with breakfast", "CD": "with lunch",
    "CV": "with dinner", "AC": "before meals", "ACM": "before breakfast", "ACD": "before lunch",
    "ACV": "before dinner", "PC": "after meals", "PCM": "after breakfast", "PCD": "after lunch",
    "PCV": "after dinner",
}  # fmt: skip
_DAYS: Final = {
    "mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "fri": "Friday",
    "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip
_REPEAT: Final = frozenset(
    {
        "frequency", "frequencyMax", "period", "periodMax", "periodUnit", "when", "offset", "dayOfWeek",
        "timeOfDay", "count", "countMax", "duration", "durationMax", "durationUnit", "boundsPeriod",
        "boundsDuration", "boundsRange",
    }
)  # fmt: skip

Inline = Callable[[Any], str | None]


def timing(value: Mapping[str, Any], inline: Inline) -> str | None:
    """A Timing in words, None for any other value and for members that are not known."""
    repeat = value.get("repeat", {})
    if not value or not set(value) <= {"repeat", "code", "event", "id"} or not isinstance(repeat, Mapping):
        return None
    if not set(repeat) <= _REPEAT or not ("repeat" in value or "event" in value):
        return None
    parts = [
        inline(value.get("code")),
        _often(repeat),
        *(_EVENTS.get(str(one), str(one)) for one in _listed(repeat.get("when"))),
        f"{repeat['offset']} minutes apart" if repeat.get("offset") else "",
        _on(repeat),
        _times("for {} {}", repeat, "duration", repeat.get("durationUnit")),
        _times("{} times in all", repeat, "count", ""),
        *(inline(repeat.get(name)) for name in ("boundsPeriod", "boundsDuration", "boundsRange")),
        inline(value.get("event")),
    ]
    if any(part is None for part in parts):
        return None
    return ", ".join(part for part in parts if part)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _on(repeat: Mapping[str, Any]) -> str:
    days = ", ".join(_DAYS.get(str(day), str(day)) for day in _listed(repeat.get("dayOfWeek")))
    hours = ", ".join(str(hour) for hour in _listed(repeat.get("timeOfDay")))
    return " ".join(part for part in (f"on {days}" if days else "", f"at {hours}" if hours else "") if part)


def _times(form: str, repeat: Mapping[str, Any], name: str, unit: Any) -> str:
    if repeat.get(name) is None:
        return ""
    most = repeat.get(f"{name}Max")
    number = f"{repeat[name]} to {most}" if most is not None else str(repeat[name])
    return form.format(number, _UNITS.get(str(unit), str(unit or ""))).strip()


def _often(repeat: Mapping[str, Any]) -> str:
    times = _times("{} times", repeat, "frequency", "")
    times = "once" if times == "1 times" else times
    if repeat.get("period") is None:
        return times
    unit = repeat.get("periodUnit") or ""
    every = _times("every {} {}", repeat, "period", unit)
    if str(repeat["period"]) == "1" and repeat.get("periodMax") is None and str(unit) in _UNITS:
        every = f"every {_UNITS[str(unit)].removesuffix('s')}"
    return f"{times} {every}".strip()
