"""Patients in the API: who they are, their runs and documents, and a check of ids before anything begins."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from docpipe.checkpoints import forget_patient
from docpipe.errors import DatabaseDownError, PatientError, UsageError
from docpipe.model import Patient
from tests.virtual import wall_clock
from tests.web_support import Served, serving

pytestmark = pytest.mark.virtual


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A service without a token."""
    async with serving(tmp_path, wall_clock) as running:
        yield running


@pytest.mark.parametrize("patient", ["S0", "a b%2F{c}", "é/ü"])
async def test_a_patient_with_runs_and_documents(served: Served, patient: str) -> None:
    """The row of the database, each run, and each document once."""
    first = await served.finished(patient)
    second = await served.finished(patient)
    one = (await served.get(f"/api/patients/{quote(patient, safe='')}")).json
    assert one["person"] == {"given": "Ann", "family": "Lee", "birth_date": "1957-03-31", "sex": "unknown"}
    assert [run["run_id"] for run in one["runs"]] == second + first
    listed = (await served.get(f"/api/runs/{second[0]}/documents")).json["documents"]
    assert {document["path"] for document in one["documents"]} == {document["path"] for document in listed}
    assert {document["run_id"] for document in one["documents"]} == set(second)
    assert not any(document["new"] or document["gone"] for document in one["documents"])


async def test_a_patient_of_whom_others_begin_alike(served: Served) -> None:
    """S1 is not S10."""
    await served.finished("S1")
    answer = await served.get("/api/patients/S")
    assert (answer.status, answer.json["type"]) == (404, "urn:docpipe:problem:no-such-patient")


async def test_the_row_is_read_each_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was corrected is right at once; no answer is kept over the change."""
    await served.finished("S0")

    async def corrected(_: str) -> Patient:
        return Patient("S0", "Anna", "Leigh", "1957-03-31")

    monkeypatch.setattr(served.docpipe.patients, "find", corrected)
    assert (await served.get("/api/patients/S0/person")).json["person"]["family"] == "Leigh"
    assert (await served.get("/api/patients/S0")).json["person"]["family"] == "Leigh"


async def test_the_people_of_a_list(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, in the order asked for; nobody for an id that the database does not have."""
    asked = "/api/people?id=S1&id=nobody&id=S0&id=S1"
    people = (await served.get(asked)).json["people"]
    assert [one["patient_id"] for one in people] == ["S1", "nobody", "S0"]
    assert [one["person"] and one["person"]["family"] for one in people] == ["Lee", None, "Lee"]
    assert [one["problem"] for one in people] == [None, None, None]
    for wrong in ("/api/people", f"/api/people?id={'x' * 300}", "/api/people?" + "&id=S1" * 2 + "&name=x"):
        assert (await served.get(wrong)).status == 400
    many = "&".join(f"id=S{number}" for number in range(101))
    assert (await served.get(f"/api/people?{many}")).status == 400
    calls = []

    async def down(patient_id: str) -> Patient:
        calls.append(patient_id)
        raise DatabaseDownError("down", "refused")

    monkeypatch.setattr(served.docpipe.patients, "find", down)
    people = (await served.get("/api/people?" + "&".join(f"id=S{number}" for number in range(40)))).json[
        "people"
    ]
    assert len(people) == 40
    assert all("cannot be reached" in one["problem"] for one in people)
    assert len(calls) <= 4  # the others are not asked for in vain


async def test_people_by_name(served: Served) -> None:
    """Each word begins a name; a search that is too broad says so."""
    await served.docpipe.patients.put(
        [Patient("Z1", "Zoë Maria", "Özil", "1980-05-06"), Patient("Z2", "Zora", "Smith-Ode", "1981-05-06")]
    )
    for name, expected in {
        "zo": ["Z2", "Z1"],
        "öz zo": ["Z1"],
        "maria": ["Z1"],
        "ode": ["Z2"],
        "x%": [],
    }.items():
        answer = (await served.get(f"/api/people/search?name={quote(name)}")).json
        assert sorted(one["patient_id"] for one in answer["people"]) == sorted(expected), name
        assert (answer["more"], answer["problem"]) == (False, None)
    await served.docpipe.patients.put([Patient(f"L{n}", "Ann", "Lee", "1957-03-31") for n in range(20)])
    many = (await served.get("/api/people/search?name=lee")).json
    assert (len(many["people"]), many["more"]) == (20, True)
    assert many["people"][0]["person"] == {
        "given": "Ann",
        "family": "Lee",
        "birth_date": "1957-03-31",
        "sex": "unknown",
    }
    for wrong in ("z", "x" * 101, "zo&id=Z1", "", "zo&name=zo", "z%00o"):
        assert (await served.get(f"/api/people/search?name={wrong}")).status == 400, wrong


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (DatabaseDownError("down", "refused"), "cannot be reached"),
        (UsageError("patients.query finds patients by id alone."), "by id alone"),
        (PatientError("The table has no column x."), "cannot search names"),
    ],
)
async def test_names_that_cannot_be_searched(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str
) -> None:
    """The answer says why, and is none of the words of the database."""

    async def refused(*_: object) -> list[dict[str, str]]:
        raise error

    monkeypatch.setattr(served.docpipe.patients, "named", refused)
    answer = await served.get("/api/people/search?name=lee")
    assert (answer.status, answer.json["people"]) == (200, [])
    assert problem in answer.json["problem"]


async def test_a_search_by_name_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that reads for minutes holds nobody up for longer than 5 s; one asks at a time."""
    at_once, most = 0, 0

    async def slow(*_: object) -> list[dict[str, str]]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            await asyncio.sleep(600)
        finally:
            at_once -= 1
        return []

    monkeypatch.setattr(served.docpipe.patients, "named", slow)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await asyncio.gather(
        *(served.get(f"/api/people/search?name=lee{number}") for number in range(3))
    )
    assert [answer.json["people"] for answer in answers] == [[], [], []]
    assert most == 1
    assert loop.time() - began == pytest.approx(5, abs=0.5)


async def test_without_the_database(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and documents are there all the same; the page says why the name is not."""
    await served.finished("S0")

    async def down(_: str) -> Patient:
        raise DatabaseDownError("down", "refused")

    monkeypatch.setattr(served.docpipe.patients, "find", down)
    one = (await served.get("/api/patients/S0")).json
    assert one["person"] is None
    assert "cannot be reached" in one["problem"]
    assert one["documents"]
    assert (await served.get("/api/patients/S5")).status == 503
    checked = await served.post("/api/submissions/check", json={"patients": ["S0", "X"]})
    assert checked.json == {"patients": ["S0", "X"], "unknown": [], "unchecked": 2, "refused": []}


async def test_ids_are_checked(served: Served) -> None:
    """In the order in which they were given, each once; nothing begins."""
    body = {"patients": ["S1", "s1", "X", "é/ü", "X", "\ud800"]}
    checked = await served.post("/api/submissions/check", json=body)
    assert (checked.status, checked.json["patients"]) == (200, ["S1", "é/ü"])
    assert checked.json["unknown"] == ["s1", "X"]
    assert [one["line"] for one in checked.json["refused"]] == [6]
    csv = {"data": "id,name\nS2,x\nX,y\n", "headers": {"Content-Type": "text/csv"}}
    checked = await served.post("/api/submissions/check", **csv)
    assert (checked.json["patients"], checked.json["unknown"]) == (["S2"], ["X"])
    assert (await served.get("/api/runs")).json["total"] == 0


@pytest.mark.parametrize("body", ["[]", '{"patients": []}', '{"patients": [1]}', '{"ids": ["a"]}', "{"])
async def test_bad_bodies_of_a_check(served: Served, body: str) -> None:
    """Each is refused."""
    headers = {"Content-Type": "application/json"}
    assert (await served.post("/api/submissions/check", data=body, headers=headers)).status == 400


async def test_what_a_person_should_look_at(served: Served) -> None:
    """The same documents as in the report, with the same words."""
    (run,) = await served.finished("S0")
    documents = (await served.get("/api/patients/S0")).json["documents"]
    report = (await served.get(f"/api/runs/{run}/files/report.json")).json
    for name, members in (("problem", "problems"), ("not_read", "not_read")):
        assert {one["path"] for one in documents if one["attention"] == name} == {
            finding["path"] for finding in report[members]
        }
    assert all(one["findings"] for one in documents if one["attention"])


async def test_words_are_searched_for(served: Served) -> None:
    """In one patient's documents, or in everyone's; a query that cannot be is refused with a cure.

    What people search for is in no log.
    """
    await served.finished("S0")
    await served.finished("S1")
    with capture_logs() as lines:
        assert (await served.get("/api/search?q=canary4711&patient=S0")).json["total"] == 0
        assert (await served.get("/api/search?q=canary4711*x%22")).status in (200, 400)
    assert "canary" not in str(lines)
    everyone = (await served.get("/api/search?q=patient")).json
    one = (await served.get("/api/search?q=patient&patient=S0&limit=1")).json
    assert set(everyone) == {"total", "more", "complete", "hits"}
    assert {hit["patient_id"] for hit in one["hits"]} <= {"S0"}
    assert one["total"] <= everyone["total"]
    for query in ("q=", "q=a*", "q=x&limit=0", "q=x&offset=-1", "words=x", f"q={'x' * 501}"):
        assert (await served.get(f"/api/search?{query}")).status == 400, query


async def test_a_patient_is_forgotten_while_docpipe_is_at_work(served: Served) -> None:
    """Nothing of that one stays in storage, state, log and index; others stay, and the log continues."""
    first = (await served.finished("S0"))[0]
    await served.finished("S1")
    state, storage = served.docpipe.config.state_dir, served.docpipe.storage
    texts = sorted(Path(storage.location("S0")).glob("*/text.md"))
    word = re.findall(r"[A-Za-z]{4,}", texts[0].read_text())[0]
    both = (await served.get(f"/api/search?q={word}")).json["hits"]
    assert {hit["patient_id"] for hit in both} == {"S0", "S1"}
    forgotten = await served.delete("/api/patients/S0")
    assert forgotten.status == 200
    assert (forgotten.json["runs"], forgotten.json["documents"] > 0) == ([first], True)
    assert any("TaskTracker" in text for text in forgotten.json["beyond_reach"])
    assert storage.tree().listing(storage.folder_of("S0")).files == {}
    assert storage.tree().listing(storage.folder_of("S1")).files
    assert (await served.get(f"/api/runs/{first}")).status == 404
    hits = (await served.get(f"/api/search?q={word}")).json["hits"]
    assert {hit["patient_id"] for hit in hits} == {"S1"}
    await served.finished("S2")
    log = (state / "activity_log.csv").read_text()
    assert first not in log
    assert log.startswith("timestamp")
    assert {line.split(",")[2] for line in log.splitlines()[1:]} == {"S1", "S2"}
    again = await served.delete("/api/patients/S0")
    assert (again.status, again.json["files"], again.json["runs"]) == (200, 0, [])


async def test_a_patient_with_an_unfinished_run_is_not_forgotten(served: Served) -> None:
    """It is told to cancel the run first, and everything is there."""
    await served.finished("S0")
    await served.post("/api/pause")
    await served.post("/api/runs", json={"patients": ["S0"]})
    refused = await served.delete("/api/patients/S0")
    assert (refused.status, refused.json["type"]) == (409, "urn:docpipe:problem:unfinished-run")
    assert "cancel" in refused.json["detail"]
    assert (await served.get("/api/patients/S0")).json["documents"]


async def test_a_run_that_begins_meanwhile_stays(served: Served) -> None:
    """The last step looks again, in its transaction."""
    await served.finished("S0")
    await served.post("/api/pause")
    await served.post("/api/runs", json={"patients": ["S0"]})
    with pytest.raises(UsageError, match="unfinished"):
        forget_patient(served.docpipe.config.state_dir, "S0")
    assert len((await served.get("/api/patients/S0")).json["runs"]) == 2
