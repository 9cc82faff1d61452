"""Answers that never arrive, forgotten keys, tasks that others delete or close: nothing is doubled."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fakes
from docpipe.checkpoints import read_runs
from docpipe.engine.engine import Change
from docpipe.model import Activity, RunState
from fakes.faults import OPERATIONS
from tests import virtual
from tests.simulation import crashes
from tests.simulation.crashes import Course, Failure, Plan, stage, tell, tried
from tests.simulation.lives import prepared

MOMENTS = 12
"""So many of the points between the intent of a POST and its checkpoint, or a few more."""
POSTS = {
    "tracker.create": Activity.CREATE_TASK,
    "tracker.report": Activity.APPEND_REPORT,
    "docex.search": Activity.SEARCH,
}


ANSWERS = ("lost", "late seconds=45", "delay seconds=45", "delay seconds=3", "hang seconds=9")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with stage(["P1"]) as folder, prepared():
        yield folder


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_lost_or_late_answer(folder: Path, operation: str, answer: str) -> None:
    """The service does it and the answer is lost, or comes too late, or is still at it: it is done once."""
    for times in (1, 3):
        results = tried(Plan(faults=(f"{operation} {answer} times={times}",)), folder)
        assert isinstance(results, Course), results


@pytest.mark.parametrize("operation", ["tracker.create", "tracker.report"])
def test_a_lost_answer_and_forgotten_keys(folder: Path, operation: str) -> None:
    """The tracker does not know the key any more: what the lost request made is looked up, not made again."""
    faults = (f"{operation} lost times=1", f"{operation} forget")
    results = tried(Plan(faults=faults), folder)
    assert isinstance(results, Course), results


@pytest.mark.parametrize(
    ("answer", "forgets"), [("lost", True), ("late seconds=45", True), ("delay seconds=20", False)]
)
@pytest.mark.parametrize("operation", POSTS)
def test_dead_before_the_answer(folder: Path, operation: str, answer: str, *, forgets: bool) -> None:
    """docpipe dies before it has the answer; by the next life the request is done, and its key forgotten.

    Or it is not done yet: then nothing can be found, and only key and body keep it from being doubled.
    """
    faults = [f"{operation} {answer} times=1"]
    if forgets and operation.startswith("tracker"):  # the exchange has no way to find a search but its key
        faults.append("tracker.* forget")
    for gap in (0.1, 60.0):
        plan = Plan(faults=tuple(faults), gaps=(gap,))
        passed = tell(plan, folder).lives[0]
        begin = passed.index(f"before save_step: {POSTS[operation]}")
        end = passed.index(f"after finish_step: {POSTS[operation]}")
        kills = range(begin + 1, end + 2, max(1, (end - begin) // MOMENTS))
        died = [tried(Plan(faults=plan.faults, gaps=plan.gaps, kills=(kill,)), folder) for kill in kills]
        assert not [one for one in died if isinstance(one, Failure)]


Meddle = Callable[[fakes.Running, str], None]
"""What somebody does with a run's task meanwhile."""


def meddled(folder: Path, when: Activity, meddle: Meddle, faults: tuple[str, ...] = ()) -> crashes.Ended:
    """A run, with whose task somebody meddles as the activity begins."""

    def listen(running: fakes.Running, change: Change) -> None:
        if change.activity is when and change.outcome is None:
            for task in running.tracker.tasks_of(change.run_id):
                meddle(running, task.id)

    return virtual.run(crashes.unjudged(Plan(faults=faults), folder, listen))


def delete(running: fakes.Running, task_id: str) -> None:
    running.tracker.delete_task(task_id)


def kept(ended: crashes.Ended, folder: Path) -> None:
    """The documents and the report are stored, and the run tells of a problem of the task."""
    (run,) = read_runs(folder / "disk" / "state")
    assert run.state is RunState.COMPLETED_WITH_ERRORS
    stored = folder / "disk" / "storage" / "P1"
    names = {path.name for path in (stored / "runs" / run.run_id).iterdir()}
    assert names == {"manifest.json", "report.html", "report.json"}
    assert len(list(stored.glob("*/original.txt"))) == 3
    assert list((folder / "disk" / "state" / "spool").iterdir()) == []
    assert run.error is not None
    assert ended.error == run.error


@pytest.mark.parametrize("when", [Activity.SEARCH, Activity.UPDATE_STATUS, Activity.APPEND_REPORT])
def test_somebody_deletes_the_task(folder: Path, when: Activity) -> None:
    """The run says so and ends; the documents are kept, the report is stored, and no new task is made."""
    ended = meddled(folder, when, delete)
    kept(ended, folder)
    assert ended.error == "The task was deleted in the tracker; the documents are kept."
    assert len(ended.running.tracker.tasks) == 1
    if when is not Activity.APPEND_REPORT:  # by then the report had been written
        report = next((folder / "disk" / "storage").glob("P1/runs/*/report.html"))
        assert "deleted" in report.read_text("utf-8")


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed"])
def test_somebody_closes_the_task(folder: Path, status: str) -> None:
    """409: the task stays as somebody left it, the run says so, and the report is appended all the same."""
    ended = meddled(
        folder, Activity.UPDATE_STATUS, lambda running, id_: running.tracker.set_status(id_, status)
    )
    (task,) = ended.running.tracker.tasks.values()
    assert task.history == ("in_progress", status)
    assert len(ended.running.tracker.reports[task.id]) == 1
    if status == "completed":
        assert ended.error is None
    else:
        kept(ended, folder)
        assert ended.error == f"The tracker did not let the task go from {status} to completed."


@pytest.mark.parametrize("fault", ["tracker.update 409", "tracker.update 412"])
def test_a_status_that_is_refused(folder: Path, fault: str) -> None:
    """409 and 412 without a reason: a problem with the status of the task is reported, nothing is lost."""
    ended = meddled(folder, Activity.SEARCH, lambda *_: None, (fault,))
    kept(ended, folder)
    assert "from in_progress to completed" in (ended.error or "")


def test_somebody_changes_the_task_meanwhile(folder: Path) -> None:
    """412: the task is read again, and its new status said of what it is now."""
    seen = []

    def block(running: fakes.Running, task_id: str) -> None:
        if not seen:  # as the answer to the reading is on its way
            running.add_fault("tracker.update delay seconds=2 times=1")
            loop = asyncio.get_running_loop()
            seen.append(loop.call_later(1.0, running.tracker.set_status, task_id, "blocked"))

    ended = meddled(folder, Activity.UPDATE_STATUS, block)
    (task,) = ended.running.tracker.tasks.values()
    assert task.history == ("in_progress", "blocked", "completed")
    assert len(task.notes) == 1
    statuses = [one.status for one in ended.running.tracker.requests if one.operation == "tracker.update"]
    assert statuses == [412, 200]
    assert ended.error is None


def test_a_status_that_arrives_late(folder: Path) -> None:
    """A change given up as unanswered, which arrives after the next one went through, adds no second note."""
    plan = Plan(faults=("tracker.update delay seconds=45 times=1",))
    ended = virtual.run(crashes.unjudged(plan, folder, lambda *_: None, wait=60.0))
    (task,) = ended.running.tracker.tasks.values()
    statuses = [one.status for one in ended.running.tracker.requests if one.operation == "tracker.update"]
    assert statuses == [412, 200]
    assert len(task.notes) == 1
    assert ended.error is None
