"""HL7 times, as all of HL7 writes them, in ISO 8601."""

import re
from typing import Final

from docpipe.convert.core.xmltree import Element, local

_TIME: Final = re.compile(
    r"""
    (\d{4}) (?: -?(0[1-9]|1[0-2]) (?: -?(0[1-9]|[12]\d|3[01])
    (?: [T ]? ([01]\d|2[0-3]) :?([0-5]\d) (?: :?([0-5]\d)(?:\.\d+)?)?
    \s* (?: ([+-](?:0\d|1[0-4])):?([0-5]\d) | (Z) )? )? )? )?
    """,
    re.VERBOSE,
)


def date_of(element: Element | None) -> str | None:
    """The ISO 8601 form of an HL7 time, which may be an interval; None where it is unknown."""
    if element is None:
        return None
    value = element.get("value")
    for end in ("low", "high"):
        value = value or ((edge := _edge(element, end)) is not None and edge.get("value")) or None
    return iso_date(value or "")


def iso_date(value: str) -> str | None:
    """An HL7 time (`YYYYMMDDHHMMSS.UUUU+ZZZZ`, cut off anywhere) as ISO 8601."""
    match = _TIME.match(value.strip())
    if not match:
        return None
    year, month, day, hour, minute, second, zone, zone_minutes, utc = match.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if not hour:
        return date
    time = f"T{hour}:{minute}" + (f":{second}" if second else "")
    return date + time + (f"{zone}:{zone_minutes}" if zone else "Z" if utc else "")


def period(element: Element) -> str:
    """A time or an interval for people, empty where it is unknown."""
    edges = [_edge(element, end) for end in ("low", "high")]
    if edges == [None, None]:
        return iso_date(element.get("value") or "") or ""
    low, high = (iso_date(edge.get("value") or "") if edge is not None else None for edge in edges)
    if low and high and low != high:
        return f"{low} to {high}"
    open_ended = edges[1] is not None and not high
    return f"since {low}" if low and open_ended else low or (f"until {high}" if high else "")


def _edge(element: Element, end: str) -> Element | None:
    return next((inner for inner in element if local(inner) == end), None)
