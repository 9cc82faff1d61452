"""The API for runs, over real sockets: in, listed, looked at, cancelled, retried."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from docpipe.api.shapes import OneRun
from docpipe.model import Activity, Outcome, Patient, Rate, RunState
from docpipe.web.runs import _task_url
from docpipe.web.views import run_view
from tests.virtual import wall_clock
from tests.web_support import NEVER, Served, serving

pytestmark = pytest.mark.virtual


@pytest.fixture
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """A service without a token; the parameter is options of the fakes."""
    async with serving(tmp_path, wall_clock, options=getattr(request, "param", None)) as running:
        yield running


stuck = pytest.mark.parametrize("served", [NEVER], indirect=True)


# Submitting


@stuck
async def test_patients_are_taken_in(served: Served) -> None:
    """Each patient has a run; one with an unfinished run continues with that; duplicates are one."""
    first = await served.post("/api/runs", json={"patients": ["S0", "S1", "S0"], "priority": 4})
    assert first.status == 202
    assert [(run["patient_id"], run["state"], run["created"]) for run in first.json["runs"]] == [
        ("S0", "queued", True),
        ("S1", "queued", True),
    ]
    again = await served.post("/api/runs", json={"patients": ["S1", "S2"]})
    assert [run["created"] for run in again.json["runs"]] == [False, True]
    assert again.json["runs"][0]["run_id"] == first.json["runs"][1]["run_id"]
    stored = await served.docpipe.checkpoints.runs([first.json["runs"][0]["run_id"]])
    assert stored[0].priority == 4


@stuck
async def test_ids_that_cannot_be_used_are_refused_alone(served: Served) -> None:
    """By their number, with the reason; the rest goes in, and white space around ids is nothing."""
    bad = ["", "  ", "a\nb", "\ud800", "x" * 201, "a\u202eb"]
    answer = await served.post("/api/runs", json={"patients": ["S0", *bad, " S1 "]})
    assert answer.status == 202
    assert [run["patient_id"] for run in answer.json["runs"]] == ["S0", "S1"]
    assert [refused["line"] for refused in answer.json["refused"]] == [2, 3, 4, 5, 6, 7]
    none = await served.post("/api/runs", json={"patients": [""]})
    assert (none.status, none.json["runs"]) == (202, [])


@stuck
@pytest.mark.parametrize(
    ("text", "ids", "refused"),
    [
        ("S0\nS1\n", ["S0", "S1"], []),
        ("\ufeffS0\r\n\r\n S1 \r\n", ["S0", "S1"], []),
        ("id\nS0\nS1", ["S0", "S1"], []),
        ('family,"ID"\nLee,S0\n"Le\ne",S1\n', ["S0", "S1"], []),
        ("id;family\nS0;Lee\nS1\n;\n;Lee\nS2;Lee\n", ["S0", "S2"], [3, 5]),
        ("S0\rS1\r", ["S0", "S1"], []),
        ("sep=;\nname;id\n# new\nLee;S0\n", ["S0"], []),
        ("S0\n\x07\n", ["S0"], [2]),
    ],
)
async def test_csv_is_taken_in(served: Served, text: str, ids: list[str], refused: list[int]) -> None:
    """A column `id` among others, or one id a line; bad lines are reported by number."""
    words = {"data": text.encode(), "headers": {"Content-Type": "text/csv"}}
    answer = await served.post("/api/runs?priority=7", **words)
    assert answer.status == 202
    assert [run["patient_id"] for run in answer.json["runs"]] == ids
    assert [line["line"] for line in answer.json["refused"]] == refused
    (stored,) = await served.docpipe.checkpoints.runs([answer.json["runs"][0]["run_id"]])
    assert stored.priority == 7


@stuck
@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("patient_id,name\nS0,x\n", "without a column `id`; its columns are patient_id, name."),
        ('id,note\nS0,"a\nS1,b\n', "opened on line 2 is not closed"),
    ],
)
async def test_csv_that_is_refused(served: Served, text: str, detail: str) -> None:
    """A file without a column `id`, or with a quote left open, begins nothing."""
    words = {"data": text.encode(), "headers": {"Content-Type": "text/csv"}}
    answer = await served.post("/api/runs", **words)
    assert answer.status == 400
    assert detail in answer.json["detail"]
    assert (await served.get("/api/runs")).json["total"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"patients": []}', 400),
        (b'{"patients": "S0"}', 400),
        (b'{"patients": [1]}', 400),
        (b'{"patients": ["S0"], "priority": 10}', 400),
        (b'{"patients": ["S0"], "priority": true}', 400),
        (b'{"patients": ["S0"], "priority": "1"}', 400),
        (b'{"patients": ["S0"], "priority": 1.5}', 400),
        (b'{"patients": ["S0"], "priority": NaN}', 400),
        (b'{"patients": ["S0"], "priority": ' + b"9" * 5000 + b"}", 400),
        (b'{"patients": ["S0"], "other": 1}', 400),
        (b'{"patients": ["\xff"]}', 400),
        (b"[" * 60_000, 400),
        (b"[" * 400_000, 400),
        (b"[" + b"[]," * 1_000_000 + b"[]]", 400),
        (json.dumps({"patients": ["S0"] * 10_001}).encode(), 400),
    ],
)
async def test_a_bad_body_is_refused(served: Served, body: bytes, status: int) -> None:
    """With a problem, and no run."""
    answer = await served.post(
        "/api/runs", data=io.BytesIO(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status == status
    assert (await served.get("/api/runs")).json["total"] == 0


@pytest.mark.parametrize("body", [b"", b"\n \n", b"id\n", b"\xff", b"S\n" * 10_001, b"id\n" + b"x" * 200_000])
async def test_a_bad_csv_is_refused(served: Served, body: bytes) -> None:
    """Where it names nobody, too many, or is none."""
    assert (await served.post("/api/runs", data=body, headers={"Content-Type": "text/csv"})).status == 400


@pytest.mark.parametrize(
    "media_type", ["", "text/plain", "application/json; charset=latin-1", "multipart/form-data", "nonsense"]
)
async def test_other_media_types_are_refused(served: Served, media_type: str) -> None:
    """Whatever a form of another site could send is among them."""
    words: dict[str, Any] = {"data": b'{"patients": ["S0"]}', "headers": {"Content-Type": media_type}}
    assert (await served.post("/api/runs", **words)).status == 415


@stuck
async def test_the_same_key_has_the_same_answer(served: Served) -> None:
    """And no second effect, not even when the runs have ended; another request with the key is refused."""
    words = {"json": {"patients": ["S0", "S1"]}, "headers": {"Idempotency-Key": "k 1".replace(" ", "")}}
    first = await served.post("/api/runs", **words)
    assert "Idempotent-Replayed" not in first.headers
    for run in first.json["runs"]:
        await served.docpipe.engine.cancel(run["run_id"])
    await served.docpipe.engine.wait()
    second = await served.post("/api/runs", **words)
    assert (second.status, second.json) == (202, first.json)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (await served.get("/api/runs")).json["total"] == 2
    other = await served.post("/api/runs", json={"patients": ["S2"]}, headers=words["headers"])
    assert (other.status, other.json["type"]) == (422, "urn:docpipe:problem:key-reused")
    prior = await served.post("/api/runs?priority=1", **words)
    assert prior.status == 422


@stuck
async def test_a_key_that_comes_twice_at_once(served: Served) -> None:
    """Both get the one answer."""
    words = {"json": {"patients": ["S0", "S1"]}, "headers": {"Idempotency-Key": "k"}}
    answers = await asyncio.gather(*(served.post("/api/runs", **words) for _ in range(8)))
    assert len({answer.body for answer in answers}) == 1
    assert sorted("Idempotent-Replayed" in answer.headers for answer in answers) == [False] + [True] * 7


async def test_a_key_whose_answer_was_lost_in_a_crash(served: Served) -> None:
    """The runs that the first attempt made are the answer, though they have ended since."""
    body = {"patients": ["S0", "S1", "S2"]}
    answers = served.docpipe.checkpoints.answers
    real = answers.remember

    async def dies(key: str, digest: str, answer: str) -> None:
        if key == "k":
            raise OSError
        await real(key, digest, answer)

    answers.remember = dies  # as a crash between the runs and the answer would leave it
    assert (await served.post("/api/runs", json=body, headers={"Idempotency-Key": "k"})).status == 500
    answers.remember = real
    await served.docpipe.engine.wait()
    later = await served.post("/api/runs", json=body, headers={"Idempotency-Key": "k"})
    assert [(run["patient_id"], run["created"]) for run in later.json["runs"]] == [
        (patient, True) for patient in body["patients"]
    ]
    assert {run["state"] for run in later.json["runs"]} == {"completed"}
    assert (await served.get("/api/runs")).json["total"] == 3


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "é"])
async def test_a_bad_key_is_refused(served: Served, key: str) -> None:
    """Before anything is read."""
    words = {"json": {"patients": ["S0"]}, "headers": {"Idempotency-Key": key}}
    assert (await served.post("/api/runs", **words)).status == 400


@stuck
async def test_ten_thousand_at_once(served: Served) -> None:
    """Are taken in with one request, as JSON and as CSV, and all of them are there."""
    served.docpipe.engine.pause()
    ids = [f"T{number:05d}" for number in range(10_000)]
    answer = await served.post("/api/runs", json={"patients": ids})
    assert answer.status == 202
    assert [run["patient_id"] for run in answer.json["runs"]] == ids
    again = await served.post("/api/runs", data="\n".join(ids), headers={"Content-Type": "text/csv"})
    assert not any(run["created"] for run in again.json["runs"])
    assert (await served.get("/api/runs")).json["total"] == 10_000


async def test_nothing_is_taken_in_while_docpipe_stops(served: Served) -> None:
    """Submissions and retries are refused for the time being; looking continues."""
    (run,) = await served.finished("S0")
    served.docpipe.engine.stopping = True
    for answer in (
        await served.post("/api/runs", json={"patients": ["S1"]}),
        await served.post(f"/api/runs/{run}/retry"),
    ):
        assert (answer.status, answer.json["type"]) == (503, "urn:docpipe:problem:stopping")
        assert "Retry-After" in answer.headers
    assert (await served.get(f"/api/runs/{run}")).status == 200


# Looking


@stuck
async def test_runs_are_listed_by_the_page(served: Served) -> None:
    """Every run once, newest first or most urgent first, whatever comes in meanwhile."""
    served.docpipe.engine.pause()
    ids = [f"T{number:03d}" for number in range(25)]
    for number, patient in enumerate(ids):
        await served.submit(patient, priority=number % 3)
    urgent = sorted(ids, key=lambda id_: (-(int(id_[1:]) % 3), id_))
    for order, expected in (("newest", ids[::-1]), ("urgent", urgent)):
        path = f"/api/runs?limit=10&order={order}"
        page = (await served.get(path)).json
        seen = page["runs"]
        await served.submit(f"N{order}", priority=9)
        while page["next"]:
            page = (await served.get(f"{path}&cursor={page['next']}")).json
            assert len(page["runs"]) <= 10
            seen += page["runs"]
        assert [run["patient_id"] for run in seen if run["patient_id"] in ids] == expected
    assert page["total"] == 27


@stuck
async def test_runs_are_found(served: Served) -> None:
    """By states, and by how the id of the run or of the patient begins."""
    runs = await served.submit("S1", "S2", "Anna~1", "é/ü")
    await served.post(f"/api/runs/{runs[1]}/cancel")
    await asyncio.sleep(10)

    async def result(query: str) -> list[str]:
        answer = (await served.get(f"/api/runs?{query}")).json
        assert answer["total"] == len(answer["runs"])
        return [run["patient_id"] for run in answer["runs"]]

    assert await result("state=cancelled") == ["S2"]
    assert await result("state=cancelled&state=running&q=S") == ["S2", "S1"]
    assert await result("q=Anna~") == ["Anna~1"]
    assert await result(f"q={quote('é/')}") == ["é/ü"]
    assert await result(f"q={runs[0].lower()}") == ["S1"]
    assert await result("q=%25") == []
    assert await result("q=%00") == []


@stuck
@pytest.mark.parametrize("query", ["", "&q=S"])
async def test_more_runs_than_are_counted(
    served: Served, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """A page says whether there are more: as many as are counted are not more."""
    monkeypatch.setattr("docpipe.web.runs.MOST_COUNTED", 3)
    for ids, more in ((("S1", "S2"), False), (("S3",), False), (("S4",), True)):
        await served.submit(*ids)
        page = (await served.get(f"/api/runs?limit=1{query}")).json
        assert (page["total"], page["more"]) == (3 if ids != ("S1", "S2") else 2, more)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=1&limit=2",
        "limit=%D9%A1",
        "state=done",
        "order=oldest",
        "cursor=",
        "q=%F3%A0%80%81&cursor=",
        "cursor=x",
        "cursor=5-01",
        f"q={'x' * 201}",
        "other=1",
    ],
)
async def test_bad_parameters_are_refused(served: Served, query: str) -> None:
    """By their name."""
    assert (await served.get(f"/api/runs?{query}")).status == 400


@pytest.mark.parametrize("served", [{"search_seconds": (200.0, 200.0)}], indirect=True)
async def test_what_a_run_waits_for_is_reported(served: Served) -> None:
    """In the list and by itself: the activity, since when, what for, until when, as a sentence."""
    (run,) = await served.submit("S0")
    await asyncio.sleep(100)
    (body,) = (await served.get("/api/runs")).json["runs"]
    assert body["state"] == "running"
    assert body["task_id"].startswith("t-")
    doing = body["doing"]
    assert doing["activity"] == Activity.CHECK_STATUS
    assert 0 <= doing["progress"] <= 1
    assert (doing["wait"]["kind"], doing["wait"]["told"]) == ("poll", "waits for the search")
    assert doing["wait"]["until"] > doing["wait"]["since"] > doing["since"]
    one = (await served.get(f"/api/runs/{run}")).json
    assert one["doing"]["activity"] == Activity.CHECK_STATUS
    *_, status = one["activities"]
    assert (status["activity"], status["outcome"], status["finished_at"]) == (
        Activity.CHECK_STATUS,
        None,
        None,
    )
    assert status["polls"] == len(status["asked"]) > 2
    polls = [wait for wait in one["waits"] if wait["kind"] == "poll"]
    assert [wait["until"] for wait in polls] == [None], "waits with an answer between them are one"


@stuck
async def test_a_run_that_has_just_begun_is_running(served: Served) -> None:
    """Though its beginning is not in the database yet."""
    (run,) = await served.submit("S0")
    await asyncio.sleep(10)
    (stored,) = await served.docpipe.checkpoints.runs([run])
    early = replace(stored, state=RunState.QUEUED, started_at=None)
    view = run_view(early, served.docpipe.engine)
    assert (view.state, view.started_at) == ("running", run_view(stored, served.docpipe.engine).started_at)


async def test_a_finished_run_is_reported_whole(served: Served) -> None:
    """With every activity, its outcome and what it was about, and no more waiting."""
    (run,) = await served.finished("S0")
    body = (await served.get(f"/api/runs/{run}")).json
    assert body["state"] == "completed"
    assert body["doing"] is None
    assert body["files"] == sum(body["documents"].values()) > 0
    assert list(body["documents"]) == list(Outcome)
    activities = body["activities"]
    assert {step["activity"] for step in activities} == set(Activity)
    assert {step["outcome"] for step in activities} == {"ok"}
    converted = next(step for step in activities if step["activity"] == Activity.CONVERT)
    assert {"document_id", "path", "outcome", "media_type"} <= converted["about"].keys()
    assert all(step["started_at"] <= step["finished_at"] for step in activities)
    assert all(wait["until"] for wait in body["waits"])
    report = (await served.get(f"/api/runs/{run}/files/report.json")).json
    assert [wait["kind"] for wait in body["waits"]] == [wait["kind"] for wait in report["waits"]]
    assert body["waits"], "the search was waited for"
    assert len(msgspec.convert(body, OneRun).activities) == len(activities), "as the client reads it"


async def test_a_failed_run_says_why(served: Served) -> None:
    """As a whole, and at the activity that failed."""
    (run,) = await served.finished("UNKNOWN")
    body = (await served.get(f"/api/runs/{run}")).json
    assert body["state"] == "failed"
    (step,) = body["activities"]
    assert (step["outcome"], step["error"], step["about"]) == ("failed", body["error"], {})
    assert "There is no patient UNKNOWN" in body["error"]


@pytest.mark.parametrize("run", ["x", "0" * 26, "..", "%2e%2e", "%00", "01M866SWZVQ4BFGFCD74ZD87GD'--"])
async def test_unknown_runs_are_not_found(served: Served, run: str) -> None:
    """Whatever their ids look like."""
    for method, path in (
        ("GET", ""),
        ("GET", "/documents"),
        ("GET", "/files/report.html"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ):
        assert (await served.ask(method, f"/api/runs/{run}{path}")).status in (404, 405)


# Cancelling and retrying


@stuck
async def test_a_run_is_cancelled(served: Served) -> None:
    """It stops, the tracker is reported, and a second time is refused."""
    (run,) = await served.submit("S0")
    await asyncio.sleep(10)
    answer = await served.post(f"/api/runs/{run}/cancel")
    assert (answer.status, answer.json["run_id"]) == (202, run)
    assert answer.json["state"] in ("cancelling", "cancelled")
    await served.docpipe.engine.wait()
    assert (await served.get(f"/api/runs/{run}")).json["state"] == "cancelled"
    again = await served.post(f"/api/runs/{run}/cancel")
    assert (again.status, again.json["type"]) == (409, "urn:docpipe:problem:run-finished")
    retried = await served.post(f"/api/runs/{run}/retry")
    assert (retried.status, retried.json["type"]) == (409, "urn:docpipe:problem:cannot-be-retried")


async def test_a_run_is_retried(served: Served) -> None:
    """From an activity on; not while it runs, nor with nothing to do again."""
    (run,) = await served.finished("S0")
    nothing = await served.post(f"/api/runs/{run}/retry")
    assert nothing.status == 409
    assert "Nothing failed" in nothing.json["detail"]
    answer = await served.post(f"/api/runs/{run}/retry", json={"from": "GenerateReport"})
    assert (answer.status, answer.json["retries"]) == (202, 1)
    assert answer.json["state"] in ("queued", "running")
    early = await served.post(f"/api/runs/{run}/retry", json={"from": None})
    assert (early.status, early.json["type"]) == (409, "urn:docpipe:problem:run-not-finished")
    await served.docpipe.engine.wait()
    assert (await served.get(f"/api/runs/{run}")).json["state"] == "completed"


@pytest.mark.parametrize("body", ["[]", '{"from": "Nothing"}', '{"from": 1}', '{"to": null}', "{"])
async def test_a_bad_retry_is_refused(served: Served, body: str) -> None:
    """With a problem."""
    (run,) = await served.finished("S0")
    words = {"data": body, "headers": {"Content-Type": "application/json"}}
    assert (await served.post(f"/api/runs/{run}/retry", **words)).status == 400


# Pausing, services, the summary


@stuck
async def test_everything_is_paused_and_unpaused(served: Served) -> None:
    """A paused run says so; it is durable; doing it twice changes nothing."""
    assert (await served.post("/api/pause")).status == 204
    assert (await served.post("/api/pause")).status == 204
    (run,) = await served.submit("S0")
    body = (await served.get(f"/api/runs/{run}")).json
    assert (body["state"], body["doing"]["wait"]["kind"]) == ("queued", "pause")
    assert body["doing"]["wait"]["told"] == "docpipe is paused"
    assert (await served.get("/api/services")).json["paused"] is not None
    assert "" in await served.docpipe.checkpoints.pauses()
    assert (await served.get("/api/summary")).json["bottleneck"] == "pause"
    assert (await served.post("/api/resume")).status == 204
    await asyncio.sleep(5)
    assert (await served.get(f"/api/runs/{run}")).json["doing"]["activity"] == Activity.CHECK_STATUS
    assert (await served.get("/api/services")).json["paused"] is None


@stuck
async def test_the_patients_database_is_a_service(served: Served) -> None:
    """It stands among the services, and can be paused: look-ups wait, and say so."""
    assert (await served.post("/api/services/patients/pause")).status == 204
    runs = [await served.submit("S0"), await served.submit("S1")]
    await asyncio.sleep(5)
    for place, (run,) in enumerate(runs, 1):
        doing = (await served.get(f"/api/runs/{run}")).json["doing"]
        text = f"patients is paused, place {place} in line"
        assert (doing["activity"], doing["wait"]["told"]) == (Activity.GET_PATIENT, text)
    patients = (await served.get("/api/services")).json["services"][2]
    assert (patients["name"], patients["state"], patients["quotas"]) == ("patients", "paused", [])
    assert (await served.post("/api/services/patients/resume")).status == 204
    await asyncio.sleep(5)
    assert (await served.get(f"/api/runs/{run}")).json["doing"]["activity"] != Activity.GET_PATIENT


async def test_one_service_is_paused(served: Served) -> None:
    """Requests to it wait, and say so; others continue; an unknown one is not found."""
    assert (await served.post("/api/services/docex/pause")).status == 204
    (run,) = await served.submit("S0")
    await asyncio.sleep(5)
    doing = (await served.get(f"/api/runs/{run}")).json["doing"]
    assert (doing["activity"], doing["wait"]["told"]) == (Activity.SEARCH, "docex is paused, place 1 in line")
    docex = (await served.get("/api/services")).json["services"][0]
    assert (docex["name"], docex["state"]) == ("docex", "paused")
    assert docex["paused"] == docex["since"] != None  # noqa: E711 -- both, and there
    assert docex["quotas"][0]["name"] == "docex.search"
    assert (await served.post("/api/services/docex/resume")).status == 204
    await asyncio.sleep(5)
    assert (await served.get(f"/api/runs/{run}")).json["doing"]["activity"] == Activity.CHECK_STATUS
    unknown = await served.post(f"/api/services/{quote('a/b', safe='')}/pause")
    assert (unknown.status, unknown.json["type"]) == (404, "urn:docpipe:problem:no-such-service")


async def test_an_outage_is_shown(served: Served) -> None:
    """While it lasts, with the next probe, and afterwards in the past."""
    served.fakes.add_fault("docex.* 503")
    await served.submit("S0", "S1", "S2")
    await asyncio.sleep(30)
    docex = (await served.get("/api/services")).json["services"][0]
    assert docex["state"] == "down"
    assert docex["failures"] > 0
    assert docex["next_probe"] > docex["since"]
    (outage,) = docex["outages"]
    assert (outage["until"], outage["since"]) == (None, docex["since"])
    summary = (await served.get("/api/summary")).json
    assert (summary["bottleneck"], summary["expected_end"]) == ("docex", None)
    served.fakes.clear_faults()
    await served.docpipe.engine.wait()
    docex = (await served.get("/api/services")).json["services"][0]
    assert (docex["state"], docex["next_probe"]) == ("up", None)
    assert docex["outages"][0]["until"] is not None


async def test_the_summary_counts(served: Served) -> None:
    """Runs by state, what ended in each of the last 24 hours, and when all should be done."""
    await served.finished("S0", "S1", "UNKNOWN")
    body = (await served.get("/api/summary")).json
    assert body["counts"] == dict.fromkeys(RunState, 0) | {"completed": 2, "failed": 1}
    assert len(body["throughput"]) == 24
    assert sum(hour["finished"] for hour in body["throughput"]) == 3
    assert body["throughput"][-1]["documents"] > 0
    assert (body["expected_end"], body["bottleneck"]) == (None, None)


@stuck
async def test_the_end_is_expected_by_the_pace_of_the_searches(served: Served) -> None:
    """Where they are what runs wait for."""
    served.docpipe.quotas["docex.search"].set_rate(Rate(10, 60.0))
    await served.submit(*(f"S{number}" for number in range(10)), *(f"T{number}" for number in range(300)))
    await asyncio.sleep(1)
    body = (await served.get("/api/summary")).json
    assert body["bottleneck"] == "docex.search"
    assert body["expected_end"] is not None


async def test_what_holds_up_those_who_have_not_begun(served: Served) -> None:
    """Is what holds up those before them."""
    await served.docpipe.patients.put([Patient(f"T{n}", "Ann", "Lee", "1957-03-31") for n in range(100)])
    await served.post("/api/services/docex/pause")
    await served.submit(*(f"T{number}" for number in range(100)))
    await asyncio.sleep(10)
    assert served.docpipe.engine.waiting > 30
    assert (await served.get("/api/summary")).json["bottleneck"] == "pause"


# What is always there


async def test_health_and_readiness(served: Served, tmp_path: Path) -> None:
    """Both are open; readiness tells the reasons, each when it is so."""
    assert (await served.get("/healthz")).body == b"ok"
    assert (await served.get("/readyz")).json == {"ready": True}
    served.web.readiness.started = False
    assert (await served.get("/readyz")).json["reasons"] == ["docpipe has not yet started."]
    served.web.readiness.started = True
    storage = tmp_path / "storage"
    storage.rename(tmp_path / "away")
    storage.write_bytes(b"")
    assert (await served.get("/readyz")).status == 200, "a verdict holds for some seconds"
    await asyncio.sleep(6)
    answer = await served.get("/readyz")
    assert answer.status == 503
    (reason,) = answer.json["reasons"]
    assert "storage" in reason
    storage.unlink()
    (tmp_path / "away").rename(storage)
    await asyncio.sleep(6)
    assert (await served.get("/readyz")).status == 200
    served.docpipe.engine.stopping = True
    assert (await served.get("/readyz")).json["reasons"] == ["docpipe is stopping."]


async def test_other_paths_and_methods(served: Served) -> None:
    """Are problems, too."""
    assert (await served.get("/nothing")).status == 404
    answer = await served.ask("DELETE", "/api/runs")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


async def test_head_is_as_get_without_the_body(served: Served) -> None:
    """For every look."""
    for path in (
        "/api/runs",
        "/api/services",
        "/api/summary",
        "/healthz",
        "/api/openapi.json",
        "/api/events",
    ):
        answer = await served.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Type"]


async def test_where_people_open_the_task(tmp_path: Path) -> None:
    """An address where `tasktracker.task_url` says how, with the id quoted; else nothing."""
    assert _task_url(None, "t-1") is None
    assert _task_url("https://tracker.example/#/tasks/{id}?tab=1", None) is None
    address = _task_url("https://tracker.example/#/tasks/{id}?tab=1", "a/b c")
    assert address == "https://tracker.example/#/tasks/a%2Fb%20c?tab=1"
    async with serving(tmp_path, wall_clock) as served:
        (run,) = await served.finished("S0")
        assert (await served.get(f"/api/runs/{run}")).json["task_url"] is None
