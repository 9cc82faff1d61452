"""The fake TaskTracker against its contract, over the wire."""

import itertools

import pytest

from fakes.quota import Rate
from fakes.tracker import ALLOWED, STATUSES
from tests.fakes_support import talking

TOKEN = "".join("sesame")  # no secret, and ruff cannot tell
REPORT = {"format": "markdown", "body": "# All is well"}


async def test_create_and_find():
    """Created with Location and ETag, found by its reference, read by its id."""
    async with talking() as talk:
        made = await talk.task("run-1", "a")
        assert made.status == 201
        path = made.headers["Location"]
        assert path == f"/v1/tasks/{made.json['id']}"
        assert made.json | {"id": ""} == {
            "id": "",
            "title": "Documents of P123",
            "external_ref": "run-1",
            "status": "open",
            "reports": 0,
        }
        second = await talk.task("run-1", "b", status="in_progress")
        await talk.task("run-2", "c")
        result = await talk.tracker("GET", "/v1/tasks?external_ref=run-1")
        assert result.json == {"tasks": [made.json, second.json]}
        assert (await talk.tracker("GET", "/v1/tasks?external_ref=none")).json == {"tasks": []}
        assert (await talk.tracker("GET", "/v1/tasks")).status == 400
        read = await talk.tracker("GET", path)
        assert (read.json, read.headers["ETag"]) == (made.json, made.headers["ETag"])


async def test_the_same_key_makes_one_task():
    """The same key and body give the same task, also after it changed; another body is refused."""
    async with talking() as talk:
        first = await talk.task()
        await talk.tracker("PATCH", first.headers["Location"], {"status": "in_progress"})
        again = await talk.task()
        assert (again.status, again.json["id"], again.json["status"]) == (
            201,
            first.json["id"],
            "in_progress",
        )
        assert (await talk.task(reference="run-2")).status == 422
        assert len(talk.running.tracker.tasks) == 1
        talk.running.tracker.forget_keys()
        assert (await talk.task()).json["id"] != first.json["id"]


@pytest.mark.parametrize(
    ("body", "key", "status"),
    [
        ({"title": "x", "external_ref": "r"}, None, 400),
        ({"title": "x", "external_ref": "r"}, "k" * 256, 400),
        ({"title": "x"}, "k", 400),
        ({"title": "", "external_ref": "r"}, "k", 400),
        ({"title": 1, "external_ref": "r"}, "k", 400),
        ({"title": "x", "external_ref": "r", "status": "odd"}, "k", 400),
    ],
)
async def test_bad_tasks(body, key, status):
    """A task that lacks something is refused, and not made."""
    async with talking() as talk:
        assert (await talk.tracker("POST", "/v1/tasks", body, key)).status == status
        assert not talk.running.tracker.tasks


async def test_changes_of_status():
    """Every pair of statuses is allowed or refused as the table says; the same status is no change."""
    async with talking() as talk:
        for n, (old, new) in enumerate(itertools.product(STATUSES, STATUSES)):
            made = await talk.task(key=f"k{n}", status=old)
            answer = await talk.tracker("PATCH", made.headers["Location"], {"status": new})
            allowed = new == old or new in ALLOWED[old]
            assert answer.status == (200 if allowed else 409), (old, new)
            history = talk.running.tracker.tasks[made.json["id"]].history
            assert history == ((old, new) if allowed and new != old else (old,))
            assert (answer.headers.get("ETag") == made.headers["ETag"]) == (allowed and new == old)
        assert not ALLOWED["completed"]


async def test_if_match_and_notes():
    """A stale If-Match is refused and changes nothing; notes are kept."""
    async with talking() as talk:
        made = await talk.task()
        path, tag = made.headers["Location"], made.headers["ETag"]
        changed = await talk.tracker("PATCH", path, {"status": "in_progress", "note": "begun"}, If_Match=tag)
        assert changed.status == 200
        assert (await talk.tracker("PATCH", path, {"status": "failed"}, If_Match=tag)).status == 412
        assert (
            await talk.tracker("PATCH", path, {"note": "x"}, If_Match=f"W/{changed.headers['ETag']}")
        ).status == 412
        both = f'"other", {changed.headers["ETag"]}'
        assert (await talk.tracker("PATCH", path, {"note": "more"}, If_Match=both)).status == 200
        assert (await talk.tracker("PATCH", path, {"note": "last"}, If_Match="*")).status == 200
        task = talk.running.tracker.tasks[made.json["id"]]
        assert (task.status, task.notes) == ("in_progress", ("begun", "more", "last"))
        talk.running.tracker.set_status(task.id, "blocked")
        stale = await talk.tracker("PATCH", path, {"status": "completed"}, If_Match=changed.headers["ETag"])
        assert stale.status == 412
        assert (await talk.tracker("PATCH", path, {"status": "odd"})).status == 400
        assert (await talk.tracker("PATCH", path, {"note": 5})).status == 400


async def test_reports():
    """A report is appended once per key; its limits hold to the character."""
    async with talking() as talk:
        path = (await talk.task()).headers["Location"]
        url = f"{path}/reports"
        first = await talk.tracker("POST", url, REPORT, "r1")
        again = await talk.tracker("POST", url, REPORT, "r1")
        assert (first.status, again.status) == (201, 201)
        assert first.json["id"] == again.json["id"]
        assert (await talk.tracker("POST", url, REPORT | {"body": "else"}, "r1")).status == 422
        assert (await talk.tracker("POST", url, REPORT)).status == 400
        assert (await talk.tracker("POST", url, REPORT | {"format": "pdf"}, "r2")).status == 400
        assert (await talk.tracker("POST", url, {"format": "text"}, "r2")).status == 400
        assert (await talk.tracker("POST", url, REPORT | {"body": "é" * 65_537}, "r2")).status == 413
        longest = {"format": "text", "body": "\N{PILE OF POO}" * 65_536, "link": "file:///x"}
        assert (await talk.tracker("POST", url, longest, "r3")).status == 201
        assert (await talk.tracker("GET", path)).json["reports"] == 2
        (task,) = talk.running.tracker.tasks
        assert [report.body for report in talk.running.tracker.reports[task]] == [
            REPORT["body"],
            longest["body"],
        ]


async def test_somebody_deletes_the_task():
    """A deleted task is gone for every operation; its key still names it."""
    async with talking() as talk:
        made = await talk.task()
        path = made.headers["Location"]
        talk.running.tracker.delete_task(made.json["id"])
        assert (await talk.tracker("GET", path)).status == 404
        assert (await talk.tracker("PATCH", path, {"status": "completed"})).status == 404
        assert (await talk.tracker("POST", f"{path}/reports", REPORT, "r")).status == 404
        assert (await talk.tracker("GET", "/v1/tasks?external_ref=run-1")).json == {"tasks": []}
        assert (await talk.task()).json["id"] == made.json["id"]
        assert (await talk.tracker("DELETE", path)).status == 405


async def test_quota_over_all_operations():
    """Every operation is charged to one quota, unknown paths too."""
    async with talking(tracker_rate=Rate(4, 3600.0), tracker_token=TOKEN) as talk:
        auth = {"Authorization": f"Bearer {TOKEN}"}
        body = {"title": "x", "external_ref": "r"}
        answers = [
            await talk.tracker("POST", "/v1/tasks", body, "k", **auth),
            await talk.tracker("GET", "/v1/tasks?external_ref=r", **auth),
            await talk.tracker("GET", "/v1/nothing", **auth),
            await talk.tracker("PATCH", "/v1/tasks/t", {}, **auth),
            await talk.tracker("GET", "/v1/tasks/t", **auth),
            await talk.tracker("GET", "/v1/tasks/t"),
        ]
        assert [answer.status for answer in answers] == [201, 200, 404, 404, 429, 401]
        assert talk.running.tracker.worst_window("tracker.*") == 5
