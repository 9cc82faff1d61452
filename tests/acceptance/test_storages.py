"""The whole way of patients into each kind of storage, and through a crash in the middle of it."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import fakes
from docpipe import app
from docpipe.check import Scene, findings
from docpipe.config.config import Config, Convert, Docex, Patients, State, Storage, Tasktracker
from docpipe.config.parsing import Secret
from tests.acceptance.conftest import Box
from tests.object_stores import KEYS, S3, way_to

KEY = Secret("0123456789abcdef" * 2)


@pytest.fixture(params=["folder", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each kind; ids show in the names of a folder, and nowhere else."""
    if request.param == "folder":
        return Storage(url=str(tmp_path / "storage"))
    if request.param == "memory":
        return Storage(url="memory://", patient_prefix="hash", prefix_key=KEY)
    s3 = request.getfixturevalue("s3")
    return Storage(url=s3.url, options=tuple(s3.options.items()), patient_prefix="hash", prefix_key=KEY)


@pytest.fixture
async def config(tmp_path: Path, storage: Storage) -> AsyncIterator[Config]:
    """docpipe with fakes that are quick."""
    options = {"search_rate": None, "status_rate": None, "tracker_rate": None, "search_seconds": (0.1, 0.2)}
    async with fakes.serve(fakes.FakeOptions(**options)) as running:
        yield Config(
            docex=Docex(base_url=running.docex_url, search_rate=None, status_rate=None),
            tasktracker=Tasktracker(base_url=running.tracker_url, rate=None),
            patients=Patients(url="fake"),
            storage=storage,
            state=State(dir=str(tmp_path / "state")),
            convert=Convert(workers=1, ocr=False),
        )


async def test_patients_are_retrieved_converted_stored_and_reported(config: Config) -> None:
    """Every file of the archive is where the manifest says, once; a second run converts nothing anew."""
    async with app.opened(config) as docpipe:
        storage = docpipe.storage
        for again in (False, True):
            (run,) = await docpipe.engine.submit(["P123"])
            await docpipe.engine.wait()
            (ended,) = await docpipe.checkpoints.runs([run.run_id])
            assert ended.state.startswith("completed"), ended.error
            manifest = json.loads(await storage.get_run_file("P123", run.run_id, "manifest.json"))
            kept = [file for file in manifest["files"] if file.get("key")]
            assert len(kept) >= 3
            for file in kept:
                assert file["reused"] == again or file["outcome"] == "failed"
                metadata = await storage.find_document("P123", file["id"])
                assert metadata["outcome"] == file["outcome"]
                assert {file["original"], *file["outputs"]} == metadata["files"].keys()
                original = await storage.get_document_file("P123", file["id"], file["original"])
                assert hashlib.sha256(original).hexdigest() == file["sha256"]
            for name in ("report.html", "report.json"):
                assert await storage.size("P123", name, run_id=run.run_id)
        assert storage.tree().patients() == [storage.folder_of("P123")]
        if config.storage.patient_prefix == "hash":
            assert "P123" not in storage.location("P123", run_id=run.run_id)
        scene = Scene(config.state_dir, storage, beside=True)
        assert [finding async for finding in findings(scene)] == []
        assert (scene.counts["documents"], scene.counts["runs"]) == (len({file["id"] for file in kept}), 2)


@pytest.mark.parametrize("services", [{"mix": "tiny", "search_seconds": (0.1, 0.2)}], indirect=True)
async def test_a_process_killed_while_it_stores(box: Box, services: fakes.Running, s3: S3) -> None:
    """What it had begun in the bucket is not found half; resuming completes it, and the check is content."""
    async with way_to(s3.address) as way:
        given = s3.options | {"endpoint": way.address, "allow_http": "true"}
        box.env |= KEYS | {
            "DOCPIPE_STORAGE__URL": s3.url,
            "DOCPIPE_STORAGE__OPTIONS": ",".join(f"{name}={value}" for name, value in given.items()),
            "DOCPIPE_CONVERT__OCR": "false",
        }
        puts = 0

        def fault(method: str, _path: str) -> str | None:
            nonlocal puts
            puts += method == "PUT"
            return "hang" if puts == 7 else None

        way.fault = fault
        process = await box.start("run", "--patient", "P123", "--json")
        await way.hanging.wait()
        process.kill()
        await process.communicate()
        way.fault = lambda _method, _path: None
        resumed = await box.run("resume", "--json")
        assert resumed.status == 0, resumed.err
        (run,) = resumed.json["runs"]
        assert run["state"].startswith("completed")
        checked = await box.run("check", "--json")
        assert [result for result in checked.json["findings"] if result["check"] == "storage"] == [], (
            checked.out
        )
        assert checked.json["checked"]["documents"] >= 3
        assert "test-secret-of-nobody" not in resumed.err + checked.out + checked.err
