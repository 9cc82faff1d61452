"""The exchange that speaks FHIR, in virtual time: what is found, what is reported it, and what is sent."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

import fakes
from docpipe import app
from docpipe.checkpoints import read_runs
from docpipe.config.parsing import Secret
from docpipe.model import Activity, Patient, RunState
from docpipe.patients import PatientDatabase
from fakes import FhirOptions, fhirfiles
from tests import virtual
from tests.simulation.test_ends import retried
from tests.simulation.world import CONVERTER, Plan, Story, config_of, ids, options_of, simulate

NAMES = {"note.txt", "call.txt", "message.html", "results.csv"}


def fhir(folder: Path, *, docex: dict[str, Any] | None = None, patients: int = 1, **more: Any) -> Plan:
    """A plan for an exchange that speaks FHIR; `fhir` are its FhirOptions, the rest is of the plan."""
    options = {**more.pop("options", {}), "fhir": FhirOptions(**more.pop("fhir", {}))}
    return Plan(folder, patients=patients, kind="fhir", docex=docex or {}, options=options, **more)


def files_of(folder: Path, patient: str = "S00000") -> dict[str, dict[str, Any]]:
    """The files of the manifest of a patient's only run, by name."""
    (manifest,) = (folder / "storage" / patient / "runs").glob("*/manifest.json")
    return {file["path"]: file for file in json.loads(manifest.read_text("utf-8"))["files"]}


def documents_of(folder: Path, patient: str = "S00000") -> dict[str, dict[str, Any]]:
    """Those that are documents, by the last part of their name."""
    actual = files_of(folder, patient)
    return {path.rsplit("/", 1)[-1]: file for path, file in actual.items() if "DocumentReference/" in path}


def retrieved(plan: Plan) -> Story:
    """The story of a plan in which every run completes."""
    story = virtual.run(simulate(plan))
    assert {(run.state, run.error) for run in story.runs} == {(RunState.COMPLETED, None)}
    return story


def sent(story: Story, operation: str) -> list:
    return [seen for seen in story.running.fhir.requests if seen.operation == operation]


@pytest.mark.parametrize("content", ["absolute", "relative", "data", "contained"])
@pytest.mark.parametrize("result", ["manifest", "bundle", "at once"])
def test_every_document_is_found(tmp_path: Path, content: str, result: str) -> None:
    """Whatever the form of the answer and of the content, all four documents come, byte by byte."""
    options = {"content": content, "at_once": result == "at once", "page": 3}
    plan = fhir(tmp_path, fhir=options | ({} if result == "at once" else {"result": result}))
    retrieved(plan)
    actual = documents_of(tmp_path)
    assert set(actual) == NAMES
    assert {file["outcome"] for file in actual.values()} == {"converted"}
    text = (tmp_path / "storage" / "S00000" / actual["note.txt"]["id"] / "text.md").read_text("utf-8")
    assert "Progress note for S00000" in text
    assert actual["note.txt"]["title"] == "note"


def test_lists_and_other_resources_are_accounted_for(tmp_path: Path) -> None:
    """Of an export the lists are stored, and what is no document reference becomes a document."""
    retrieved(
        fhir(
            tmp_path, docex={"fhir_mode": "export"}, fhir={"page": 3, "manifest_pages": True, "packed": True}
        )
    )
    actual = files_of(tmp_path)
    lists = {path: file for path, file in actual.items() if "/" not in path}
    assert {path: file["outcome"] for path, file in lists.items()} == {
        "DocumentReference.ndjson": "stored",
        "DocumentReference (2).ndjson": "stored",
        "Patient.ndjson": "converted",
        "Observation.ndjson": "converted",
    }
    assert lists["DocumentReference.ndjson"]["reason"] == "A list; its 3 documents are listed on their own."
    assert set(documents_of(tmp_path)) == NAMES


def test_the_search_asks_as_mhd_does_and_falls_back_to_exports(tmp_path: Path) -> None:
    """A server without document references is asked for exports, in the order of the standards."""
    plan = fhir(tmp_path, fhir={"knows": frozenset({"everything"})}, lives=())
    story = retrieved(plan)
    assert [(seen.method, seen.path) for seen in sent(story, "fhir.search")] == [
        ("GET", "/fhir/DocumentReference"),
        ("POST", "/fhir/Patient/$export"),
        ("GET", "/fhir/Patient/S00000/$export"),
        ("GET", "/fhir/Patient/S00000/$everything"),
    ]


def test_what_worked_is_asked_first(tmp_path: Path) -> None:
    """Once a server has shown what it takes, later patients cost one search each."""
    story = retrieved(fhir(tmp_path, patients=30, fhir={"knows": frozenset({"export"})}))
    assert len(sent(story, "fhir.search")) == 30 + 1
    assert story.running.fhir.worst_window("fhir.search") <= 10


def test_everything_is_let_go_when_it_is_stored(tmp_path: Path) -> None:
    """Each job is deleted once, after its documents were fetched; there is none for an answer at once."""
    story = retrieved(fhir(tmp_path, patients=2))
    assert sorted(story.running.fhir.deleted) == sorted(story.running.fhir.jobs)
    deleted = sent(story, "fhir.delete")
    assert [seen.status for seen in deleted] == [202, 202]
    last = max(seen.at for seen in sent(story, "fhir.binary"))
    assert deleted[-1].at >= last


def test_a_server_that_does_not_delete_fails_no_run(tmp_path: Path) -> None:
    """Whatever comes of the deletion, the run completes; an outage holds it up for ten seconds at most."""
    story = retrieved(fhir(tmp_path, faults=("fhir.delete hang",)))
    assert story.running.fhir.deleted == []


@pytest.mark.parametrize("dates", [False, True], ids=["seconds", "dates"])
def test_questions_are_paced_as_the_server_asks(tmp_path: Path, *, dates: bool) -> None:
    """Retry-After in both forms and X-Progress are heeded: half an hour costs few questions."""
    options = {"search_seconds": (1800.0, 1800.0)}
    story = retrieved(fhir(tmp_path, fhir={"dates": dates, "location": "Location"}, options=options))
    assert 5 < len(sent(story, "fhir.status")) < 40


def test_transient_troubles_are_waited_out(tmp_path: Path) -> None:
    """Outcomes that are transient, a 5xx from a proxy, and a doubtful failure do not end a search."""
    faults = (
        "fhir.status fhir503 times=4",
        "fhir.status html502 times=4",
        "fhir.status fhirbad500 times=2",
        "fhir.status fhir400 times=1",
        "fhir.search 503 times=2",
    )
    retrieved(fhir(tmp_path, faults=faults))
    assert set(documents_of(tmp_path)) == NAMES


def test_a_failed_job_ends_the_run_without_the_patients_name(tmp_path: Path) -> None:
    """What is reported three times is believed; the reason loses the name, and keeps the code."""
    plan = fhir(tmp_path, options={"failing": frozenset({"S00000"})})
    (run,) = virtual.run(simulate(plan)).runs
    assert run.state is RunState.FAILED
    assert (
        run.error == "The exchange could not complete the search (processing): No network answered for […]."
    )


def test_expired_jobs_are_searched_again(tmp_path: Path) -> None:
    """A job that is gone, whenever that is noticed, is started again."""
    story = retrieved(fhir(tmp_path, options={"expiring": frozenset({"S00000"})}))
    assert len(story.running.fhir.jobs) == 2
    assert set(documents_of(tmp_path)) == NAMES


def test_tokens_stay_away_from_files_that_want_none(tmp_path: Path) -> None:
    """Where requiresAccessToken is false, files and documents are fetched without credentials."""
    plan = fhir(tmp_path, fhir={"elsewhere": True}, options={"docex_token": "secret"})
    plan.docex["token"] = Secret("secret")
    story = retrieved(plan)
    assert story.running.fhir_files.requests
    assert story.running.fhir_files.tokens_received == 0
    assert all(seen.caller for seen in story.running.fhir.requests)
    assert set(documents_of(tmp_path)) == NAMES


def test_other_origins_are_refused_where_the_configuration_names_some(tmp_path: Path) -> None:
    """An export whose lists lie at an origin that is not named has failed."""
    plan = fhir(tmp_path, fhir={"elsewhere": True}, docex={"archive_origins": ("https://files.example",)})
    (run,) = virtual.run(simulate(plan)).runs
    assert run.state is RunState.FAILED
    assert "not allowed" in str(run.error)


def test_a_binary_that_comes_as_json_alone_is_unwrapped(tmp_path: Path) -> None:
    """A server that answers 406 to the type of the document is asked for FHIR, and the content taken out."""
    retrieved(fhir(tmp_path, fhir={"binaries": "json"}))
    actual = documents_of(tmp_path)
    text = (tmp_path / "storage" / "S00000" / actual["results.csv"]["id"] / "text.md").read_text("utf-8")
    assert text.startswith("test,value")


def test_what_is_not_current_is_ignored_and_what_is_said_of_errors_is_reported(tmp_path: Path) -> None:
    """Superseded documents are ignored with the reason; the manifest's errors are a failed file."""
    options = {"statuses": ("superseded", "entered-in-error"), "problems": 2, "problem_key": "outcome"}
    plan = fhir(tmp_path, docex={"fhir_mode": "export"}, fhir=options)
    (run,) = virtual.run(simulate(plan)).runs
    assert run.state is RunState.COMPLETED_WITH_ERRORS
    actual = files_of(tmp_path)
    ignored = [file["reason"] for file in actual.values() if file["outcome"] == "ignored"]
    assert ignored == [
        "The exchange says that it is superseded by another document.",
        "The exchange says that it was entered in error.",
    ]
    messages = actual["Messages.ndjson"]
    assert messages["outcome"] == "failed"
    assert messages["reason"] == "The exchange reports 2 problems with the search (not-found)."


def test_bad_lines_and_wrong_counts_are_reported(tmp_path: Path) -> None:
    """A line that is no resource is a failed file of its own, a wrong count a warning; the rest continues."""
    options = {"bad_lines": ("{broken", "[1]", ""), "miscounted": 1}
    plan = fhir(tmp_path, docex={"fhir_mode": "export"}, fhir=options)
    (run,) = virtual.run(simulate(plan)).runs
    assert run.state is RunState.COMPLETED_WITH_ERRORS
    actual = files_of(tmp_path)
    assert actual["DocumentReference.ndjson, line 2"]["reason"].startswith("It is no resource in JSON")
    assert "DocumentReference.ndjson, line 3" in actual
    assert "DocumentReference.ndjson, line 4" not in actual
    assert set(documents_of(tmp_path)) == NAMES
    assert actual["Patient.ndjson"]["warnings"] == ["The exchange says that it holds 2 resources; 3 came."]


def test_a_document_that_the_server_fails_at_stops_no_other(tmp_path: Path) -> None:
    """A Binary that fails each time has failed; one that breaks off is continued, one 404 is not final."""
    faults = ("fhir.binary truncate times=2", "fhir.binary html502 times=1", "fhir.binary 404 times=1")
    story = virtual.run(simulate(fhir(tmp_path, fhir={"broken": ("3",)}, faults=faults)))
    assert [run.state for run in story.runs] == [RunState.COMPLETED_WITH_ERRORS]
    failed = [file for file in documents_of(tmp_path).values() if file["outcome"] == "failed"]
    reasons = sorted(file["reason"] for file in failed)
    assert reasons == ["The exchange fails at it each time (status 500)."]


def test_a_server_that_fails_at_every_document_is_waited_for(tmp_path: Path) -> None:
    """A bare 500 for all of them is an outage of two hours, and costs no document."""
    story = retrieved(fhir(tmp_path, faults=("fhir.binary 500 until=7200",)))
    assert story.seconds > 7200
    assert len(sent(story, "fhir.binary")) < 200
    assert set(documents_of(tmp_path)) == NAMES


def test_patients_are_found_by_identifier(tmp_path: Path) -> None:
    """With the system in the configuration, and without it where the date of birth agrees."""
    for docex in ({"patient_system": "urn:oid:2.999.1"}, {}):
        folder = tmp_path / str(len(docex))
        folder.mkdir()
        retrieved(fhir(folder, docex=docex, fhir={"by_identifier": True}))
        assert set(documents_of(folder)) == NAMES


def test_an_unknown_patient_fails_and_costs_no_search(tmp_path: Path) -> None:
    """A patient unknown to the server is reported, not taken for one without documents."""
    story = virtual.run(simulate(fhir(tmp_path, fhir={"strangers": frozenset({"S00000"})})))
    (run,) = story.runs
    assert run.state is RunState.FAILED
    assert "docex.patient_system" in run.error
    assert sent(story, "fhir.search") == []


def test_a_patient_without_documents_completes(tmp_path: Path) -> None:
    """Nothing found is no error."""
    retrieved(fhir(tmp_path, options={"empty": frozenset(ids(1))}))
    assert files_of(tmp_path) == {}


async def _retried(plan: Plan) -> list[str]:
    """One patient through a first run, and a retry from the download on; the states of both."""
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(1)])
        states = []
        async with app.opened(
            config, clock=virtual.wall_clock, rng=random.Random(0), converter=CONVERTER, inline=True
        ) as docpipe:
            (run,) = await docpipe.engine.submit(ids(1))
            await docpipe.engine.wait()
            states.append(read_runs(config.state_dir)[0].state)
            await docpipe.engine.retry(run.run_id, Activity.DOWNLOAD)
            await docpipe.engine.wait()
            states.append(read_runs(config.state_dir)[0].state)
        return [*states, len(running.fhir.jobs)]


def test_a_retry_of_what_the_server_let_go_searches_again(tmp_path: Path) -> None:
    """A document that was missing is fetched by a retry: by another search, for the first is deleted."""
    plan = fhir(tmp_path, faults=("fhir.binary 404 times=8",))
    states = virtual.run(_retried(plan))
    assert states == [RunState.COMPLETED_WITH_ERRORS, RunState.COMPLETED, 2]


@pytest.mark.parametrize("mode", ["documents", "export"])
def test_an_origin_that_does_not_answer_fails_its_documents_alone(tmp_path: Path, mode: str) -> None:
    """All of them together cost the configured time; the others are stored, and a retry fetches them."""
    options = {"state": tmp_path / "fakes.db"}
    lost = fhir(tmp_path, docex={"fhir_mode": mode}, fhir={"nowhere": ("0", "2")}, options=options)
    story = virtual.run(simulate(lost))
    (run,) = story.runs
    assert (run.state, run.error) == (RunState.COMPLETED_WITH_ERRORS, None)
    outcomes = [file["outcome"] for file in documents_of(tmp_path).values()]
    assert sorted(outcomes) == ["converted", "converted", "failed", "failed"]
    reasons = {file["reason"] for file in documents_of(tmp_path).values() if file["outcome"] == "failed"}
    assert reasons == {"The server that holds it (127.0.0.1) did not answer for 15 minutes."}
    assert 900 < story.seconds < 1100
    ((again,), _) = virtual.run(retried(fhir(tmp_path, docex={"fhir_mode": mode}, options=options), [run]))
    assert (again.state, again.retried_from) == (RunState.COMPLETED, Activity.DOWNLOAD)
    assert {file["outcome"] for file in documents_of(tmp_path).values()} == {"converted"}


@pytest.mark.parametrize("mode", ["documents", "export"])
@pytest.mark.parametrize(
    "place", ["http://[::1", "http://a..b.example", f"http://{'a' * 70}.example", "http://℀.example"]
)
def test_an_address_that_is_none_fails_its_document_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, place: str
) -> None:
    """However an address of one attachment breaks, the others are stored, and the reason says so."""
    monkeypatch.setattr(fhirfiles, "NOWHERE", place)
    story = virtual.run(simulate(fhir(tmp_path, docex={"fhir_mode": mode}, fhir={"nowhere": ("0",)})))
    (run,) = story.runs
    assert (run.state, run.error) == (RunState.COMPLETED_WITH_ERRORS, None)
    files = list(documents_of(tmp_path).values())
    assert sorted(file["outcome"] for file in files) == ["converted", "converted", "converted", "failed"]
    (reason,) = [file["reason"] for file in files if file["outcome"] == "failed"]
    assert "address that cannot be used" in reason


def test_an_outage_of_the_server_itself_is_waited_out(tmp_path: Path) -> None:
    """However much longer it lasts than another origin may be silent."""
    story = retrieved(
        fhir(tmp_path, docex={"attachment_patience": 60.0}, faults=("fhir.binary reset until=1800",))
    )
    assert story.seconds > 1800
    assert {file["outcome"] for file in documents_of(tmp_path).values()} == {"converted"}


@pytest.mark.parametrize("binaries", ["xml", "external"])
def test_binaries_are_unwrapped_or_read(tmp_path: Path, binaries: str) -> None:
    """As HAPI FHIR hands them out: in XML, and without the data, which is read by an operation of its own."""
    retrieved(fhir(tmp_path, fhir={"binaries": binaries, "verified": False}))
    actual = documents_of(tmp_path)
    assert {file["outcome"] for file in actual.values()} == {"converted"}
    text = (tmp_path / "storage" / "S00000" / actual["note.txt"]["id"] / "text.md").read_text("utf-8")
    assert "Progress note for S00000" in text


@pytest.mark.parametrize(
    "fault",
    [
        "fhir.* plain404 from=0 until=15",
        "fhir.* html403 from=0 until=15",
        "fhir.* plain410 from=20 until=35",
        "fhir.status plain404 times=1",
        "fhir.status fhirbad404 times=1",
        "fhir.binary plain404 from=20 until=50",
        "fhir.binary fhirbad404 times=2",
        "fhir.patient away302 from=0 until=15",
    ],
)
def test_a_proxys_refusal_is_an_outage(tmp_path: Path, fault: str) -> None:
    """The request is sent again once the server itself answers; its own 404 is believed the second time."""
    story = retrieved(fhir(tmp_path, patients=3, faults=(fault,), options={"search_seconds": (25.0, 25.0)}))
    assert {len(story.running.fhir.jobs_of(run.patient_id)) for run in story.runs} == {1}
    for run in story.runs:
        outcomes = {file["outcome"] for file in documents_of(tmp_path, run.patient_id).values()}
        assert outcomes == {"converted"}


def test_an_export_none_of_whose_lists_comes_has_failed(tmp_path: Path) -> None:
    """It has not found nothing; a retry fetches the result again, or begins a new search."""
    options = {"state": tmp_path / "fakes.db"}
    lost = fhir(tmp_path, docex={"fhir_mode": "export"}, faults=("fhir.file fhirbad410",), options=options)
    (run,) = virtual.run(simulate(lost)).runs
    assert run.state is RunState.FAILED
    assert "none could be fetched" in str(run.error)
    again_plan = fhir(tmp_path, docex={"fhir_mode": "export"}, options=options)
    ((again,), _) = virtual.run(retried(again_plan, [run]))
    assert (again.state, again.retried_from) == (RunState.COMPLETED, Activity.DOWNLOAD)
    assert set(documents_of(tmp_path)) == NAMES


def test_a_search_that_fails_for_one_patient_alone_holds_up_nobody(tmp_path: Path) -> None:
    """An error of the server itself, which accepts the searches of others, ends the run of this patient."""
    plan = fhir(tmp_path, patients=4, faults=("fhir.search fhirbad500 patient=S00000",))
    story = virtual.run(simulate(plan))
    by_patient = {run.patient_id: run for run in story.runs}
    failed = by_patient.pop("S00000")
    assert {run.state for run in by_patient.values()} == {RunState.COMPLETED}
    assert (failed.state, failed.error) == (
        RunState.FAILED,
        "The exchange could not begin the search (processing).",
    )


def test_a_server_that_fails_at_every_search_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """Its own errors for some minutes end no run where none is accepted meanwhile."""
    retrieved(fhir(tmp_path, patients=3, faults=("fhir.search fhirbad500 until=200",)))


@pytest.mark.parametrize("result", ["bundle", "at once"])
def test_what_a_list_lacks_is_a_failure(tmp_path: Path, result: str) -> None:
    """A total above what came, and a warning that sources did not answer."""
    options = {"total": 9, "incomplete": True, "at_once": result == "at once", "result": "bundle"}
    (run,) = virtual.run(simulate(fhir(tmp_path, fhir=options))).runs
    assert (run.state, run.counts["failed"]) == (RunState.COMPLETED_WITH_ERRORS, 2)
    reasons = {file["reason"] for file in files_of(tmp_path).values() if file["outcome"] == "failed"}
    assert reasons == {
        "The exchange says that it has 9 entries; 4 came.",
        "The exchange warns that its result is incomplete (incomplete).",
    }


@pytest.mark.parametrize("same", [True, False])
def test_a_merged_patient_is_followed(tmp_path: Path, *, same: bool) -> None:
    """To the Patient that replaces it, where the date of birth is the same; else the run says so."""
    merged = {"S00000": "S00001"} if same else {"S00000": "X"}
    plan = fhir(tmp_path, fhir={"merged": tuple(merged.items()), "strangers": frozenset({"X"})})
    (run,) = virtual.run(simulate(plan)).runs
    if same:
        assert run.state is RunState.COMPLETED
        assert set(documents_of(tmp_path)) == NAMES
    else:
        assert run.state is RunState.FAILED
        assert "has merged the patient into another one" in str(run.error)


@pytest.mark.parametrize(
    "options", [{"xml": True}, {"xml": True, "page": 3}, {"urns": True}, {"xml": True, "urns": True}]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_servers_with_xml_alone_and_documents_by_urn(tmp_path: Path, options: dict, *, at_once: bool) -> None:
    """Resources in XML are read as those in JSON; a Binary of the same Bundle is found by its `urn:uuid`."""
    retrieved(fhir(tmp_path, fhir={**options, "at_once": at_once, "result": "bundle"}))
    actual = documents_of(tmp_path) | {
        path.rsplit("/", 1)[-1]: file for path, file in files_of(tmp_path).items() if "Binary" in path
    }
    assert set(actual) >= NAMES
    assert {actual[name]["outcome"] for name in NAMES} == {"converted"}


def test_a_server_without_outcomes_costs_few_doubts(tmp_path: Path) -> None:
    """Refusals in plain text that are the server's own are doubted at length once, and then briefly."""
    plan = fhir(tmp_path, patients=2, docex={"fhir_mode": "documents"}, faults=("fhir.search plain404",))
    story = virtual.run(simulate(plan))
    assert {run.state for run in story.runs} == {RunState.FAILED}
    assert 900 < story.seconds < 1100
    assert "refused the search with status 404" in str(story.runs[0].error)
