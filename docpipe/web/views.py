"""Runs and activities as the API sends them; see `api.shapes`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Final

import msgspec

from docpipe import model
from docpipe.api.facts import StepFacts
from docpipe.api.shapes import Doing, PastWait, Run, Step, Wait, moment
from docpipe.api.transfer import Transfer
from docpipe.checkpoints import Position, Span, StoredRun, StoredStep
from docpipe.engine.engine import Engine
from docpipe.engine.restart import ERROR, failed
from docpipe.engine.run import ActiveRun
from docpipe.engine.runfiles import File, files_in
from docpipe.model import WAITS, Activity, Outcome, RunState, WaitKind, describe_transfer, describe_wait
from docpipe.results.files import Member
from docpipe.results.report import PastWait as ReportedWait
from docpipe.sources.polling import Polls

DELIVERED: Final = (RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS)
"""The states of runs that have everything that the exchange had."""
_KEPT: Final = {
    Activity.SEARCH: ("search_id",),
    Activity.CREATE_TASK: ("task_id",),
    Activity.CONVERT: ("outcome", "reason", "media_type", "reused"),
    Activity.DOWNLOAD: ("size", "state"),
}
"""The members of a result that the API sends; names and texts of documents are not among them."""


def wait_view(kind: WaitKind, what: str, since: float, until: float | None, place: int | None) -> Wait:
    """What a run waits for, also as a sentence."""
    return Wait(
        kind=kind,
        what=what,
        since=moment(since),
        until=moment(until),
        place=place,
        sentence=describe_wait(kind, what, place),
    )


def run_view(stored: StoredRun, engine: Engine) -> Run:
    """A run as the list and the events have it."""
    under_way = engine.runs.get(stored.run_id)
    counts, files = _documents(stored, under_way)
    doing = None if stored.state.finished else _doing(stored, under_way, engine)
    if under_way is None:
        return stored_view(stored, files, doing)
    queued = stored.state is RunState.QUEUED  # its beginning is not written down yet
    now = replace(
        stored,
        state=RunState.RUNNING if queued else stored.state,
        started_at=stored.started_at or under_way.stored.started_at,
        task_id=stored.task_id or _task_of(under_way),
        counts=counts,
    )
    return stored_view(now, files, doing)


def stored_view(stored: StoredRun, files: int | None, doing: Doing | None) -> Run:
    """The same of a run as it is stored; `files`: how many there are, `doing`: what it is at."""
    return Run(
        run_id=stored.run_id,
        patient_id=stored.patient_id,
        priority=stored.priority,
        state=stored.state,
        created_at=moment(stored.created_at),
        started_at=moment(stored.started_at),
        finished_at=moment(stored.finished_at),
        task_id=stored.task_id,
        error=stored.error,
        retries=stored.retries,
        documents={outcome.value: stored.counts.get(outcome, 0) for outcome in Outcome},
        files=files,
        doing=doing,
    )


def _task_of(run: ActiveRun) -> str | None:
    made = run.results(Activity.CREATE_TASK).get("")
    return made["task_id"] if made else None


def _documents(stored: StoredRun, under_way: ActiveRun | None) -> tuple[dict[str, int], int | None]:
    """The number of files by outcome so far, and of all files, None while that is unknown."""
    if under_way is None or stored.state.finished:
        return stored.counts, sum(stored.counts.values()) if stored.counts else None
    outcomes = [outcome_of(file) for file in files_in(under_way.steps.values())]
    counts = Counter(outcome for outcome in outcomes if outcome is not None)
    return dict(counts), len(outcomes) or None


def outcome_of(file: File) -> str | None:
    """The outcome of a file of a run under way, None while it is still to be converted."""
    return file.member.outcome if file.converted is None else file.converted.outcome


def past_wait(span: Span | ReportedWait) -> PastWait:
    """A span of a wait history, with times as seconds since the epoch or, in a report, as ISO 8601."""
    return PastWait(
        activity=span.activity,
        kind=span.kind,
        what=span.what,
        since=_moment_of(span.since),
        until=None if span.until is None else _moment_of(span.until),
        noun=WAITS[WaitKind(span.kind)].noun if span.kind in list(WaitKind) else span.kind,
    )


def _moment_of(time: float | str) -> datetime:
    return datetime.fromisoformat(time) if isinstance(time, str) else moment(time)


def _transfer(moved: model.Transfer | None) -> Transfer | None:
    return None if moved is None else Transfer(**asdict(moved), sentence=describe_transfer(moved))


def _doing(stored: StoredRun, under_way: ActiveRun | None, engine: Engine) -> Doing | None:
    doing = under_way.doing() if under_way is not None else None
    if doing is not None:
        return position_view(doing)
    if under_way is not None or stored.state is RunState.CANCELLING:
        return None
    return waiting_view(stored, engine.paused_since)


def position_view(doing: Position) -> Doing:
    """What a run does."""
    return Doing(
        activity=doing.activity,
        since=moment(doing.since),
        progress=doing.progress,
        wait=wait_view(**asdict(doing.wait)) if doing.wait else None,
        transfer=_transfer(doing.transfer),
    )


def waiting_view(stored: StoredRun, paused_since: float | None) -> Doing:
    """What a run waits for that has not begun."""
    since = max(stored.created_at, paused_since or 0.0)
    kind = WaitKind.ADMISSION if paused_since is None else WaitKind.PAUSE
    return Doing(
        activity=stored.retried_from or Activity.GET_PATIENT,
        since=moment(stored.created_at),
        wait=wait_view(kind, "", since, None, None),
    )


def activity_view(step: StoredStep, files: Mapping[str, Member]) -> Step:
    """An activity of a run; `files` are those of the archive by item."""
    result, polled = step.result, _polls(step)
    broken = failed(result)
    outcome = None if result is None else "failed" if broken else "ok"
    return Step(
        activity=step.activity,
        item=step.item,
        attempts=step.attempts,
        started_at=moment(step.started_at),
        finished_at=moment(step.finished_at),
        outcome=outcome,
        error=result[ERROR] if result is not None and broken else None,
        polls=polled.polls if step.activity == Activity.CHECK_STATUS else None,
        about=_facts(step, files),
        poll_times=polled.times,
    )


def _polls(step: StoredStep) -> Polls:
    """The polls of a search, also of one that failed."""
    if step.activity != Activity.CHECK_STATUS:
        return Polls()
    stored = step.result if isinstance(step.result, dict) and not failed(step.result) else step.state
    return msgspec.convert(stored or {}, Polls)


def _facts(step: StoredStep, files: Mapping[str, Member]) -> StepFacts:
    known: dict[str, object] = {}
    if step.activity in (Activity.CONVERT, Activity.STORE) and step.item in files:
        known = {"document_id": files[step.item].id, "path": files[step.item].path}
    if isinstance(result := step.result, dict) and not failed(result):
        activity = Activity(step.activity)
        known |= {name: result[name] for name in _KEPT.get(activity, ()) if name in result}
        if activity is Activity.DOWNLOAD:
            known["files"] = len(result.get("members", ()))
    return msgspec.convert(known, StepFacts)
