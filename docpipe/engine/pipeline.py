"""The pipeline of one patient, from the database row to the report on the task, as plain awaits.

`run.do` belongs to the engine: it returns the checkpoint of an activity, or does it and makes the checkpoint.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from docpipe.checkpoints import Results
from docpipe.engine import budget
from docpipe.engine import files as files_of
from docpipe.engine.ports import Activities
from docpipe.errors import DocpipeError, ServiceError
from docpipe.model import Activity, Outcome, Patient, RunState
from docpipe.results.files import (
    Appended,
    Archive,
    Converted,
    Digest,
    Member,
    Stored,
    Task,
    Updated,
    item_of,
)
from docpipe.results.report import (
    ArchiveFacts,
    Entry,
    Facts,
    History,
    PatientFacts,
    RunFacts,
)
from docpipe.results.search import Ready, Search
from docpipe.runtime.logs import place_of

log = structlog.get_logger(__name__)

SEARCHES: Final = 4
"""A search that expires is started again, at most three times."""
RETRIED: Final = "in_progress"
"""The status of a task whose finished run is retried."""
_NOT_STORED: Final = "The run stopped before this document was stored."
CONCURRENT_DOCUMENTS: Final = 32
"""Documents of one run in progress at the same time; most of them wait for a worker."""

_T = TypeVar("_T")


class Run(Protocol):
    """One run, as the pipeline sees it."""

    @property
    def id(self) -> str:
        """The run's ULID."""

    @property
    def gives_up(self) -> bool:
        """Whether it is cancelled: nothing more is retrieved, and the task's status is updated."""

    @property
    def patient_id(self) -> str:
        """Whose documents are retrieved."""

    async def do(
        self,
        activity: Activity,
        work: Callable[..., Awaitable[_T]],
        *args: Any,
        kind: type[_T],
        item: str = "",
        about: Mapping[str, object] | None = None,
        valid: Callable[[_T], bool] | None = None,
    ) -> _T:
        """Do an activity once: run `work(step, *args)`, or return the result of an earlier attempt.

        Args:
            activity: its name.
            work: the coroutine function that does it.
            args: its arguments after the step.
            kind: the type of its result, which a checkpoint is decoded to.
            item: the document or search, if the activity is done several times.
            about: the arguments for the activity log, without personal data.
            valid: whether the files of an earlier result still exist; if not, the activity is repeated.
        """

    def is_repeating(self, activity: Activity) -> bool:
        """Whether this is a retry of a finished run that repeats this activity."""

    def results(self, activity: Activity) -> Mapping[str, Any]:
        """The results of an activity so far, by item, as checkpoints hold them."""

    def may_have_started(self, activity: Activity) -> bool:
        """Whether an activity may have had its effect."""

    def history(self) -> History:
        """The activities and waits of the run so far, for its report."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    state: RunState
    counts: dict[str, int]
    task_id: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class _Retrieved:
    """What a run has retrieved by the time of its report."""

    patient: Patient
    task_id: str
    archive: Archive | None
    files: list[Entry]


async def retrieve(run: Run, activities: Activities) -> Ending:
    """Retrieve, convert, store and report the documents of one patient.

    Once there is a task, any error that stops the run is reported to it, including unexpected errors and
    refusals by the tracker; report and manifest are then written for the documents so far.

    Raises:
        RunError: if the patient is unknown, or the run has no task to report to.
    """
    patient = await run.do(Activity.GET_PATIENT, activities.get_patient, run.patient_id, kind=Patient)
    task = await run.do(Activity.CREATE_TASK, activities.create_task, run.id, run.patient_id, kind=Task)
    if run.is_repeating(Activity.UPDATE_STATUS):  # trackers may refuse to move a task that has ended
        update = (task.task_id, RETRIED, "The retrieval is tried again.")
        await _tried(
            run, Activity.UPDATE_STATUS, activities.update_status, *update, kind=Updated, item="again"
        )
    archive, files, error = None, [], None
    try:
        archive = await _archive(run, activities, patient)
        files = await _documents(run, activities, archive.members, patient)
        await activities.release(run.id, archive.release)
    except Exception as stopped:  # noqa: BLE001 -- an unexpected error is reported like any other
        error = reason_of(stopped, run.id)
        archive, files = _so_far(run)
    return await _reported(run, activities, _Retrieved(patient, task.task_id, archive, files), error)


async def _reported(run: Run, activities: Activities, retrieved: _Retrieved, error: str | None) -> Ending:
    """Update the task, write the report and append it; each is tried even if the one before failed."""
    counts, task_id = files_of.counts(retrieved.files), retrieved.task_id
    update = (task_id, files_of.final_state(counts, error), files_of.note(counts, error))
    updating = activities.update_status
    status, refused = await _tried(run, Activity.UPDATE_STATUS, updating, *update, kind=Updated)
    problem = status.problem if status else None
    error = error or refused
    facts = _facts(run, retrieved, counts, error, problem)
    report, failed = await _tried(run, Activity.REPORT, activities.report, facts, kind=Digest)
    error = error or failed
    if report is not None:
        append = (task_id, report, run.is_repeating(Activity.APPEND_REPORT))
        appending = activities.append_report
        appended, refused = await _tried(run, Activity.APPEND_REPORT, appending, *append, kind=Appended)
        error = error or refused
        problem = problem or (appended.problem if appended else None)
    state = files_of.final_state(counts, error)
    if problem and state is RunState.COMPLETED:
        state = RunState.COMPLETED_WITH_ERRORS
    return Ending(state, counts, task_id, error or problem)


async def _tried(
    run: Run,
    activity: Activity,
    work: Callable[..., Awaitable[_T]],
    *args: Any,
    kind: type[_T],
    item: str = "",
) -> tuple[_T | None, str | None]:
    """Return an activity's result and None, or None and the reason for its failure."""
    try:
        return await run.do(activity, work, *args, kind=kind, item=item), None
    except Exception as error:  # noqa: BLE001 -- the next activities are tried anyway
        return None, reason_of(error, run.id)


async def conclude(run: Run, activities: Activities) -> Ending:
    """Run the pipeline to its end; an error becomes an outcome here, only cancellation passes."""
    try:
        return await (give_up if run.gives_up else retrieve)(run, activities)
    except Exception as error:  # noqa: BLE001 -- `reason_of` logs unexpected errors
        message = reason_of(error, run.id)
    created = run.results(Activity.CREATE_TASK).get("")
    state = RunState.CANCELLED if run.gives_up else RunState.FAILED
    return Ending(state, counts_so_far(run), created and created["task_id"], message)


def reason_of(error: Exception, run_id: str) -> str:
    """Describe an error that stopped a run in a sentence; an unexpected one is logged with its place."""
    if isinstance(error, DocpipeError):
        return str(error)
    log.error("run_broken", run_id=run_id, exc_info=error)
    return f"docpipe itself failed ({place_of(error)}): please report this."


def counts_so_far(run: Run) -> dict[str, int]:
    """Count the files of a stopped run by outcome."""
    return files_of.counts(_so_far(run)[1])


def _results(run: Run, activity: Activity, kind: type[_T]) -> Mapping[str, _T]:
    """The results of an activity so far, by item."""
    return Results(run.results(activity), lambda result: msgspec.convert(result, kind))


def _so_far(run: Run) -> tuple[Archive | None, list[Entry]]:
    """Return the archive, if there is one, and its files; those that are not stored count as failed."""
    archives = [done for done in _results(run, Activity.DOWNLOAD, Archive).values() if not done.expired]
    if not archives:
        return None, []
    converted = _results(run, Activity.CONVERT, Converted)
    stored = _results(run, Activity.STORE, Stored)

    def as_entry(item: str, member: Member, done: Converted | None) -> Entry:
        if done is not None and item in stored:
            return files_of.stored_entry(member, done, stored[item].key)
        if files_of.is_settled(member):
            return files_of.entry(member)
        return files_of.entry(replace(member, outcome=Outcome.FAILED, reason=_NOT_STORED))

    files = [as_entry(*file) for file in files_of.walk(archives[-1].members, converted, within=stored)]
    return archives[-1], files


async def give_up(run: Run, activities: Activities) -> Ending:
    """Set the task of a cancelled run to cancelled, if it has one. Stored documents stay.

    A task that may have been requested is created first: a request still under way could leave a task in
    progress for good.

    Raises:
        RunError: if the task cannot be updated.
    """
    stored = run.results(Activity.STORE)
    converted = _results(run, Activity.CONVERT, Converted)
    counts = dict(Counter(converted[item].outcome for item in stored if item in converted))
    for search in _results(run, Activity.SEARCH, Search).values():
        await activities.release(run.id, search.status)
    if not run.may_have_started(Activity.CREATE_TASK):
        return Ending(RunState.CANCELLED, counts, None, None)
    task = await run.do(Activity.CREATE_TASK, activities.create_task, run.id, run.patient_id, kind=Task)
    update = (task.task_id, RunState.CANCELLED, _note_of_cancel(len(stored)))
    updating = activities.update_status
    status = await run.do(Activity.UPDATE_STATUS, updating, *update, kind=Updated, item="cancelled")
    return Ending(RunState.CANCELLED, counts, task.task_id, status.problem)


def _note_of_cancel(kept: int) -> str:
    stay = "1 document that was stored before stays" if kept == 1 else f"{kept} documents stored before stay"
    return f"Cancelled; {stay} in the storage." if kept else "Cancelled; no document was stored."


async def _archive(run: Run, activities: Activities, patient: Patient) -> Archive:
    """Search until there is an archive, and extract it."""
    for search_number in range(1, SEARCHES + 1):
        item = "" if search_number == 1 else str(search_number)
        number = {"search": search_number}
        search = await run.do(
            Activity.SEARCH, activities.search, patient, kind=Search, item=item, about=number
        )
        about = {"search_id": search.search_id}
        polling = (activities.wait_until_ready, search, patient)
        ready = await run.do(Activity.CHECK_STATUS, *polling, kind=Ready, item=item, about=about)
        if ready.expired:
            continue
        archive = await run.do(
            Activity.DOWNLOAD,
            activities.download_and_extract,
            run.id,
            search,
            ready,
            kind=Archive,
            item=item,
            about=about,
            valid=activities.extracted(run.id),
        )
        if not archive.expired:
            return archive
    raise ServiceError(
        f"The search expired at the exchange {SEARCHES} times before its archive was downloaded."
    )


async def _documents(
    run: Run, activities: Activities, members: Sequence[Member], patient: Patient
) -> list[Entry]:
    """Convert and store every member that is a document; returns every file with its outcome."""
    left = budget.of_run(members, _results(run, Activity.CONVERT, Converted))
    documents = _Documents(run, activities, patient, files_of.seen(members), left)
    numbered = ((item_of(number), member) for number, member in enumerate(members, 1))
    groups = await _each(documents.convert_and_store, numbered)
    return [file for files in groups for file in files]


@dataclass(frozen=True, slots=True)
class _Documents:
    """The documents of one run; not a function that calls itself, a cycle that would keep the run."""

    run: Run
    activities: Activities
    patient: Patient
    first_paths: dict[str | None, str]  # by id
    left: budget.Budget
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_DOCUMENTS))

    async def convert_and_store(self, item: str, member: Member) -> list[Entry]:
        """Convert and store a document and those that are embedded in it; returns each with its outcome."""
        if files_of.is_settled(member):
            return [files_of.entry(member)]
        run, activities = self.run, self.activities
        about = {"document_id": member.id, "size": member.size}
        place = (run.patient_id, run.id, item)
        async with self.places:
            done = await run.do(
                Activity.CONVERT,
                activities.convert,
                place,
                member,
                self.patient,
                kind=Converted,
                item=item,
                about=about,
                valid=activities.converted(run.id, item),
            )
            storing = (activities.store, place, member, done)
            put = await run.do(Activity.STORE, *storing, kind=Stored, item=item, about=about)
        parts = files_of.parts(self.left, self.first_paths, item, member, done)
        below = ((f"{item}.{number}", part) for number, part in enumerate(parts, 1))
        embedded = await _each(self.convert_and_store, below)
        return [files_of.stored_entry(member, done, put.key), *(file for files in embedded for file in files)]


async def _each(
    work: Callable[[str, Member], Coroutine[Any, Any, list[Entry]]], items: Iterable[tuple[str, Member]]
) -> list[list[Entry]]:
    """Await all concurrently; the first error cancels the others and is raised as it is.

    A document begins when one of those before it has ended: of 10,000 only some are in memory, and a workflow
    that is replayed does not pass them all at each step.
    """
    begun = asyncio.Semaphore(CONCURRENT_DOCUMENTS)
    groups: dict[int, list[Entry]] = {}  # a task that has ended is not kept: 10,000 of them are 10 MB

    async def one(number: int, item: str, member: Member) -> None:
        groups[number] = await work(item, member)

    try:
        async with asyncio.TaskGroup() as group:
            for number, item in enumerate(items):
                await begun.acquire()
                task = group.create_task(one(number, *item))
                task.add_done_callback(lambda _: begun.release())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [groups[number] for number in sorted(groups)]


def _facts(
    run: Run, retrieved: _Retrieved, counts: dict[str, int], error: str | None, problem: str | None
) -> Facts:
    """Collect what the report of a run is made from."""
    history, archive = run.history(), retrieved.archive
    return Facts(
        run=RunFacts(
            run_id=run.id,
            patient_id=run.patient_id,
            task_id=retrieved.task_id,
            state=files_of.final_state(counts, error),
            started=history.started,
            error=error,
            problem=problem,
        ),
        patient=msgspec.convert(retrieved.patient, PatientFacts, from_attributes=True),
        archive=ArchiveFacts(size=archive.size, sha256=archive.sha256) if archive else None,
        documents=retrieved.files,
        counts=counts,
        timeline=history.timeline,
        waits=history.waits,
    )
