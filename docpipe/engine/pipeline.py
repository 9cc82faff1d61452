"""The way of one patient, from the database row to the report on the task, as plain awaits.

`run.do` is the engine's: it replays what has a checkpoint, and checkpoints what has none.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from docpipe.engine.ports import Activities
from docpipe.errors import RunError, ServiceError
from docpipe.model import Activity, Json, Outcome, RunState

SEARCHES: Final = 4
"""A search that expires is started again, at most three times."""
TRIED_AGAIN: Final = "in_progress"
"""The status of a task whose run was finished and is tried again."""
_NOT_KEPT: Final = (Outcome.DUPLICATE, Outcome.IGNORED, Outcome.REFUSED)
AT_ONCE: Final = 32
"""Documents of one run under way at the same time; most of them wait for a worker."""


class Run(Protocol):
    """One run, as the pipeline sees it."""

    @property
    def id(self) -> str:
        """The run's ULID."""

    @property
    def patient_id(self) -> str:
        """Whose documents are retrieved."""

    async def do(
        self,
        activity: Activity,
        work: Callable[..., Awaitable[Json]],
        *args: Json,
        item: str = "",
        about: Json = None,
        valid: Callable[[Json], bool] | None = None,
    ) -> Json:
        """Do an activity once: `work(step, *args)`, or the result that a try before this one had.

        Args:
            activity: its name.
            work: what it does.
            args: what it is given.
            item: which document or try, where an activity is done several times.
            about: what the activity log may tell of the arguments.
            valid: whether what an earlier result points to is still there; if not, it is done again.
        """

    def redoes(self, activity: Activity) -> bool:
        """Whether the run was finished before, and does this activity once more."""

    def results(self, activity: Activity) -> dict[str, Json]:
        """The results that an activity has so far, by item."""

    def sent(self, activity: Activity) -> bool:
        """Whether an activity may have had its effect."""

    def story(self) -> Json:
        """What the report tells of the run so far: {"started", "timeline": [...], "waits": [...]}."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    state: RunState
    counts: dict[str, int]
    task_id: str | None
    error: str | None


async def retrieve(run: Run, do: Activities) -> Ending:
    """Retrieve, convert, store and report the documents of one patient.

    Raises:
        RunError: if the patient is unknown, or there is no task to tell of it.
    """
    patient = await run.do(Activity.GET_PATIENT, do.get_patient, run.patient_id)
    task = await run.do(Activity.CREATE_TASK, do.create_task, run.id, run.patient_id)
    if run.redoes(Activity.UPDATE_STATUS):  # trackers let a task that ended go on from there, or not at all
        say = (task["task_id"], TRIED_AGAIN, "The retrieval is tried again.")
        await run.do(Activity.UPDATE_STATUS, do.update_status, *say, item="again")
    archive, files, error = None, [], None
    try:
        archive = await _archive(run, do, patient)
        files = await _documents(run, do, archive["members"])
        await do.release(run.id, archive)
    except RunError as stopped:
        error = str(stopped)
    counts = dict(Counter(file["outcome"] for file in files))
    state = _judged(counts, error)
    said = await run.do(
        Activity.UPDATE_STATUS, do.update_status, task["task_id"], state, _note(counts, error)
    )
    facts = _facts(run, patient, task, archive, files) | {"counts": counts}
    facts["run"] |= {"state": state, "error": error, "problem": said["problem"]}
    made = await run.do(Activity.REPORT, do.report, facts)
    again = run.redoes(Activity.APPEND_REPORT)
    sent = await run.do(Activity.APPEND_REPORT, do.append_report, task["task_id"], made, again)
    if (problem := said["problem"] or sent["problem"]) and state is RunState.COMPLETED:
        state = RunState.COMPLETED_WITH_ERRORS
    return Ending(state, counts, task["task_id"], error or problem)


async def give_up(run: Run, do: Activities) -> Ending:
    """Tell the tracker that the run is cancelled; nobody where there is no task. Stored documents stay.

    A task that may have been asked for is made first: a request that is still on its way would leave a task
    in progress for ever.

    Raises:
        RunError: if the tracker cannot be told.
    """
    kept = run.results(Activity.STORE)
    converted = run.results(Activity.CONVERT)
    counts = dict(Counter(converted[item]["outcome"] for item in kept if item in converted))
    for search in run.results(Activity.SEARCH).values():
        await do.release(run.id, search)
    if not run.sent(Activity.CREATE_TASK):
        return Ending(RunState.CANCELLED, counts, None, None)
    task = await run.do(Activity.CREATE_TASK, do.create_task, run.id, run.patient_id)
    say = (task["task_id"], RunState.CANCELLED, _note_of_cancel(len(kept)))
    said = await run.do(Activity.UPDATE_STATUS, do.update_status, *say, item="cancelled")
    return Ending(RunState.CANCELLED, counts, task["task_id"], said["problem"])


def _note_of_cancel(kept: int) -> str:
    stay = "1 document that was stored before stays" if kept == 1 else f"{kept} documents stored before stay"
    return f"Cancelled; {stay} in the storage." if kept else "Cancelled; no document was stored."


async def _archive(run: Run, do: Activities, patient: Json) -> Json:
    """Search until there is an archive, and take it apart."""
    for search_number in range(1, SEARCHES + 1):
        item = "" if search_number == 1 else str(search_number)
        search = await run.do(Activity.SEARCH, do.search, patient, item=item, about={"search": search_number})
        about = {"search_id": search["search_id"]}
        ready = await run.do(
            Activity.CHECK_STATUS, do.wait_until_ready, search, patient, item=item, about=about
        )
        if ready["state"] == "expired":
            continue
        archive = await run.do(
            Activity.DOWNLOAD,
            do.download_and_extract,
            run.id,
            search,
            ready,
            item=item,
            about=about,
            valid=do.extracted(run.id),
        )
        if archive["state"] != "expired":
            return archive
    raise ServiceError(
        f"The exchange let the search expire {SEARCHES} times before its archive could be had."
    )


async def _documents(run: Run, do: Activities, members: Sequence[Json]) -> list[Json]:
    """Convert and store every member that is a document; returns every file with its outcome."""
    seen: dict[str, str] = {
        m["id"]: m["path"] for m in members if m["file"] and m["outcome"] not in _NOT_KEPT
    }
    siblings = [member["path"] for member in members if member["file"]]
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: str, member: Json) -> list[Json]:
        if member["outcome"] in _NOT_KEPT or (member["outcome"] is not None and not member["file"]):
            return [_entry(member)]
        about = {"document_id": member["id"], "size": member["size"]}
        place = (run.patient_id, run.id, item)
        async with places:
            done = await run.do(
                Activity.CONVERT,
                do.convert,
                place,
                member,
                siblings,
                item=item,
                about=about,
                valid=do.converted(run.id, item),
            )
            put = await run.do(Activity.STORE, do.store, place, member, done, item=item, about=about)
        parts = [_unless_seen(part, seen) for part in done["embedded"]]
        found = await _each(one(f"{item}.{number}", part) for number, part in enumerate(parts, 1))
        return [_entry(member, done, put["key"]), *(file for files in found for file in files)]

    found = await _each(one(f"{number:05d}", member) for number, member in enumerate(members, 1))
    return [file for files in found for file in files]


async def _each(work: Any) -> list[list[Json]]:
    """All at once; the first error stops the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _unless_seen(part: Json, seen: dict[str, str]) -> Json:
    """A document within a document; a duplicate where the same bytes are there already."""
    first = seen.setdefault(part["id"], part["path"])
    if first == part["path"]:
        return {"outcome": None, "reason": None, "told": {}, **part}
    return {**part, "outcome": Outcome.DUPLICATE, "reason": None, "duplicate_of": first}


def _entry(member: Json, done: Json | None = None, key: str | None = None) -> Json:
    """One file in the manifest and the report."""
    entry = {
        name: member.get(name)
        for name in (
            "path",
            "id",
            "size",
            "sha256",
            "outcome",
            "reason",
            "duplicate_of",
            "parent",
            "derived_from",
        )
    }
    if done is None:
        return entry
    made = done["metadata"]
    told = member["told"]
    return entry | {
        "outcome": done["outcome"],
        "reason": done["reason"],
        "media_type": done["media_type"],
        "title": made.get("title") or told.get("title"),
        "author": made.get("author") or told.get("author"),
        "date": made.get("date") or told.get("created"),
        **{name: made.get(name) for name in ("custodian", "loinc", "language", "pages", "words", "ocr")},
        "warnings": made.get("warnings") or [],
        "key": key,
        "original": f"original{done['extension']}",
        "outputs": done["outputs"],
        "reused": done["reused"],
    }


def _judged(counts: dict[str, int], error: str | None) -> RunState:
    if error is not None:
        return RunState.FAILED
    if counts.get(Outcome.FAILED) or counts.get(Outcome.REFUSED):
        return RunState.COMPLETED_WITH_ERRORS
    return RunState.COMPLETED


def _note(counts: dict[str, int], error: str | None) -> str:
    """The sentence that the care team sees beside the status."""
    if error is not None:
        return error
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts.get(outcome))
    return f"Documents: {told}." if told else "The exchange holds no documents for this patient."


def _facts(run: Run, patient: Json, task: Json, archive: Json | None, files: list[Json]) -> dict[str, Any]:
    story = run.story()
    about = {"run_id": run.id, "patient_id": run.patient_id, "task_id": task["task_id"]}
    return {
        "run": about | {"started": story["started"]},
        "patient": patient,
        "archive": archive and {"size": archive["size"], "sha256": archive["sha256"]},
        "documents": files,
        "timeline": story["timeline"],
        "waits": story["waits"],
    }
