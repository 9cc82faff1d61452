"""A forecast as a picture: SVG that needs nothing from anywhere."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from docpipe.plan.course import Course
from docpipe.plan.forecast import Forecast
from docpipe.plan.setup import Outage

_WIDTH: Final = 900
_HEIGHT: Final = 420
_LEFT: Final = 60
_RIGHT: Final = 20
_TOP: Final = 30
_BOTTOM: Final = 70
_POINTS: Final = 400
_COLOURS: Final = ("#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b")
_HELD: Final = {
    "search quota": "#dbe9f6",
    "status quota": "#e3f1df",
    "conversion": "#fdebd3",
    "downloads": "#ece5f5",
    "disk": "#f3e3d8",
    "tracker quota": "#f7e1ee",
}
_OUTAGE: Final = "#f6c9c9"
_DOWN: Final = "#c0392b"
_STRIP: Final = 5
_OTHER: Final = "#f4f4f4"
_STEPS_S: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 2 * 3600, 4 * 3600, 12 * 3600, 86400, 7 * 86400)
_MOST_MARKS: Final = 12


def drawn(forecast: Forecast) -> str:
    """How many runs have ended over time; behind that, by its colour, what holds them up."""
    lines = [("as planned", forecast.course)]
    if forecast.undisturbed is not None:
        lines.append(("without the outage", forecast.undisturbed))
    lines += [(f"with {change.what}", change.course) for change in forecast.changes]
    longest = max((course.done_s for _, course in lines), default=0.0) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    total = max(1, len(forecast.course.ended))
    body = _held(forecast.course, scale) + _axes(longest, scale, total)
    body += _outages(forecast.setup.outages, longest, scale)
    for number, (name, course) in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        points = _points(course, scale, total)
        body += f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'
        body += f'<text x="{_LEFT + 10}" y="{_TOP + 18 + 16 * number}" fill="{colour}">{escape(name)}</text>'
    body += _legend(forecast.course)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Runs that have ended over time" font-family="sans-serif" font-size="12">{body}</svg>\n'
    )


def _y(part: float) -> float:
    return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)


def _points(course: Course, scale: float, total: int) -> str:
    ended = course.ended
    step = max(1, len(ended) // _POINTS)
    chosen = [*range(0, len(ended), step), len(ended) - 1] if ended else []
    pairs = ((_LEFT + ended[number] * scale, _y((number + 1) / total)) for number in chosen)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in [(_LEFT, _y(0)), *pairs])


def _held(course: Course, scale: float) -> str:
    return "".join(
        f'<rect x="{_LEFT + hour.start * scale:.1f}" y="{_TOP}" width="{hour.seconds * scale:.1f}" '
        f'height="{_HEIGHT - _TOP - _BOTTOM}" fill="{_colour(hour.bottleneck)}"/>'
        for hour in course.hours
    )


def _outages(outages: Iterable[Outage], longest: float, scale: float) -> str:
    """Exact to the second, while bottlenecks are per hour."""
    body = ""
    for outage in outages:
        start = min(outage.start or 0.0, longest)
        width = min(outage.seconds, longest - start) * scale
        body += (
            f'<rect x="{_LEFT + start * scale:.1f}" y="{_y(0) - _STRIP}" width="{width:.1f}" '
            f'height="{_STRIP}" fill="{_DOWN}"><title>{outage.service} is down</title></rect>'
        )
    return body


def _colour(bottleneck: str) -> str:
    return _OUTAGE if bottleneck.startswith("outage") else _HELD.get(bottleneck, _OTHER)


def _axes(longest: float, scale: float, total: int) -> str:
    step = next((step for step in _STEPS_S if longest / step <= _MOST_MARKS), _STEPS_S[-1])
    body = "".join(
        f'<text x="{_LEFT + mark * scale:.1f}" y="{_y(0) + 16}" text-anchor="middle">{_short(mark)}</text>'
        for mark in range(0, int(longest) + 1, step)
    )
    for quarter in range(5):
        y = _y(quarter / 4)
        body += f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ccc"/>'
        body += f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{round(total * quarter / 4)}</text>'
    return body + f'<text x="{_LEFT}" y="{_TOP - 12}">runs that have ended</text>'


def _short(seconds: int) -> str:
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _legend(course: Course) -> str:
    names: Sequence[str] = list(dict.fromkeys(hour.bottleneck for hour in course.hours))
    body = f'<text x="{_LEFT}" y="{_HEIGHT - 16}">held up by:</text>'
    for number, name in enumerate(names):
        x = _LEFT + 80 + 170 * number
        body += (
            f'<rect x="{x}" y="{_HEIGHT - 27}" width="14" height="14" stroke="#999" fill="{_colour(name)}"/>'
        )
        body += f'<text x="{x + 20}" y="{_HEIGHT - 16}">{escape(name)}</text>'
    return body
