"""Runs and activities as the API tells them. Times are ISO 8601 in UTC; see openapi.py for the shapes."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from docpipe.checkpoints import StoredRun, StoredStep
from docpipe.engine.engine import Engine
from docpipe.engine.restart import ERROR, failed
from docpipe.engine.run import ActiveRun
from docpipe.model import Activity, Json, Outcome, RunState, WaitKind
from docpipe.util.times import iso

_TOLD: Final = {
    WaitKind.ADMISSION: "waits for its turn to begin",
    WaitKind.QUOTA: "waits for the quota of {what}",
    WaitKind.OUTAGE: "{what} is down",
    WaitKind.RETRY: "tries {what} again",
    WaitKind.POLL: "waits for the search",
    WaitKind.DOWNLOAD: "waits for a place among the downloads",
    WaitKind.CONVERSION: "waits for a free converter",
    WaitKind.DISK: "the disk is full ({what})",
    WaitKind.TOKEN: "waits for a token ({what})",
    WaitKind.PAUSE: "{what} is paused",
}
_KEPT: Final = {
    Activity.SEARCH: ("search_id",),
    Activity.CREATE_TASK: ("task_id",),
    Activity.CONVERT: ("outcome", "reason", "media_type", "reused"),
    Activity.DOWNLOAD: ("size", "state"),
}
"""What is told of the result of an activity; names and texts of documents are not."""


def wait_view(kind: WaitKind, what: str, since: float, until: float | None, place: int | None) -> Json:
    """What somebody waits for, also as a sentence."""
    told = _TOLD[kind].format(what=what or "docpipe")
    return {
        "kind": kind,
        "what": what,
        "since": iso(since),
        "until": iso(until),
        "place": place,
        "told": told if place is None else f"{told}, place {place} in line",
    }


def run_view(stored: StoredRun, engine: Engine) -> dict[str, Json]:
    """A run as the list and the events tell it."""
    under_way = engine.runs.get(stored.run_id)
    state = stored.state
    if under_way is not None and state is RunState.QUEUED:  # its beginning is not written down yet
        state = RunState.RUNNING
    counts, files = _documents(stored, under_way)
    return {
        "run_id": stored.run_id,
        "patient_id": stored.patient_id,
        "priority": stored.priority,
        "state": state,
        "created_at": iso(stored.created_at),
        "started_at": iso(stored.started_at or (under_way.stored.started_at if under_way else None)),
        "finished_at": iso(stored.finished_at),
        "task_id": stored.task_id or (_task_of(under_way) if under_way else None),
        "error": stored.error,
        "retries": stored.retries,
        "documents": {outcome.value: counts.get(outcome, 0) for outcome in Outcome},
        "files": files,
        "doing": None if state.finished else _doing(stored, under_way, engine),
    }


def _task_of(run: ActiveRun) -> str | None:
    made = run.results(Activity.CREATE_TASK).get("")
    return made["task_id"] if made else None


def _documents(stored: StoredRun, under_way: ActiveRun | None) -> tuple[dict[str, int], int | None]:
    """Documents by outcome so far, and how many files there are in all, None while nobody knows."""
    if under_way is None or stored.state.finished:
        return stored.counts, sum(stored.counts.values()) if stored.counts else None
    archives = under_way.results(Activity.DOWNLOAD).values()
    members = next((done["members"] for done in archives if done["state"] == "ready"), None)
    if members is None:
        return {}, None
    converted = under_way.results(Activity.CONVERT)
    counts = Counter(done["outcome"] for done in converted.values())
    counts.update(
        member["outcome"]
        for number, member in enumerate(members, 1)
        if _is_settled(member, number, converted)
    )
    embedded = sum(len(done["embedded"]) for done in converted.values())
    return dict(counts), len(members) + embedded


def _is_settled(member: Json, number: int, converted: dict[str, Json]) -> bool:
    """Whether the archive alone decided what became of a file."""
    return member["outcome"] is not None and f"{number:05d}" not in converted


def _doing(stored: StoredRun, under_way: ActiveRun | None, engine: Engine) -> Json | None:
    doing = under_way.doing() if under_way is not None else {}
    if doing:
        wait = doing["wait"]
        return {
            "activity": doing["activity"],
            "since": iso(doing["since"]),
            "progress": doing.get("progress"),
            "wait": wait_view(**{**wait, "kind": WaitKind(wait["kind"])}) if wait else None,
        }
    if under_way is not None or stored.state is RunState.CANCELLING:
        return None
    since = max(stored.created_at, engine.paused_since or 0.0)
    kind = WaitKind.ADMISSION if engine.paused_since is None else WaitKind.PAUSE
    return {
        "activity": stored.retried_from or Activity.GET_PATIENT,
        "since": iso(stored.created_at),
        "progress": None,
        "wait": wait_view(kind, "", since, None, None),
    }


def activity_view(step: StoredStep, files: Mapping[str, Json]) -> dict[str, Json]:
    """An activity of a run; `files` are those of the archive by item."""
    result, state = step.result, step.state
    broken = failed(result)
    outcome = None if result is None else "failed" if broken else "ok"
    return {
        "activity": step.activity,
        "item": step.item,
        "attempts": step.attempts,
        "started_at": iso(step.started_at),
        "finished_at": iso(step.finished_at),
        "outcome": outcome,
        "error": result[ERROR] if result is not None and broken else None,
        "polls": _polls(step) if step.activity == Activity.CHECK_STATUS else None,
        "about": _which(step, files) | ({} if broken or result is None else _about(step, result)),
        "asked": _asked(result if isinstance(result, dict) else state),
    }


def _polls(step: StoredStep) -> int:
    told = step.result if isinstance(step.result, dict) and not failed(step.result) else step.state
    return int(told["polls"]) if told else 0


def _asked(told: Json) -> list[float]:
    """When a search was asked after, in seconds since it was sent."""
    return list(told.get("asked", ())) if isinstance(told, dict) else []


def _which(step: StoredStep, files: Mapping[str, Json]) -> dict[str, Json]:
    """Which document a step is about, where it is about one."""
    if step.activity not in (Activity.CONVERT, Activity.STORE) or step.item not in files:
        return {}
    return {"document_id": files[step.item]["id"], "path": files[step.item]["path"]}


def _about(step: StoredStep, result: Json) -> dict[str, Json]:
    activity = Activity(step.activity)
    about = {name: result[name] for name in _KEPT.get(activity, ()) if name in result}
    if activity is Activity.DOWNLOAD:
        about["files"] = len(result.get("members", ()))
    return about
