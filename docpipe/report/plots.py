"""Pictures in the report: bars, and the timeline of the run.

Words stand beside the drawing as HTML, so that they keep their size on a phone and can be read out; only
bars are SVG, stretched to the full width. No element has a style attribute: the page's policy allows none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from msgspec.structs import replace

from docpipe.model import WAITS, Activity, WaitKind, count_of
from docpipe.report.labels import ACTIVITIES, one_line, span, type_of, year_of
from docpipe.results.report import Entry, PastActivity, PastWait

_MOST_ROWS: Final = 16
_MOST_YEARS: Final = 30
_STEPS: Final = (1, 5, 10, 50, 100, 500)
_WIDE: Final = 1000.0
_CLOSE: Final = 1.0  # bars with less between them are drawn as one: 10,000 conversions are not 10,000 shapes
_THIN: Final = 3.0
_MOST_TICKS: Final = 200
_MOST_CAUSES: Final = 2

Spans = list[tuple[float, float]]


def types(documents: list[Entry]) -> str:
    """How many documents there are of each type, most first."""
    rows = Counter(type_of(file) or "Unknown type" for file in documents).most_common()
    if len(rows) > _MOST_ROWS:
        rest = rows[_MOST_ROWS - 1 :]
        rows = [*rows[: _MOST_ROWS - 1], (count_of(len(rest), "other type"), sum(count for _, count in rest))]
    return _bars(rows)


def years(documents: list[Entry]) -> str:
    """How many there are of each year, the latest first, with the years between that have none."""
    by_year = Counter(year_of(file) for file in documents)
    undated = by_year.pop(None, 0)
    known = sorted(year for year in by_year if year is not None)
    rows = []
    if known:
        first, last = known[0], known[-1]
        step = next((step for step in _STEPS if last // step - first // step < _MOST_YEARS), _STEPS[-1])
        spans: Counter[int] = Counter()
        for year in known:
            spans[year // step] += by_year[year]
        rows = [
            (str(at) if step == 1 else f"{at * step} to {at * step + step - 1}", spans[at])
            for at in range(last // step, first // step - 1, -1)
        ]
    without = f"{undated:,} without a date" if undated else ""
    return (_bars(rows) if rows else "") + (f'<p class="faint">{without}</p>\n' if without else "")


def _bars(rows: Sequence[tuple[str, int]]) -> str:
    most = max((count for _, count in rows), default=1)
    return f'<ul class="bars">{"".join(_bar(label, count, most) for label, count in rows)}</ul>\n'


def _bar(label: str, count: int, most: int) -> str:
    width = round(count / most * _WIDE)
    return (
        f'<li><span class="what"><bdi>{escape(one_line(label, 40))}</bdi></span>'
        f"{_lane(_rect((0, width), 'bar', 2, 10)) if count else '<span></span>'}"
        f'<span class="number">{count:,}</span></li>'
    )


def _lane(shapes: str, height: int = 14) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDE:.0f} {height}" preserveAspectRatio="none" aria-hidden="true" '
        f'focusable="false">{shapes}</svg>'
    )


def _rect(place: tuple[float, float], kind: str, y: int, height: int) -> str:
    begin, end = place
    width = max(_THIN, end - begin)
    return (
        f'<rect class="{kind}" x="{min(begin, _WIDE - width):.1f}" y="{y}" width="{width:.1f}" '
        f'height="{height}"/>'
    )


def timeline(steps: list[PastActivity], waits: list[PastWait], finished: str) -> str:
    """One row for each activity: when it worked, what it waited for, and when the search was polled.

    Args:
        steps: activities, in the order of their beginning.
        waits: what they waited for.
        finished: when the report was written.
    """
    if not steps:
        return ""
    begin = min(_seconds(step.started) for step in steps)
    end = max(begin + 0.001, _seconds(finished), *(_seconds(step.end) for step in steps))
    rows = [_row(name, steps, waits, (begin, end)) for name in ACTIVITIES]
    there = {wait.kind for wait in waits}
    kinds = [kind for kind in WAITS if kind in there]
    legend = "".join(
        f'<li><svg viewBox="0 0 12 12" aria-hidden="true"><rect class="wait-{kind}" width="12" height="12"/>'
        f"</svg> waited for {WAITS[kind].noun}</li>"
        for kind in kinds
    )
    polled = any(step.polls for step in steps)
    legend += (
        '<li><svg viewBox="0 0 12 12" aria-hidden="true"><line class="tick" x1="6" x2="6" y1="0" y2="12"/>'
        "</svg> poll of the search</li>"
        if polled
        else ""
    )
    return (
        f'<p class="faint">From {_clock(begin)} to {_clock(end)} UTC, {span(end - begin)} in all.</p>\n'
        f'<ul class="lanes">{"".join(rows)}</ul>\n'
        + (f'<ul class="legend" aria-label="Legend">{legend}</ul>\n' if legend else "")
    )


def _row(name: Activity, steps: list[PastActivity], waits: list[PastWait], whole: tuple[float, float]) -> str:
    mine = [step for step in steps if step.activity == name]
    if not mine:
        return ""
    begin, end = whole

    def place(when: str) -> float:
        return (min(end, max(begin, _seconds(when))) - begin) / (end - begin) * _WIDE

    worked = [(place(step.started), place(step.end)) for step in mine]
    bad = any(step.outcome == "failed" for step in mine)
    shapes = [_rect(at, "act-failed" if bad else "act", 2, 10) for at in _merged(worked)]
    over = max(step.end for step in mine)  # of a wait that was the last, its end is known to the second only
    waited = [replace(wait, until=min(over, wait.until)) for wait in waits if wait.activity == name]
    shapes += [
        _rect((place(wait.since), place(wait.until)), f"wait-{wait.kind}", 2, 10)
        for wait in waited
        if wait.until > wait.since
    ]
    asked = [place(when) for step in mine for when in step.polls][-_MOST_TICKS:]
    shapes += [f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="14"/>' for x in asked]
    return (
        f'<li><span class="what">{ACTIVITIES[name]}</span>{_lane("".join(shapes))}'
        f'<span class="sum">{_row_words(mine, waited, len(asked))}</span></li>'
    )


def _row_words(steps: list[PastActivity], waits: list[PastWait], asked: int) -> str:
    """The row in words."""
    spans = _merged([(_seconds(step.started), _seconds(step.end)) for step in steps], 0.0)
    parts = [span(sum(end - begin for begin, end in spans))]
    if len(steps) > 1:
        parts.append(f"{len(steps):,} times")
    if failed := sum(step.outcome == "failed" for step in steps):
        parts.append("failed" if len(steps) == 1 else f"{failed:,} failed")
    if tries := sum(step.attempts - 1 for step in steps):
        parts.append(f"{tries:,} {'retry' if tries == 1 else 'retries'}")
    if asked:
        parts.append(f"asked {count_of(asked, 'time')}")
    waited: defaultdict[WaitKind, float] = defaultdict(float)
    for wait in waits:
        waited[WaitKind(wait.kind)] += max(0.0, _seconds(wait.until) - _seconds(wait.since))
    most = sorted(waited.items(), key=lambda item: -item[1])[:_MOST_CAUSES]
    parts += [f"waited {span(seconds)} for {WAITS[kind].noun}" for kind, seconds in most]
    return ", ".join(parts)


def _merged(spans: Iterable[tuple[float, float]], close: float = _CLOSE) -> Spans:
    """The spans, those that overlap or nearly touch as one."""
    merged: Spans = []
    for begin, end in sorted(spans):
        if merged and begin - merged[-1][1] <= close:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _seconds(moment: Any) -> float:
    return datetime.fromisoformat(str(moment)).timestamp()


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
