"""A first try with a fresh clone of the repository."""

import csv
import json
import re

from tests.acceptance.conftest import Box

READS_SCANS = True  # as a fresh clone does
ACTIVITIES = [
    "GetPatientFromDB",
    "TaskTracker_Create",
    "DocEx_Search",
    "DocEx_CheckStatus",
    "DocEx_DownloadAndExtract",
    "ConvertFile",
    "PutToStorage",
    "TaskTracker_UpdateStatus",
    "GenerateReport",
    "TaskTracker_AppendReport",
]
OUTCOMES = ["converted", "stored", "failed", "duplicate", "ignored", "refused"]


async def test_a_patient_from_database_to_report(box: Box) -> None:
    """One command makes documents, manifest and report, says where, and logs the ten activities in order."""
    ended = await box.run("run", "--patient", "P123")
    assert ended.status == 0, ended.err
    assert "Patient P123: completed with errors" in ended.out  # one of the fakes' documents is corrupt
    report = re.search(r"report +(\S+report\.html)", ended.out)
    assert report is not None
    assert "readable" in ended.out

    (run,) = (await box.run("status", "P123", "--json")).json["runs"]
    assert run["state"] == "completed_with_errors"
    assert list(run["documents"]) == OUTCOMES
    manifest = box.manifest(run)
    assert sum(run["documents"].values()) == len(manifest["files"])
    for file in manifest["files"]:
        assert file["outcome"] in OUTCOMES
        assert file["reason"] or file["outcome"] not in ("failed", "refused", "stored")
        if file["outcome"] in ("converted", "stored", "failed") and file["id"]:
            folder = box.storage / file["key"]
            assert json.loads((folder / "metadata.json").read_bytes())["outcome"] == file["outcome"]
            assert (folder / file["original"]).stat().st_size == file["size"]
            assert {path.name for path in folder.iterdir()} == {
                "metadata.json",
                file["original"],
                *file["outputs"],
            }

    with (box.state / "activity_log.csv").open(newline="", encoding="utf-8") as log:
        rows = list(csv.DictReader(log))
    firsts = list(dict.fromkeys(row["activity"] for row in rows if row["event"] == "start"))
    assert firsts == ACTIVITIES
    assert [row["event"] for row in rows].count("start") == [row["event"] for row in rows].count("finish")
    assert not list((box.state / "spool").iterdir())


async def test_documents_once_stored_are_not_converted_again(box: Box) -> None:
    """A second run of the patient finds the same documents there, and keeps them as they are."""
    (first,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    before = {path: path.stat().st_mtime_ns for path in box.patient("P123").glob("*/metadata.json")}
    (second,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    assert second["run_id"] != first["run_id"]
    assert second["documents"] == first["documents"]
    kept = {file["key"] for file in box.manifest(second)["files"] if file.get("reused")}
    good = ("converted", "stored")
    assert kept == {file["key"] for file in box.manifest(first)["files"] if file["outcome"] in good}
    after = {path: path.stat().st_mtime_ns for path in box.patient("P123").glob("*/metadata.json")}
    assert {path for path in before if before[path] != after[path]} <= {
        box.storage / file["key"] / "metadata.json"
        for file in box.manifest(second)["files"]
        if file["outcome"] == "failed"
    }


async def test_a_document_that_lacked_a_part_of_docpipe_is_converted_again(box: Box) -> None:
    """What was kept unread for want of OCR or an extra gets its chance in the patient's next run."""
    (first,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    lacking, *_ = (file for file in box.manifest(first)["files"] if file["outcome"] == "converted")
    path = box.storage / lacking["key"] / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"needs": "ocr"}), "utf-8")
    (second,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    again = {file["path"]: file.get("reused") for file in box.manifest(second)["files"] if file.get("key")}
    assert again[lacking["path"]] is False
    assert list(again.values()).count(False) == 2  # and the damaged one, as always
    assert json.loads(path.read_bytes())["needs"] is None


async def test_an_unknown_patient_fails_alone(box: Box) -> None:
    """A patient who is not in the database fails with a sentence; the others complete."""
    ended = await box.run("run", "--patient", "P123", "--patient", "nobody", "--patient", "P198", "--json")
    assert ended.status == 1
    known, unknown, empty = ended.json["runs"]
    assert (known["state"], empty["state"]) == ("completed_with_errors", "completed")
    assert sum(empty["documents"].values()) == 0
    assert unknown["state"] == "failed"
    assert "no patient nobody" in unknown["error"]
    assert unknown["task_id"] is None


async def test_a_failed_search_fails_the_patient(box: Box) -> None:
    """A search that the exchange gives up on is reported, on the terminal and in a report."""
    ended = await box.run("run", "--patient", "P199")
    assert ended.status == 1
    assert "could not complete the search" in ended.out
    (run,) = (await box.run("status", "P199", "--json")).json["runs"]
    assert box.manifest(run)["files"] == []
    assert run["task_id"]


async def test_imported_patients_are_retrieved(box: Box) -> None:
    """Rows of a CSV file become patients; a bad one is refused with its line, and the rest goes in."""
    (box.folder / "new.csv").write_text(
        "id,given,family,birth_date,sex,postal_code\n"
        "../../N1,Zoë,Lee,1957-03-31,female,12345\n"
        "N2,Zoë,Lee,31/03/1957,female,12345\n",
        "utf-8",
    )
    done = await box.run("patients", "import", "new.csv")
    assert (done.status, done.out) == (1, "1 patient imported, 1 refused.\n")
    assert "new.csv, line 3: refused: birth_date" in done.err
    assert "among the invented ones" in done.err
    assert "../../N1" in (await box.run("patients", "list")).out
    ended = await box.run("run", "--patients", "new.csv", "--json")
    assert [run["state"] for run in ended.json["runs"]] == ["completed_with_errors", "failed"]
    assert box.manifest(ended.json["runs"][0])["files"]
    assert not (box.folder.parent / "N1").exists()


async def test_bad_usage_and_configuration(box: Box) -> None:
    """What cannot be used is refused at the start, in one sentence, with status 2."""
    for words, env, message in [
        (("run",), {}, "--patient"),
        (("run", "--patients", "none.txt"), {}, "none.txt cannot be read"),
        (("run", "--patient", "P1", "--config", "none.toml"), {}, "none.toml"),
        (("run", "--patient", "P1"), {"DOCPIPE_DOCEX__SEARCH_RATE": "often"}, "10/min"),
        (("run", "--patient", "P1"), {"DOCPIPE_DOCEX__COLOUR": "red"}, "no such key"),
        (("run", "--patient", "P1"), {"DOCPIPE_STATE__DIR": "config.toml"}, "state.dir"),
        (("run", "--patient", "P1"), {"DOCPIPE_STORAGE__URL": "config.toml"}, "config.toml"),
        (("status", "nobody"), {}, "no run nobody"),
    ]:
        ended = await Box(box.folder, box.env | env).run(*words)
        assert ended.status == 2, (words, ended)
        assert message in ended.err
        assert "Traceback" not in ended.err
        assert len(ended.err.strip().splitlines()) == 1, ended.err


async def test_a_damaged_checkpoint_file_is_refused(box: Box) -> None:
    """A database that cannot be read stops the start with what to do, and stays as it is."""
    box.state.mkdir()
    (box.state / "checkpoints.db").write_bytes(b"SQLite format 3\0" + b"\xee" * 4096)
    for words in (("run", "--patient", "P123"), ("resume",), ("status",)):
        ended = await box.run(*words)
        assert ended.status == 2
        assert "checkpoints.db" in ended.err
    assert (box.state / "checkpoints.db").read_bytes().endswith(b"\xee" * 4096)


async def test_nothing_to_resume(box: Box) -> None:
    """Resuming when all is done says so."""
    ended = await box.run("resume")
    assert (ended.status, ended.out) == (0, "Nothing to do: no run is unfinished.\n")
    assert (await box.run("resume", "--json")).json == {"runs": []}
