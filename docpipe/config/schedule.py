"""The tables `[[schedule]]` of the configuration: whom `docpipe serve` retrieves again, and when."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final
from zoneinfo import ZoneInfo

from docpipe.config.key import key as _key
from docpipe.config.parsing import parse_duration, parse_text
from docpipe.errors import ConfigError

EVERYBODY: Final = "all"
_SHORTEST_S: Final = 3600.0
_LONGEST_NAME: Final = 80
_SOME_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)
_CONDITION: Final = re.compile(r"[=<>]")
_COLUMN: Final = re.compile(r"[^=!<>]+")


def parse_every(value: Any) -> str:
    """Read a span of time such as "7d", or a cron expression of five fields."""
    text = " ".join(str(value).split())
    if isinstance(value, bool) or not (period_of(text) or _is_cron(text)):
        raise ValueError(
            'a time of an hour or more such as "7d" or "12h", or a cron expression such as "30 2 * * 1-5" '
            "(minute, hour, day of the month, month, day of the week)"
        )
    return text


def period_of(every: str) -> float | None:
    """The seconds of a span of time, None for a cron expression and for a span of less than an hour."""
    try:
        seconds = parse_duration(every)
    except ValueError:
        return None
    return seconds if seconds >= _SHORTEST_S else None


def _is_cron(text: str) -> bool:
    """Whether a text is a cron expression of five fields, and some time meets it."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 -- most runs have no schedule

    try:
        return len(text.split()) == 5 and bool(next(CronSim(text, _SOME_DAY)))  # noqa: PLR2004 -- no seconds
    except (CronSimError, StopIteration, RuntimeError):
        return False


def parse_zone(value: Any) -> str:
    """Read the name of a time zone."""
    try:
        return ZoneInfo(parse_text(value)).key
    except (LookupError, OSError, ValueError) as error:  # not known here, or no name at all
        raise ValueError(
            'a time zone that this machine knows, such as "UTC" or "Europe/Berlin" (package tzdata)'
        ) from error


def parse_label(value: Any) -> str:
    """Read a name that stands in addresses and metrics."""
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= _LONGEST_NAME or not text.isprintable() or "/" in text:
        raise ValueError(f"a text of 1 to {_LONGEST_NAME} characters on one line, without a slash")
    return text


def parse_who(value: Any) -> tuple[str, ...]:
    """Read whom a schedule is for: "all", a file, or conditions on columns."""
    items = [value] if isinstance(value, str) else value
    good = isinstance(items, list) and items and all(isinstance(item, str) and item.strip() for item in items)
    if not good or (len(items) > 1 and not all(map(is_condition, items))):
        raise ValueError(
            '"all", the path of a file with patient ids, a condition such as "ward=B2", or a list of those'
        )
    return tuple(item.strip() for item in items)


def is_condition(text: str) -> bool:
    """Whether a text is a condition on a column, and not the path of a file."""
    return _CONDITION.search(text) is not None


def parse_low_priority(value: Any) -> int:
    """Read the priority of scheduled runs, 0 or below."""
    if isinstance(value, bool) or not re.fullmatch(r"0|-[1-9]", str(value)):
        raise ValueError("a whole number from -9 to 0")
    return int(value)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Patients who are retrieved again and again; the table may stand several times."""

    name: str = _key(
        parse_label,
        "",
        about="its name on the page and in the API; default: its patients and times",
        example='"every night"',
    )
    patients: tuple[str, ...] = _key(
        parse_who,
        (),
        about="whom `docpipe serve` retrieves again: `all`, a file of patient ids, or a condition such as "
        "`ward=B2` (or a list of conditions, all of which hold); required",
        example='"all"',
    )
    every: str = _key(
        parse_every,
        "",
        about="how often, such as `7d`, or a cron expression such as `30 2 * * 1-5`; required",
        example='"7d"',
    )
    zone: str = _key(parse_zone, "UTC", about="time zone of the cron expression, such as `Europe/Berlin`")
    spread: float = _key(
        parse_duration,
        3600.0,
        about="how far the patients of a cron expression are spread after each of its times; those of a time "
        "such as `7d` are spread over all of it",
    )
    priority: int = _key(
        parse_low_priority, -9, about="priority of these runs, below that of all others: -9 to 0"
    )


def completed(schedules: Iterable[Schedule]) -> tuple[Schedule, ...]:
    """The schedules, each with a name of its own.

    Raises:
        ConfigError: if a key is missing, or two have the same name.
    """
    named = []
    for number, schedule in enumerate(schedules, 1):
        for key in ("patients", "every"):
            if not getattr(schedule, key):
                raise ConfigError(
                    f"[[schedule]] {number}: `{key}` is missing: it needs patients and every, such as "
                    'patients = "all" and every = "7d".'
                )
        named.append(replace(schedule, name=schedule.name or _name_of(schedule)))
    for name, times in Counter(schedule.name for schedule in named).items():
        if times > 1:
            raise ConfigError(
                f"{times} schedules are called {name!r}: give each a `name` of its own, by which it is "
                "paused."
            )
    return tuple(named)


def _name_of(schedule: Schedule) -> str:
    """What it is for and when; a condition by its column alone, since its value may be of a person."""
    first = schedule.patients[0]
    if is_condition(first):
        columns = (_COLUMN.match(item) for item in schedule.patients)
        who = "where " + ", ".join(column[0].strip() if column else "?" for column in columns)
    else:
        who = first if first == EVERYBODY else PurePath(first).name
    return f"{who}, {schedule.every}".replace("/", "-")[:_LONGEST_NAME]
