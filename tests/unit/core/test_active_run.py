"""One activity of a run, without pipeline, engine or database: its replay, its log line, its checkpoint."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from docpipe.checkpoints import PackedSteps, StoredRun, StoredStep
from docpipe.engine.run import ActiveRun, ActiveStep
from docpipe.errors import RunError, ServiceError
from docpipe.model import Activity, RunState, Ticket
from docpipe.results.files import Task


class Host:
    """The engine of a run: notes what it is called with."""

    def __init__(self):
        self.clock = lambda: 5.0
        self.noted = []
        self.changes = []
        self.checkpoints = SimpleNamespace(
            begin_step=lambda *key: self.noted.append(("begin", *key)), finish_step=self._finish
        )
        self.activity_log = SimpleNamespace(
            start=lambda entry: self.noted.append(("log", entry.attempt)),
            finish=lambda _entry, _seconds, outcome: self.noted.append(("logged", outcome)),
            flush=self._flush,
        )

    async def _finish(self, run_id, activity, item, result):
        self.noted.append(("checkpoint", result))

    async def _flush(self):
        self.noted.append(("flush",))

    def notify(self, change):
        self.changes.append((change.activity, change.outcome))

    def release_admission(self, run_id):
        self.noted.append(("released", run_id))

    async def wait_until_allowed(self, ticket, activity):
        """At once."""


def run_of(host, *steps):
    stored = StoredRun("R1", "P1", 0, RunState.RUNNING, 1.0, 2.0, None, None, None, {}, None)
    return ActiveRun(host, stored, PackedSteps(steps))


def past(result, attempts=1):
    return StoredStep(Activity.CREATE_TASK, "", attempts, 2.0, 3.0, None, result)


async def create(_step):
    return Task("T1")


async def test_a_result_is_logged_and_then_kept():
    """The line of the log is written first: a checkpoint without one would never get it."""
    host = Host()
    run = run_of(host)
    assert await run.do(Activity.CREATE_TASK, create, kind=Task) == Task("T1")
    begin = ("begin", "R1", Activity.CREATE_TASK, "")
    assert host.noted == [begin, ("log", 1), ("logged", "ok"), ("checkpoint", {"task_id": "T1"})]
    assert host.changes == [(Activity.CREATE_TASK, None), (Activity.CREATE_TASK, "ok")]
    assert run.results(Activity.CREATE_TASK) == {"": {"task_id": "T1"}}
    assert run.current is None


async def test_a_result_is_replayed():
    """Without a line of the log, an attempt or an event."""
    host = Host()
    assert await run_of(host, past({"task_id": "T9"})).do(Activity.CREATE_TASK, create, kind=Task) == Task(
        "T9"
    )
    assert (host.noted, host.changes) == ([], [])


async def test_a_failure_is_replayed():
    """An activity that failed for good fails again with its sentence, and is not done again."""
    host = Host()
    run = run_of(host, past({"error!": "The tracker refused it.", "kind": "ServiceError", "status": 403}))
    with pytest.raises(RunError, match=r"The tracker refused it\."):
        await run.do(Activity.CREATE_TASK, create, kind=Task)
    assert host.noted == []


@pytest.mark.parametrize(
    ("error", "outcome", "after"),
    [
        (asyncio.CancelledError(), "stopped", ("flush",)),
        (KeyError("x"), "failed", ("flush",)),
        (
            ServiceError("no", 403),
            "failed",
            ("checkpoint", {"error!": "no", "kind": "ServiceError", "status": 403}),
        ),
    ],
)
async def test_how_an_attempt_ends(error, outcome, after):
    """A refusal is kept for good; a stop and a fault of docpipe are not, so that they are done again."""

    async def fail(_step):
        raise error

    host = Host()
    run = run_of(host, past(None, attempts=2))
    with pytest.raises(type(error)):
        await run.do(Activity.CREATE_TASK, fail, kind=Task)
    assert host.noted[1:] == [("log", 3), ("logged", outcome), after]
    assert host.changes[-1] == (Activity.CREATE_TASK, outcome)
    assert run.active == {}


async def test_a_result_whose_files_are_gone_is_made_again():
    """The check of the files decides, not the checkpoint."""
    host = Host()
    run = run_of(host, past({"task_id": "T9"}, attempts=4))
    made = await run.do(Activity.CREATE_TASK, create, kind=Task, valid=lambda task: task.task_id != "T9")
    assert made == Task("T1")
    assert ("log", 5) in host.noted


@pytest.mark.parametrize(
    ("activity", "released"),
    [(Activity.SEARCH, True), (Activity.CHECK_STATUS, False), (Activity.STORE, False)],
)
async def test_only_a_search_frees_the_admission(activity, released):
    """The next run may search then; what comes after a search needs no admission."""
    host = Host()
    await run_of(host).do(activity, create, kind=Task)
    assert (("released", "R1") in host.noted) == released


@pytest.mark.parametrize(
    ("state", "result", "started"),
    [(None, None, False), ({"sent": 1.0}, None, True), (None, {"task_id": "T1"}, True)],
    ids=["only begun", "its intent is kept", "its result is kept"],
)
def test_an_activity_may_have_had_its_effect_from_its_intent_on(state, result, started):
    """A cancelled run creates the task first whose request may be under way."""
    step = StoredStep(Activity.CREATE_TASK, "", 1, 2.0, None, state, result)
    assert run_of(Host(), step).may_have_started(Activity.CREATE_TASK) is started
    assert not run_of(Host(), step).may_have_started(Activity.SEARCH)


def test_a_position_does_not_hold_the_run():
    """The run keeps its latest position, so that a step within it would be a cycle."""
    run = run_of(Host())
    step = ActiveStep(run, Activity.SEARCH, "", 1, 5.0, Ticket("R1"), None)
    run.active[Activity.SEARCH, ""] = step
    assert run.position() == ((Activity.SEARCH, "", 1), None)
    run.active[Activity.SEARCH, ""] = replace(step, attempt=2)
    assert run.position() == ((Activity.SEARCH, "", 2), None)
