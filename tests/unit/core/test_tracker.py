"""The tracker's client against scripted answers: what counts as done, and what is sent."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from docpipe.errors import ServiceError
from docpipe.http import Answer
from docpipe.model import Ticket
from docpipe.tasks.tracker import TaskTracker


class ScriptedHttp:
    """Answers calls in order, and keeps them; each answer is (method, status, headers, body)."""

    def __init__(self, *script):
        self.script = list(script)
        self.calls = []

    async def call(self, method, url, **options):
        self.calls.append((method, options))
        expected, status, headers, body = self.script.pop(0)
        assert method == expected, f"{method} instead of {expected}"
        return Answer(status, headers, body)

    def sent(self, method):
        """The options of the calls of a method."""
        return [options for called, options in self.calls if called == method]


@dataclass
class MemoryStep:
    """A step whose state is kept in memory."""

    state: dict | None = None
    key: str = "R1:TaskTracker_UpdateStatus"
    ticket: Ticket = field(default_factory=lambda: Ticket("R1"))
    saved: list[dict] = field(default_factory=list)

    async def save(self, state):
        self.saved.append(state)
        self.state = state


def tracker_of(http):
    config = SimpleNamespace(base_url="https://tracker.example")
    return TaskTracker(http=http, config=config, gate=None, clock=lambda: 0.0, credentials=None)


def task(status, etag='"1"', **more):
    return (200, {"ETag": etag} if etag else {}, {"id": "T1", "status": status, **more})


async def test_a_status_is_set_with_the_tag_that_was_read():
    """The task is read, its tag kept, and the change sent on condition that the tag still holds."""
    http, step = (
        ScriptedHttp(("GET", *task("in_progress")), ("PATCH", *task("completed", '"2"'))),
        MemoryStep(),
    )
    result = await tracker_of(http).update_status(step, "T1", "completed", "Documents: 1 converted.")
    assert result == {"status": "completed", "problem": None}
    (patch,) = http.sent("PATCH")
    assert patch["headers"] == {"If-Match": '"1"'}
    assert patch["json"] == {"status": "completed", "note": "Documents: 1 converted."}
    assert step.saved == [{"etag": '"1"'}]


async def test_a_status_that_an_earlier_attempt_set_is_not_set_again():
    """The status is there and the tag has changed since: the change of the earlier attempt arrived."""
    http = ScriptedHttp(("GET", *task("completed", '"2"')))
    result = await tracker_of(http).update_status(MemoryStep({"etag": '"1"'}), "T1", "completed", "")
    assert (result["status"], http.sent("PATCH")) == ("completed", [])


@pytest.mark.parametrize("state", [None, {"etag": '"1"'}])
async def test_a_status_that_was_there_before_is_not_ours(state):
    """The status is there, but the tag is that of before: the note is still to be sent."""
    http = ScriptedHttp(("GET", *task("completed")), ("PATCH", *task("completed", '"2"')))
    await tracker_of(http).update_status(MemoryStep(state), "T1", "completed", "")
    assert len(http.sent("PATCH")) == 1


async def test_a_weak_tag_is_no_condition():
    """If-Match takes strong tags only, so a weak one is left out."""
    http = ScriptedHttp(("GET", *task("in_progress", 'W/"1"')), ("PATCH", *task("completed", 'W/"2"')))
    await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")
    assert http.sent("PATCH")[0]["headers"] is None


async def test_a_task_that_changed_meanwhile_is_read_again():
    """A stale tag (412) is read anew and tried again with the new one."""
    http = ScriptedHttp(
        ("GET", *task("in_progress")),
        ("PATCH", 412, {}, {}),
        ("GET", *task("in_progress", '"2"')),
        ("PATCH", *task("completed", '"3"')),
    )
    step = MemoryStep()
    assert (await tracker_of(http).update_status(step, "T1", "completed", ""))["status"] == "completed"
    assert [patch["headers"]["If-Match"] for patch in http.sent("PATCH")] == ['"1"', '"2"']
    assert step.saved == [{"etag": '"1"'}, {"etag": '"2"'}]


async def test_a_transition_that_is_refused_is_a_problem():
    """A 409 leaves the task as it is, and says from which status it did not go."""
    http = ScriptedHttp(("GET", *task("closed")), ("PATCH", 409, {}, {}), ("GET", *task("closed")))
    result = await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")
    assert result["status"] == "closed"
    assert result["problem"] == "The tracker did not let the task go from closed to completed."


async def test_a_deleted_task_is_a_problem():
    """A task that is gone does not fail the run."""
    http = ScriptedHttp(("GET", 404, {}, {}))
    result = await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")
    assert result["status"] is None
    assert "delete" in result["problem"]


async def test_a_refused_status_is_an_error():
    """Another 4xx is a mistake of ours: an error with the status in it."""
    http = ScriptedHttp(("GET", *task("in_progress")), ("PATCH", 422, {}, {}))
    with pytest.raises(ServiceError, match="422"):
        await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")


async def test_a_first_attempt_creates_at_once():
    """The intent is kept before the request, which has the run as its reference."""
    http, step = ScriptedHttp(("POST", 201, {}, {"id": "T1", "status": "in_progress"})), MemoryStep()
    assert await tracker_of(http).create(step, "R1", "Documents of patient P1") == {"task_id": "T1"}
    (post,) = http.sent("POST")
    assert post["headers"] == {"Idempotency-Key": step.key}
    assert post["json"]["external_ref"] == "R1"
    assert step.saved == [{"sent": 0.0}]


@pytest.mark.parametrize("there", [True, False])
async def test_a_later_attempt_looks_first(there):
    """After a crash the task may exist: it is found by its reference, or created."""
    tasks = [{"id": "T1", "status": "in_progress"}] if there else []
    script = [("GET", 200, {}, {"tasks": tasks})]
    if not there:
        script.append(("POST", 201, {}, {"id": "T1", "status": "in_progress"}))
    http = ScriptedHttp(*script)
    assert await tracker_of(http).create(MemoryStep({"sent": 0.0}), "R1", "") == {"task_id": "T1"}
    assert (len(http.sent("POST")), http.sent("GET")[0]["params"]) == (not there, {"external_ref": "R1"})


@pytest.mark.parametrize(("reports", "posts"), [(1, 1), (2, 0)])
async def test_a_report_is_appended_once(reports, posts):
    """A later attempt posts only if the task has no more reports than before the first one."""
    script = [("GET", *task("completed", reports=reports))]
    if posts:
        script.append(("POST", 201, {}, {}))
    http = ScriptedHttp(*script)
    step = MemoryStep({"sent": 0.0, "before": 1})
    result = await tracker_of(http).append_report(step, "T1", "# Report", "link")
    assert (result, len(http.sent("POST"))) == ({"appended": True, "problem": None}, posts)


async def test_a_retried_run_counts_earlier_reports():
    """The reports of the finished run do not count as that of its retry."""
    http = ScriptedHttp(("GET", *task("completed", reports=2)), ("POST", 201, {}, {}))
    step = MemoryStep()
    await tracker_of(http).append_report(step, "T1", "# Report", "link", again=True)
    assert step.saved == [{"sent": 0.0, "before": 2}]
