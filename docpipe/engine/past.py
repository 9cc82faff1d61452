"""The course of a run, from its checkpoints and waits, for its report."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from docpipe.checkpoints import Span, StoredStep
from docpipe.engine.restart import failed
from docpipe.model import Activity
from docpipe.results.report import History, PastActivity, PastWait

Steps = Mapping[tuple[str, str], StoredStep]
"""Activities by their names and items."""


def history_of(started: float, steps: Steps, spans: Iterable[Span], now: float) -> History:
    """The activities and waits of a run, as its report has them.

    Args:
        started: when the run started; times are seconds since the epoch.
        steps: its activities.
        spans: its waits.
        now: when those that last end for the report.
    """
    return History(
        started=_iso(started),
        timeline=_timeline(steps, now),
        waits=[
            PastWait(
                activity=span.activity,
                kind=span.kind,
                what=span.what,
                since=_iso(span.since),
                until=_iso(span.until or now),
            )
            for span in spans
        ],
    )


def _timeline(steps: Steps, now: float) -> list[PastActivity]:
    """In the order of their start. Each result is looked at once: all of them together may be large."""
    ordered = [(past.started_at, past.item, _past(past, steps, now)) for past in steps.values()]
    ordered.sort(key=lambda row: row[:2])
    return [past for _, _, past in ordered]


def _past(past: StoredStep, steps: Steps, now: float) -> PastActivity:
    return PastActivity(
        activity=past.activity,
        item=past.item,
        attempts=past.attempts,
        started=_iso(past.started_at),
        finished=None if past.finished_at is None else _iso(past.finished_at),
        outcome="failed" if failed(past.result) else "ok",
        polls=_polls(past, steps, now),
    )


def _iso(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")


def _polls(past: StoredStep, steps: Steps, now: float) -> list[str]:
    """When a search was polled, as far back as that is kept."""
    search = steps.get((Activity.SEARCH, past.item))
    if past.activity != Activity.CHECK_STATUS or search is None:
        return []
    if not (search.result and past.result) or failed(search.result) or failed(past.result):
        return []
    end = past.finished_at or now  # the times kept are rounded
    at = search.result.get("at", 0.0)
    return [_iso(min(at + after, end)) for after in past.result.get("asked", ())]
