"""The pipeline of one patient, against a run in memory and activities that answer from data."""

import asyncio
import gc
import re
import weakref

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from docpipe.engine.files import walk
from docpipe.engine.pipeline import CONCURRENT_DOCUMENTS, SEARCHES, counts_so_far, give_up, retrieve
from docpipe.errors import RunError, ServiceError
from docpipe.model import Activity, RunState
from docpipe.results.files import Declared
from docpipe.results.report import ArchiveFacts
from tests.unit.core.support import MemoryActivities, MemoryRun, checkpoint, done, member


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ((), RunState.COMPLETED),
        ((None,), RunState.COMPLETED),
        (("ignored", "duplicate"), RunState.COMPLETED),
        ((None, "refused"), RunState.COMPLETED_WITH_ERRORS),
    ],
)
async def test_refused_files_are_errors(outcomes, state):
    """A refused file makes `completed_with_errors`; ignored files and duplicates do not."""
    members = [member(f"{number}.txt", outcome) for number, outcome in enumerate(outcomes)]
    ending = await retrieve(MemoryRun(), MemoryActivities(members))
    assert (ending.state, ending.error) == (state, None)


async def test_failed_conversions_are_errors():
    """A document that cannot be converted makes `completed_with_errors`, and is counted."""
    ending = await retrieve(
        MemoryRun(), MemoryActivities([member("a.txt", becomes="failed"), member("b.txt")])
    )
    assert ending.state is RunState.COMPLETED_WITH_ERRORS
    assert ending.counts == {"failed": 1, "converted": 1}


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("expired", [0, 1, 3])
async def test_an_expired_search_is_repeated(expired, lost):
    """A search that expires, or whose archive does, is repeated up to three times."""
    run = MemoryRun()
    activities = MemoryActivities(**{"lost" if lost else "expired": expired})
    assert (await retrieve(run, activities)).state is RunState.COMPLETED
    assert run.times(Activity.SEARCH) == expired + 1
    searches = [item for activity, item in run.done if activity is Activity.SEARCH]
    assert searches == ["", "2", "3", "4"][: expired + 1]


async def test_a_search_that_always_expires_fails_the_run():
    """After three repetitions the run fails, its task says so, and a report is written all the same."""
    run, activities = MemoryRun(), MemoryActivities(expired=100)
    ending = await retrieve(run, activities)
    assert ending.state is RunState.FAILED
    assert (SEARCHES, run.times(Activity.SEARCH)) == (4, 4)
    assert activities.updates == [("failed", ending.error)]
    assert "4 times" in ending.error
    assert run.times(Activity.REPORT) == run.times(Activity.APPEND_REPORT) == 1
    assert activities.facts.archive is None


async def test_the_note_lists_outcomes_in_their_order():
    """The care team's note counts the outcomes in the order of `Outcome`, leaving out those without files."""
    members = [
        member("a", "refused"),
        member("b", "ignored"),
        member("c", "duplicate"),
        member("d", becomes="failed"),
        member("e", becomes="stored"),
        member("f"),
        member("g"),
    ]
    activities = MemoryActivities(members)
    await retrieve(MemoryRun(), activities)
    ((state, note),) = activities.updates
    assert state == "completed_with_errors"
    assert note == (
        "Documents: 2 readable, 1 kept as it is, 1 could not be read, 1 the same as another, 1 left out, "
        "1 refused as unsafe."
    )


async def test_no_documents_are_said_in_words():
    """An exchange without documents for the patient is a sentence, not an empty list."""
    activities = MemoryActivities()
    await retrieve(MemoryRun(), activities)
    assert activities.updates == [("completed", "The exchange holds no documents for this patient.")]


@pytest.mark.parametrize("problem", ["status_problem", "append_problem"])
async def test_a_problem_with_the_task_is_an_error(problem):
    """A run whose task could not be updated as wanted completes with errors, and says why."""
    ending = await retrieve(MemoryRun(), MemoryActivities(**{problem: "The task is closed."}))
    assert (ending.state, ending.error) == (RunState.COMPLETED_WITH_ERRORS, "The task is closed.")


async def test_of_two_problems_with_the_task_the_first_is_named():
    """The report is appended after the status: what was wrong with the status is why the task is as it is."""
    activities = MemoryActivities(status_problem="The task is closed.", append_problem="The task is gone.")
    assert (await retrieve(MemoryRun(), activities)).error == "The task is closed."


async def test_a_failure_outweighs_a_problem_with_the_task():
    """The error of a failed run stays its error when the task has a problem, too."""
    activities = MemoryActivities(expired=100, status_problem="The task is closed.")
    ending = await retrieve(MemoryRun(), activities)
    assert ending.state is RunState.FAILED
    assert "expire" in ending.error
    assert activities.facts.run.problem == "The task is closed."


async def test_embedded_documents_are_documents_of_their_own():
    """A document in a document is converted, numbered below its parent, and has one outcome."""
    part = member("mail.eml/letter.txt", derived_from="x")
    run, activities = MemoryRun(), MemoryActivities([member("mail.eml", embedded=[part])])
    ending = await retrieve(run, activities)
    items = [item for activity, item in run.done if activity is Activity.CONVERT]
    assert (items, ending.counts) == (["00001", "00001.1"], {"converted": 2})
    files = activities.facts.documents
    assert [file.path for file in files] == ["mail.eml", "mail.eml/letter.txt"]


async def test_files_are_listed_in_the_order_of_the_archive():
    """Not in the order in which their conversions end."""

    class Backwards(MemoryActivities):
        async def convert(self, step, place, member, patient=None):
            for _ in range(10 * (9 - int(member.path))):
                await asyncio.sleep(0)
            return await super().convert(step, place, member, patient)

    activities = Backwards([member(str(number)) for number in range(9)])
    await retrieve(MemoryRun(), activities)
    assert [file.path for file in activities.facts.documents] == [str(number) for number in range(9)]


async def test_an_embedded_copy_of_a_file_is_a_duplicate():
    """Bytes that the archive holds as a file of their own are not converted again inside another."""
    letter = member("letter.txt")
    part = replace(letter, path="mail.eml/letter.txt")
    run, activities = MemoryRun(), MemoryActivities([member("mail.eml", embedded=[part]), letter])
    ending = await retrieve(run, activities)
    assert ending.counts == {"converted": 2, "duplicate": 1}
    (copy,) = [file for file in activities.facts.documents if file.outcome == "duplicate"]
    assert copy.duplicate_of == "letter.txt"


async def test_the_archive_is_released_once_all_is_stored():
    """The exchange may delete an archive when its documents are stored, and not before."""
    order = []

    class Ordered(MemoryActivities):
        async def store(self, step, place, member, done):
            order.append("store")
            return await super().store(step, place, member, done)

        async def release(self, run_id, search):
            order.append("release")
            await super().release(run_id, search)

    activities = Ordered([member("a.txt"), member("b.txt")])
    await retrieve(MemoryRun(), activities)
    assert order == ["store", "store", "release"]
    assert activities.released == ["/status/S1"]


async def test_a_retry_reopens_the_task():
    """A retry of a finished run sets its task to in progress, and asks to look for earlier reports."""
    run = MemoryRun(repeated=(Activity.UPDATE_STATUS, Activity.APPEND_REPORT))
    activities = MemoryActivities()
    await retrieve(run, activities)
    assert [state for state, _ in activities.updates] == ["in_progress", "completed"]
    assert activities.appended == [True]


async def test_each_conversion_knows_whose_document_it_is():
    """The row of the patients database goes to the converter with every file, but is stored with none."""
    seen = []

    class Noting(MemoryActivities):
        async def convert(self, step, place, member, patient=None):
            seen.append(patient.id)
            return await super().convert(step, place, member, patient)

        async def store(self, step, place, member, done):
            assert not hasattr(member, "patient")
            return await super().store(step, place, member, done)

    run = MemoryRun()
    await retrieve(run, Noting([member("a.txt"), member("b.txt")]))
    assert seen == [run.patient_id] * 2


async def test_an_error_that_nobody_foresaw_is_reported_to_the_task():
    """It cancels the other documents, and then ends as any other: status, report and manifest."""
    cancelled = []

    class Broken(MemoryActivities):
        async def convert(self, step, place, member, patient=None):
            if member.path == "a.txt":
                await asyncio.sleep(0)
                raise ZeroDivisionError
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(member.path)

    run, activities = MemoryRun(), Broken([member("a.txt"), member("b.txt")])
    with capture_logs() as logs:
        ending = await retrieve(run, activities)
    assert cancelled == ["b.txt"]
    assert ending.state is RunState.FAILED
    assert re.fullmatch(
        r"docpipe itself failed \(ZeroDivisionError at test_pipeline.py:\d+\).*", ending.error
    )
    assert activities.updates == [("failed", ending.error)]
    assert activities.facts.run.error == ending.error
    assert run.times(Activity.APPEND_REPORT) == 1
    assert [line["event"] for line in logs] == ["run_broken"]


@pytest.mark.parametrize("error", [ServiceError("The storage refuses it."), KeyError("x")])
async def test_what_is_stored_is_counted_whatever_stops_the_run(error):
    """Each file has its one outcome in the counts, the manifest and the report, also where the run stops."""

    class Stopped(MemoryActivities):
        async def store(self, step, place, member, done):
            if member.path == "c.txt":
                while len(run.results(Activity.STORE)) < 3:
                    await asyncio.sleep(0)
                raise error
            return await super().store(step, place, member, done)

    letter = member("mail.eml/letter.txt", derived_from="x")
    members = [
        member("a.txt"),
        member("mail.eml", embedded=[letter]),
        member("c.txt", embedded=[member("c.txt/in.txt")]),
        member("virus.exe", "refused"),
        member("again.txt", "duplicate"),
    ]
    run, activities = MemoryRun(), Stopped(members)
    ending = await retrieve(run, activities)
    assert ending.state is RunState.FAILED
    assert ending.counts == {"converted": 3, "failed": 1, "refused": 1, "duplicate": 1}
    assert activities.facts.counts == ending.counts
    by_path = {file.path: file for file in activities.facts.documents}
    assert by_path["c.txt"].reason == "The run stopped before this document was stored."
    assert by_path["mail.eml/letter.txt"].key == letter.id
    assert activities.facts.archive == ArchiveFacts(size=1, sha256="")


ENDS = (Activity.UPDATE_STATUS, Activity.REPORT, Activity.APPEND_REPORT)


@pytest.mark.parametrize("error", [ServiceError("It is refused.", 401), ZeroDivisionError()])
@pytest.mark.parametrize("refused", ENDS)
async def test_a_refusal_at_the_end_keeps_the_rest(refused, error):
    """What cannot be done at the end fails the run, keeps its counts, and leaves out nothing else."""

    class Refusing(MemoryActivities):
        async def update_status(self, step, task_id, state, note):
            await self._end(Activity.UPDATE_STATUS)
            return await super().update_status(step, task_id, state, note)

        async def report(self, step, facts):
            await self._end(Activity.REPORT)
            return await super().report(step, facts)

        async def append_report(self, step, task_id, made, again):
            await self._end(Activity.APPEND_REPORT)
            return await super().append_report(step, task_id, made, again)

        async def _end(self, activity):
            if activity is refused:
                raise error

    run, activities = MemoryRun(), Refusing([member("a.txt")])
    ending = await retrieve(run, activities)
    assert (ending.state, ending.counts, ending.task_id) == (RunState.FAILED, {"converted": 1}, "T1")
    assert "refused" in ending.error or "docpipe itself failed" in ending.error
    done = [activity for activity in ENDS if run.times(activity)]
    assert done == ([*ENDS[:2]] if refused is Activity.REPORT else [*ENDS])
    if refused is Activity.UPDATE_STATUS:  # the manifest and the report say so
        assert activities.facts.run.state == "failed"
        assert activities.facts.run.error == ending.error


@pytest.mark.parametrize("files", [CONCURRENT_DOCUMENTS - 1, CONCURRENT_DOCUMENTS + 1])
async def test_documents_are_converted_side_by_side_up_to_a_bound(files):
    """As many documents of a run are in progress as the bound allows, and no more."""
    now, most = 0, 0

    class Counting(MemoryActivities):
        async def convert(self, step, place, member, patient=None):
            nonlocal now, most
            now += 1
            most = max(most, now)
            for _ in range(3):
                await asyncio.sleep(0)
            now -= 1
            return await super().convert(step, place, member, patient)

    await retrieve(MemoryRun(), Counting([member(f"{number}.txt") for number in range(files)]))
    assert most == min(files, CONCURRENT_DOCUMENTS)


async def test_embedded_documents_count_for_the_bound_of_their_run():
    """Each document begins its own: four with 32 each would be 128 at a time."""
    now, most = 0, 0

    class Counting(MemoryActivities):
        async def convert(self, step, place, member, patient=None):
            nonlocal now, most
            now += 1
            most = max(most, now)
            for _ in range(3):
                await asyncio.sleep(0)
            now -= 1
            return await super().convert(step, place, member, patient)

    members = [
        member(f"{outer}", embedded=[member(f"{outer}-{inner}") for inner in range(CONCURRENT_DOCUMENTS)])
        for outer in range(4)
    ]
    ending = await retrieve(MemoryRun(), Counting(members))
    assert (ending.counts, most) == ({"converted": 4 * (CONCURRENT_DOCUMENTS + 1)}, CONCURRENT_DOCUMENTS)


async def test_of_many_documents_few_are_in_memory_at_a_time():
    """Also of those that wait: a workflow is replayed, and all of its tasks with it."""
    most = 0

    class Counting(MemoryActivities):
        async def convert(self, step, place, member, patient=None):
            nonlocal most
            await asyncio.sleep(0)
            most = max(most, len(asyncio.all_tasks()))
            return await super().convert(step, place, member, patient)

    ending = await retrieve(MemoryRun(), Counting([member(f"{number}.txt") for number in range(500)]))
    assert ending.counts == {"converted": 500}
    assert most <= 2 * CONCURRENT_DOCUMENTS + 2


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_run_that_has_ended_is_freed_at_once(cancelled):
    """Old objects are collected rarely, so a cycle would keep whole runs: 12 KB each."""
    run = MemoryRun()
    freed = weakref.ref(run)
    activities = MemoryActivities([member("a.txt", embedded=[member("b.txt")]), member("c.txt", "refused")])
    gc.disable()
    try:
        await retrieve(run, activities)
        if cancelled:
            await give_up(run, activities)
            counts_so_far(run)
        del run
        await asyncio.sleep(0)
        assert freed() is None
    finally:
        gc.enable()


def test_a_walk_over_files_leaves_no_garbage():
    """The list of files is made for each report, and each time that a run is shown."""
    members = [member("a.txt"), member("b.txt", "refused")]
    converted = {"00001": done([member("c.txt")])}
    gc.collect()
    gc.disable()
    try:
        assert len(list(walk(members, converted))) == 3
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_what_a_document_says_of_itself_comes_before_what_is_declared():
    """Title and date are the document's own where it has them, else those that the exchange declares."""

    class Titled(MemoryActivities):
        async def convert(self, step, place, member, patient=None):
            done = await super().convert(step, place, member, patient)
            own = {"title": "Its own", "date": "2026-01-01"} if member.path == "a.txt" else {}
            return replace(done, metadata=own)

    declared = Declared(title="Declared", created="2025-01-01")
    activities = Titled([member("a.txt", declared=declared), member("b.txt", declared=declared)])
    await retrieve(MemoryRun(), activities)
    files = activities.facts.documents
    assert [(file.title, file.date) for file in files] == [
        ("Its own", "2026-01-01"),
        ("Declared", "2025-01-01"),
    ]
    assert [file.key for file in files] == [file.id for file in files]


async def test_an_error_of_storing_fails_the_run():
    """A RunError of one document's activity becomes the run's error."""

    class Full(MemoryActivities):
        async def store(self, step, place, member, done):
            raise ServiceError("The storage refuses it.")

    ending = await retrieve(MemoryRun(), Full([member("a.txt")]))
    assert (ending.state, ending.error) == (RunState.FAILED, "The storage refuses it.")


async def test_a_run_without_a_task_raises():
    """Where no task can be created there is nothing to report to: the error is the engine's."""

    class NoTask(MemoryActivities):
        async def create_task(self, step, run_id, patient_id):
            raise ServiceError("The tracker refuses it.")

    with pytest.raises(RunError, match="The tracker refuses it"):
        await retrieve(MemoryRun(), NoTask())


async def test_a_cancelled_run_without_a_task_updates_nothing():
    """Cancelled before its task was requested, a run leaves the tracker alone."""
    run, activities = MemoryRun(), MemoryActivities()
    ending = await give_up(run, activities)
    assert (ending.state, ending.task_id, activities.updates) == (RunState.CANCELLED, None, [])


@pytest.mark.parametrize(
    ("stored", "note"),
    [
        (0, "Cancelled; no document was stored."),
        (1, "Cancelled; 1 document that was stored before stays in the storage."),
        (2, "Cancelled; 2 documents stored before stay in the storage."),
    ],
)
async def test_a_cancelled_run_says_what_stays(stored, note):
    """The task of a cancelled run says how many documents stay; only those stored are counted."""
    items = [f"{number:05d}" for number in range(1, stored + 1)]
    past = {
        Activity.SEARCH: {"": {"search_id": "S1", "status": "/status/S1"}},
        Activity.CONVERT: {item: checkpoint([]) for item in [*items, "00009"]},
        Activity.STORE: {item: {"key": item} for item in items},
    }
    run, activities = MemoryRun(started=(Activity.CREATE_TASK,), past=past), MemoryActivities()
    ending = await give_up(run, activities)
    assert activities.updates == [("cancelled", note)]
    assert ending.counts == ({"converted": stored} if stored else {})
    assert (ending.task_id, activities.released) == ("T1", ["/status/S1"])
