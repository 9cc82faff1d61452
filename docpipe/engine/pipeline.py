"""The pipeline of one patient, from the database row to the report on the task, as plain awaits.

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
RETRIED: Final = "in_progress"
"""The status of a task whose finished run is retried."""
_NOT_KEPT: Final = (Outcome.DUPLICATE, Outcome.IGNORED, Outcome.REFUSED)
CONCURRENT_DOCUMENTS: Final = 32
"""Documents of one run in progress at the same time; most of them wait for a worker."""


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
        """Do an activity once: run `work(step, *args)`, or return the result of an earlier attempt.

        Args:
            activity: its name.
            work: what it does.
            args: what it is given.
            item: which document or attempt, if the activity is done several times.
            about: what the activity log may say of the arguments.
            valid: whether what an earlier result points to is still there; if not, it is done again.
        """

    def is_repeating(self, activity: Activity) -> bool:
        """Whether this is a retry of a finished run that repeats this activity."""

    def results(self, activity: Activity) -> dict[str, Json]:
        """The results of an activity so far, by item."""

    def may_have_started(self, activity: Activity) -> bool:
        """Whether an activity may have had its effect."""

    def history(self) -> Json:
        """What the report says of the run so far: {"started", "timeline": [...], "waits": [...]}."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    state: RunState
    counts: dict[str, int]
    task_id: str | None
    error: str | None


async def retrieve(run: Run, activities: Activities) -> Ending:
    """Retrieve, convert, store and report the documents of one patient.

    Raises:
        RunError: if the patient is unknown, or the run has no task to report to.
    """
    patient = await run.do(Activity.GET_PATIENT, activities.get_patient, run.patient_id)
    task = await run.do(Activity.CREATE_TASK, activities.create_task, run.id, run.patient_id)
    task_id = task["task_id"]
    if run.is_repeating(Activity.UPDATE_STATUS):  # trackers may refuse to move a task that has ended
        update = (task_id, RETRIED, "The retrieval is tried again.")
        await run.do(Activity.UPDATE_STATUS, activities.update_status, *update, item="again")
    archive, files, error = None, [], None
    try:
        archive = await _archive(run, activities, patient)
        files = await _documents(run, activities, archive["members"])
        await activities.release(run.id, archive)
    except RunError as stopped:
        error = str(stopped)
    counts = dict(Counter(file["outcome"] for file in files))
    state = _final_state(counts, error)
    update = (task_id, state, _note(counts, error))
    status_result = await run.do(Activity.UPDATE_STATUS, activities.update_status, *update)
    facts = _facts(run, patient, task, archive, files) | {"counts": counts}
    facts["run"] |= {"state": state, "error": error, "problem": status_result["problem"]}
    report = await run.do(Activity.REPORT, activities.report, facts)
    again = run.is_repeating(Activity.APPEND_REPORT)
    append_result = await run.do(Activity.APPEND_REPORT, activities.append_report, task_id, report, again)
    problem = status_result["problem"] or append_result["problem"]
    if problem and state is RunState.COMPLETED:
        state = RunState.COMPLETED_WITH_ERRORS
    return Ending(state, counts, task_id, error or problem)


async def give_up(run: Run, activities: Activities) -> Ending:
    """Set the task of a cancelled run to cancelled, if it has one. Stored documents stay.

    A task that may have been requested is created first: a request still on its way would leave a task in
    progress for ever.

    Raises:
        RunError: if the task cannot be updated.
    """
    stored = run.results(Activity.STORE)
    converted = run.results(Activity.CONVERT)
    counts = dict(Counter(converted[item]["outcome"] for item in stored if item in converted))
    for search in run.results(Activity.SEARCH).values():
        await activities.release(run.id, search)
    if not run.may_have_started(Activity.CREATE_TASK):
        return Ending(RunState.CANCELLED, counts, None, None)
    task = await run.do(Activity.CREATE_TASK, activities.create_task, run.id, run.patient_id)
    update = (task["task_id"], RunState.CANCELLED, _note_of_cancel(len(stored)))
    status_result = await run.do(Activity.UPDATE_STATUS, activities.update_status, *update, item="cancelled")
    return Ending(RunState.CANCELLED, counts, task["task_id"], status_result["problem"])


def _note_of_cancel(kept: int) -> str:
    stay = "1 document that was stored before stays" if kept == 1 else f"{kept} documents stored before stay"
    return f"Cancelled; {stay} in the storage." if kept else "Cancelled; no document was stored."


async def _archive(run: Run, activities: Activities, patient: Json) -> Json:
    """Search until there is an archive, and extract it."""
    for search_number in range(1, SEARCHES + 1):
        item = "" if search_number == 1 else str(search_number)
        search = await run.do(
            Activity.SEARCH, activities.search, patient, item=item, about={"search": search_number}
        )
        about = {"search_id": search["search_id"]}
        ready = await run.do(
            Activity.CHECK_STATUS, activities.wait_until_ready, search, patient, item=item, about=about
        )
        if ready["state"] == "expired":
            continue
        archive = await run.do(
            Activity.DOWNLOAD,
            activities.download_and_extract,
            run.id,
            search,
            ready,
            item=item,
            about=about,
            valid=activities.extracted(run.id),
        )
        if archive["state"] != "expired":
            return archive
    raise ServiceError(
        f"The exchange let the search expire {SEARCHES} times before its archive could be had."
    )


async def _documents(run: Run, activities: Activities, members: Sequence[Json]) -> list[Json]:
    """Convert and store every member that is a document; returns every file with its outcome."""
    seen: dict[str, str] = {
        m["id"]: m["path"] for m in members if m["file"] and m["outcome"] not in _NOT_KEPT
    }
    siblings = [member["path"] for member in members if member["file"]]
    places = asyncio.Semaphore(CONCURRENT_DOCUMENTS)

    async def one(item: str, member: Json) -> list[Json]:
        if member["outcome"] in _NOT_KEPT or (member["outcome"] is not None and not member["file"]):
            return [_entry(member)]
        about = {"document_id": member["id"], "size": member["size"]}
        place = (run.patient_id, run.id, item)
        async with places:
            done = await run.do(
                Activity.CONVERT,
                activities.convert,
                place,
                member,
                siblings,
                item=item,
                about=about,
                valid=activities.converted(run.id, item),
            )
            put = await run.do(Activity.STORE, activities.store, place, member, done, item=item, about=about)
        parts = [_unless_seen(part, seen) for part in done["embedded"]]
        embedded = await _each(one(f"{item}.{number}", part) for number, part in enumerate(parts, 1))
        return [_entry(member, done, put["key"]), *(file for files in embedded for file in files)]

    groups = await _each(one(f"{number:05d}", member) for number, member in enumerate(members, 1))
    return [file for files in groups for file in files]


async def _each(work: Any) -> list[list[Json]]:
    """Await all concurrently; the first error cancels the others and is raised as it is."""
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
    metadata = done["metadata"]
    declared = member["told"]
    return entry | {
        "outcome": done["outcome"],
        "reason": done["reason"],
        "media_type": done["media_type"],
        "title": metadata.get("title") or declared.get("title"),
        "author": metadata.get("author") or declared.get("author"),
        "date": metadata.get("date") or declared.get("created"),
        **{name: metadata.get(name) for name in ("custodian", "loinc", "language", "pages", "words", "ocr")},
        "warnings": metadata.get("warnings") or [],
        "key": key,
        "original": f"original{done['extension']}",
        "outputs": done["outputs"],
        "reused": done["reused"],
    }


def _final_state(counts: dict[str, int], error: str | None) -> RunState:
    if error is not None:
        return RunState.FAILED
    if counts.get(Outcome.FAILED) or counts.get(Outcome.REFUSED):
        return RunState.COMPLETED_WITH_ERRORS
    return RunState.COMPLETED


def _note(counts: dict[str, int], error: str | None) -> str:
    """The sentence that the care team sees beside the status."""
    if error is not None:
        return error
    outcomes = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts.get(outcome))
    return f"Documents: {outcomes}." if outcomes else "The exchange holds no documents for this patient."


def _facts(run: Run, patient: Json, task: Json, archive: Json | None, files: list[Json]) -> dict[str, Any]:
    history = run.history()
    about = {"run_id": run.id, "patient_id": run.patient_id, "task_id": task["task_id"]}
    return {
        "run": about | {"started": history["started"]},
        "patient": patient,
        "archive": archive and {"size": archive["size"], "sha256": archive["sha256"]},
        "documents": files,
        "timeline": history["timeline"],
        "waits": history["waits"],
    }
