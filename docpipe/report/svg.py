"""Pictures in the report, as inline SVG that needs nothing from anywhere."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from docpipe.model import Json
from docpipe.report.words import shown

_LABEL: Final = 210
_WIDTH: Final = 720
_ROW: Final = 24
_MOST_ROWS: Final = 14


def bars(caption: str, rows: Sequence[tuple[str, int]]) -> str:
    """Horizontal bars in the given order; beyond some rows the rest is one."""
    if len(rows) > _MOST_ROWS:
        rest = sum(count for _, count in rows[_MOST_ROWS - 1 :])
        rows = [*rows[: _MOST_ROWS - 1], ("others", rest)]
    room = _WIDTH - _LABEL - 60
    most = max((count for _, count in rows), default=1)
    body = "".join(
        f'<text x="{_LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(shown(label, 30))}</text>'
        f'<rect x="{_LABEL}" y="{y + 4}" width="{max(2, count / most * room):.0f}" height="16"/>'
        f'<text x="{_LABEL + 8 + count / most * room:.0f}" y="{y + 16}">{count}</text>'
        for y, (label, count) in zip(range(0, len(rows) * _ROW, _ROW), rows, strict=True)
    )
    told = "; ".join(f"{shown(label, 30)}: {count}" for label, count in rows)
    return _framed(f"{caption}: {told}", len(rows) * _ROW, body)


def timeline(steps: list[Json]) -> str:
    """One row an activity, from its first beginning to its last end; all conversions share a row."""
    spans: dict[str, tuple[float, float, int]] = {}
    for step in steps:
        begin = _seconds(step["started"])
        end = _seconds(step["finished"] or step["started"])
        first, last, number = spans.get(step["activity"], (begin, end, 0))
        spans[step["activity"]] = (min(first, begin), max(last, end), number + 1)
    if not spans:
        return ""
    start = min(begin for begin, _, _ in spans.values())
    whole = max(0.001, max(end for _, end, _ in spans.values()) - start)
    room = _WIDTH - _LABEL - 90
    body, told = "", []
    for y, (activity, (begin, end, number)) in zip(
        range(0, len(spans) * _ROW, _ROW), spans.items(), strict=True
    ):
        x, width = _LABEL + (begin - start) / whole * room, max(2.0, (end - begin) / whole * room)
        label = f"{number} times {activity}" if number > 1 else activity
        took = _took(end - begin)
        told.append(f"{label}: {took}")
        body += (
            f'<text x="{_LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="16"/>'
            f'<text x="{x + width + 6:.1f}" y="{y + 16}">{took}</text>'
        )
    return _framed("Timeline. " + "; ".join(told), len(spans) * _ROW, body)


def _framed(description: str, height: int, body: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height + 6}" role="img" aria-label="{escape(description)}">{body}</svg>'
    )


def _seconds(moment: Any) -> float:
    return datetime.fromisoformat(str(moment)).timestamp()


def _took(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
