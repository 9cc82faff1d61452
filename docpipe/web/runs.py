"""Handlers for runs: submit, list, read, cancel and retry."""

import asyncio
import hashlib
import re
from typing import Final
from urllib.parse import quote

import msgspec
import structlog
from aiohttp import web

from docpipe.api.shapes import OneRun, PastWait, Runs
from docpipe.checkpoints import StoredRun
from docpipe.engine.runfiles import files_in
from docpipe.errors import UsageError
from docpipe.model import Activity, RunState
from docpipe.results.report import PastWait as ReportedWait
from docpipe.util.json import to_json
from docpipe.web.answers import answer, each, of_text
from docpipe.web.context import web_of
from docpipe.web.problems import Problem
from docpipe.web.reading import (
    LONGEST_ID,
    RetryBody,
    bad,
    body_of,
    choice_in,
    json_of,
    number_in,
    one_in,
    only,
    submission_of,
    type_of,
)
from docpipe.web.source import Source
from docpipe.web.views import activity_view, past_wait

log = structlog.get_logger(__name__)

KEY: Final = "Idempotency-Key"
MOST: Final = 500
"""Runs on a page."""
MOST_COUNTED: Final = 100_000
"""Runs that are counted for `total`."""
ORDERS: Final = ("newest", "urgent")
_ORDER: Final = {activity.value: number for number, activity in enumerate(Activity)}
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
RUN_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_CURSOR: Final = re.compile(r"(-?[0-9])-([0-9A-HJKMNP-TV-Z]{26})")


async def submit(request: web.Request) -> web.Response:
    """Take patients in."""
    here = web_of(request)
    only(request, "priority")
    here.refuse_when_stopping()
    key = request.headers.get(KEY)
    if key is not None and not _KEY.fullmatch(key):
        raise bad(f"{KEY} has to be 1 to 200 visible ASCII characters.")
    body = await body_of(request)
    submission = await submission_of(request, body)
    if key is None:
        text, new = await here.shielded(here.submissions.take(submission))
    else:
        asked = f"{request.content_type} {submission.priority} ".encode() + body
        digest = hashlib.sha256(asked).hexdigest()
        text, new = await here.shielded(here.submissions.take_once(key, digest, submission))
    response = of_text(text, 202)
    if new is None:
        response.headers["Idempotent-Replayed"] = "true"
    else:
        here.hub.touch(new)
    return response


async def list_runs(request: web.Request) -> web.Response:
    """A page of runs."""
    return await web_of(request).coalesce(request, _page)


async def _page(request: web.Request) -> str:
    here = web_of(request)
    only(request, "state", "q", "order", "limit", "cursor")
    states = _states(request.query.getall("state", []))
    prefix = one_in(request, "q")
    order = choice_in(request, "order", ORDERS)
    limit = number_in(request, "limit", 1, MOST, 50)
    after = _mark(one_in(request, "cursor")) if "cursor" in request.query else None
    if len(prefix) > LONGEST_ID:
        raise bad(f"`q` may have at most {LONGEST_ID} characters.")
    if not prefix.isprintable():  # no id is so
        return to_json(Runs(runs=[], next=None, total=0))
    page = await here.source.page(
        states,
        prefix,
        newest=order == "newest",
        after=after,
        limit=limit + 1,
    )
    total = await here.source.count(states, prefix, most=MOST_COUNTED + 1)
    runs = await each(page[:limit], here.source.view)
    following = _cursor(page[limit - 1]) if len(page) > limit else None
    counted = min(total, MOST_COUNTED)
    return to_json(Runs(runs=runs, next=following, total=counted, more=total > counted))


def _states(given: list[str]) -> tuple[RunState, ...]:
    if not all(text in list(RunState) for text in given):
        raise bad(f"`state` has to be one of {', '.join(RunState)}.")
    return tuple(RunState(text) for text in dict.fromkeys(given))


def _cursor(last: StoredRun) -> str:
    return f"{last.priority}-{last.run_id}"


def _mark(cursor: str) -> StoredRun:
    """A stand-in for the last run of the page before: the run itself may be gone."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise bad("`cursor` is not one that a page ended with.")
    nothing = (None, None, None, None)
    return StoredRun(match[2], "", int(match[1]), RunState.QUEUED, 0.0, *nothing, {}, None)


async def one_run(request: web.Request) -> web.Response:
    """A run with its activities."""
    return await web_of(request).coalesce(request, _run)


async def _run(request: web.Request) -> str:
    here = web_of(request)
    only(request)
    stored = await here.source.run_and_steps(_run_id(request))
    if stored is None:
        raise _no_such_run()
    run, steps = stored
    steps.sort(key=lambda step: (step.started_at, _ORDER[step.activity], step.item))
    files = {file.item: file.member for file in files_in(steps)}
    activities = await each(steps, lambda step: activity_view(step, files))
    view = msgspec.structs.asdict(here.source.view(run))
    waits = await _waits(here.source, run)
    where = _task_url(here.source.config.tasktracker.task_url, view["task_id"])
    course = here.source.temporal_url(run.run_id)
    return to_json(OneRun(**view, activities=activities, waits=waits, task_url=where, temporal_url=course))


def _task_url(template: str | None, task_id: str | None) -> str | None:
    return template.replace("{id}", quote(task_id, safe="")) if template and task_id else None


async def _waits(source: Source, run: StoredRun) -> list[PastWait]:
    """The wait history of a run: of a finished one as its report has it."""
    if not run.state.finished:
        return [past_wait(span) for span in source.waited(run)]
    try:
        report = await source.storage.get_run_file(run.patient_id, run.run_id, "report.json")
    except OSError as error:
        log.warning("wait_history_not_read", reason=error.strerror)
        return []
    if report is None:
        return []
    spans = (await asyncio.to_thread(msgspec.json.decode, report, type=_WaitsOfReport)).waits
    return [past_wait(span) for span in spans]


class _WaitsOfReport(msgspec.Struct):
    """What is needed of report.json."""

    waits: list[ReportedWait] = []


async def stored_run(request: web.Request) -> StoredRun:
    """The run that the path names; raises Problem 404."""
    runs = await web_of(request).source.runs([_run_id(request)])
    if not runs:
        raise _no_such_run()
    return runs[0]


def _run_id(request: web.Request) -> str:
    run_id: str = request.match_info["run_id"]
    if not RUN_ID.fullmatch(run_id):
        raise _no_such_run()
    return run_id


def _no_such_run() -> Problem:
    return Problem(404, "There is no such run.", "no-such-run")


async def cancel(request: web.Request) -> web.Response:
    """Give a run up."""
    here = web_of(request)
    only(request)
    run = await stored_run(request)
    if run.state.finished:
        raise Problem(409, "The run has ended already.", "run-finished")
    run = await here.shielded(here.source.cancel(run.run_id))
    here.hub.touch([run.run_id])
    return answer(here.source.view(run), 202)


async def retry(request: web.Request) -> web.Response:
    """Begin a finished run again."""
    here = web_of(request)
    only(request)
    here.refuse_when_stopping()
    first = await _first(request)
    run = await stored_run(request)
    if not run.state.finished:
        raise Problem(409, "The run has not ended yet.", "run-not-finished")
    try:
        run = await here.shielded(here.source.retry(run.run_id, first))
    except UsageError as error:
        raise Problem(409, str(error), "cannot-be-retried") from error
    here.hub.touch([run.run_id])
    return answer(here.source.view(run), 202)


async def _first(request: web.Request) -> Activity | None:
    """The activity that the body names; it may be left out."""
    body = await body_of(request)
    if not body:
        return None
    type_of(request, "application/json")
    return (await json_of(body, RetryBody)).first


ROUTES: Final = (
    web.post("/api/runs", submit),
    web.get("/api/runs", list_runs),
    web.get("/api/runs/{run_id}", one_run),
    web.post("/api/runs/{run_id}/cancel", cancel),
    web.post("/api/runs/{run_id}/retry", retry),
)
