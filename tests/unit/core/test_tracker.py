"""The tracker's client against scripted answers: what counts as done, and what is sent."""

from types import SimpleNamespace

import pytest
import structlog

from docpipe.errors import ServiceError
from docpipe.http.answers import MixedUpError
from docpipe.results.files import Appended, Task, Updated
from docpipe.tasks.tracker import TaskTracker
from tests.steps import MemoryStep, ScriptedHttp


def tracker_of(http):
    config = SimpleNamespace(base_url="https://tracker.example")
    return TaskTracker(http=http, config=config, gate=None, clock=lambda: 0.0, credentials=None)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A second question comes at once."""
    monkeypatch.setattr("docpipe.tasks.tracker.AGAIN_S", 0.0)


async def test_a_task_that_is_gone_once_is_there():
    """One 404 is a proxy's, as a task shows that is there a moment later: it gets status and report."""
    http = ScriptedHttp(
        ("GET", 404, {}, {}),
        ("GET", *task("in_progress")),
        ("PATCH", 404, {}, {}),
        ("GET", *task("in_progress")),
        ("PATCH", *task("completed", '"2"')),
    )
    result = await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")
    assert result == Updated("completed", None)
    http = ScriptedHttp(("POST", 404, {}, {}), ("GET", *task("completed")), ("POST", 201, {}, {}))
    assert (await tracker_of(http).append_report(MemoryStep(), "T1", "", "")).appended
    http = ScriptedHttp(("POST", 404, {}, {}), *[("GET", 410, {}, {})] * 2)
    assert not (await tracker_of(http).append_report(MemoryStep(), "T1", "", "")).appended


def task(status, etag='"1"', **more):
    return (200, {"ETag": etag} if etag else {}, {"id": "T1", "status": status, **more})


async def test_a_status_is_set_with_the_tag_that_was_read():
    """The task is read, its tag kept, and the change sent on condition that the tag still holds."""
    http, step = (
        ScriptedHttp(("GET", *task("in_progress")), ("PATCH", *task("completed", '"2"'))),
        MemoryStep(),
    )
    result = await tracker_of(http).update_status(step, "T1", "completed", "Documents: 1 converted.")
    assert result == Updated("completed", None)
    (patch,) = http.sent("PATCH")
    assert patch["headers"] == {"If-Match": '"1"'}
    assert patch["json"] == {"status": "completed", "note": "Documents: 1 converted."}
    assert step.durable == [{"etag": '"1"', "status": "in_progress"}]


async def test_a_status_that_an_earlier_attempt_set_is_not_set_again():
    """The status is there and the tag has changed since: the change of the earlier attempt arrived."""
    http = ScriptedHttp(("GET", *task("completed", '"2"')))
    result = await tracker_of(http).update_status(MemoryStep({"etag": '"1"'}), "T1", "completed", "")
    assert (result.status, http.sent("PATCH")) == ("completed", [])


async def test_without_tags_a_status_that_is_there_is_ours():
    """A tracker without tags: nothing shows who set the status, and a note would be there twice."""
    http = ScriptedHttp(("GET", *task("completed", None)))
    result = await tracker_of(http).update_status(MemoryStep({"etag": None}), "T1", "completed", "")
    assert (result.status, http.sent("PATCH")) == ("completed", [])


async def test_a_tag_that_never_changes_does_not_hide_a_change():
    """The status was another one before: the change arrived, although its answer did not."""
    http = ScriptedHttp(("GET", *task("completed")))
    state = {"etag": '"1"', "status": "in_progress"}
    result = await tracker_of(http).update_status(MemoryStep(state), "T1", "completed", "")
    assert (result.status, http.sent("PATCH")) == ("completed", [])


@pytest.mark.parametrize("state", [None, {"etag": '"1"'}, {"etag": '"1"', "status": "completed"}])
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
    assert (await tracker_of(http).update_status(step, "T1", "completed", "")).status == "completed"
    assert [patch["headers"]["If-Match"] for patch in http.sent("PATCH")] == ['"1"', '"2"']
    assert [state["etag"] for state in step.states] == ['"1"', '"2"']


async def test_a_transition_that_is_refused_is_a_problem():
    """A 409 leaves the task as it is, and says from which status it did not go."""
    http = ScriptedHttp(("GET", *task("closed")), ("PATCH", 409, {}, {}), ("GET", *task("closed")))
    result = await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")
    assert result.status == "closed"
    assert result.problem == "The tracker did not let the task go from closed to completed."


async def test_a_deleted_task_is_a_problem():
    """A task that is gone does not fail the run."""
    http = ScriptedHttp(("GET", 404, {}, {}), ("GET", 404, {}, {}))
    result = await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")
    assert result.status is None
    assert "delete" in result.problem


async def test_a_refused_status_is_an_error():
    """Another 4xx is a mistake of ours: an error with the status in it."""
    http = ScriptedHttp(("GET", *task("in_progress")), ("PATCH", 422, {}, {}))
    with pytest.raises(ServiceError, match="422"):
        await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")


async def test_a_first_attempt_creates_at_once():
    """The intent is kept before the request, which has the run as its reference."""
    http, step = ScriptedHttp(("POST", 201, {}, {"id": "T1", "status": "in_progress"})), MemoryStep()
    assert await tracker_of(http).create(step, "R1", "Documents of patient P1") == Task("T1")
    (post,) = http.sent("POST")
    assert post["headers"] == {"Idempotency-Key": step.key}
    assert post["json"]["external_ref"] == "R1"
    assert step.durable == [{"sent": 0.0}]


@pytest.mark.parametrize("there", [True, False])
async def test_a_later_attempt_looks_first(there):
    """After a crash the task may exist: it is found by its reference, or created."""
    tasks = [{"id": "T1", "status": "in_progress", "external_ref": "R1"}] if there else []
    script = [("GET", 200, {}, {"tasks": tasks})]
    if not there:
        script.append(("POST", 201, {}, {"id": "T1", "status": "in_progress"}))
    http = ScriptedHttp(*script)
    with structlog.testing.capture_logs() as lines:
        assert await tracker_of(http).create(MemoryStep({"sent": 0.0}), "R1", "") == Task("T1")
    assert (len(http.sent("POST")), http.sent("GET")[0]["params"]) == (not there, {"external_ref": "R1"})
    assert lines == []


@pytest.mark.parametrize("listed", [[], ["R1"]])
async def test_tasks_of_others_are_not_adopted(listed):
    """A tracker that overlooks the filter lists others: they are passed over, and the log says so once."""
    others = [{"id": "T8", "status": "open", "external_ref": "R8"}, {"id": "T9", "status": "open"}]
    own = [{"id": "T1", "status": "in_progress", "external_ref": ref} for ref in listed]
    answer = ("GET", 200, {}, {"tasks": [*others, *own]})
    created = () if listed else (("POST", 201, {}, {"id": "T1", "status": "in_progress"}),)
    http = ScriptedHttp(answer, *created, answer, *created)
    tracker = tracker_of(http)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert await tracker.create(MemoryStep({"sent": 0.0}), "R1", "") == Task("T1")
    assert [line["event"] for line in lines] == ["tracker_ignores_filter"]
    assert len(http.sent("POST")) == 2 * (not listed)


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"id": "T1", "status": "open", "external_ref": "R1"}, True),
        ({"id": "T1", "status": "open"}, True),
        ({"id": "T1", "status": "open", "external_ref": "R2"}, False),
        ({"id": "T2", "status": "open", "external_ref": "R1"}, False),
    ],
)
async def test_an_answer_about_another_task_is_none(body, good):
    """A task is known by its id and by its reference, where the tracker tells that."""
    http = ScriptedHttp(("GET", 404, {}, {}), ("GET", 404, {}, {}))
    await tracker_of(http).update_status(MemoryStep(), "T1", "completed", "")
    check = http.sent("GET")[0]["check"]
    assert judged(check, body) is good


@pytest.mark.parametrize(
    ("body", "good"), [(None, True), ([], True), ({"task_id": "T1"}, True), ({"task_id": "T2"}, False)]
)
async def test_a_report_on_another_task_is_none(body, good):
    """The answer to a report may name the task; then it has to be the one."""
    http = ScriptedHttp(("POST", 201, {}, {}))
    await tracker_of(http).append_report(MemoryStep(), "T1", "# Report", "link")
    assert judged(http.sent("POST")[0]["check"], body) is good


def judged(check, body):
    """Whether a check lets an answer pass."""
    try:
        return bool(check(body))
    except MixedUpError:
        return False


@pytest.mark.parametrize(("reports", "posts"), [(1, 1), (2, 0)])
async def test_a_report_is_appended_once(reports, posts):
    """A later attempt posts only if the task has no more reports than before the first one."""
    script = [("GET", *task("completed", reports=reports))]
    if posts:
        script.append(("POST", 201, {}, {}))
    http = ScriptedHttp(*script)
    step = MemoryStep({"sent": 0.0, "before": 1})
    result = await tracker_of(http).append_report(step, "T1", "# Report", "link")
    assert (result, len(http.sent("POST"))) == (Appended(appended=True, problem=None), posts)


async def test_a_retried_run_counts_earlier_reports():
    """The reports of the finished run do not count as that of its retry."""
    http = ScriptedHttp(("GET", *task("completed", reports=2)), ("POST", 201, {}, {}))
    step = MemoryStep()
    await tracker_of(http).append_report(step, "T1", "# Report", "link", again=True)
    assert step.durable == [{"sent": 0.0, "before": 2}]
