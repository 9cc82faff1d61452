"""`docpipe check` as its users see it: what is wrong, the cure, and an exit status to rely on."""

import json

import pytest

import fakes
from docpipe.storage import METADATA
from tests.acceptance.conftest import Box
from tests.acceptance.test_signals import SLOW, until

READS_SCANS = True  # its checks try the engine


async def test_damage_is_found_and_mended(box: Box, services: fakes.Running) -> None:
    """Sound at first; lost files are found, converted again by real workers, and then all is sound."""
    (run,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    sound = await box.run("check", "--json")
    assert sound.status == 0, sound.out
    assert sound.json["sound"]
    assert [finding for finding in sound.json["findings"] if finding["wrong"]] == []
    assert {"exchange", "tracker", "patients", "storage", "converters"} <= {
        part["check"] for part in sound.json["fit"]
    }
    assert not [seen for seen in services.docex.requests if seen.operation == "docex.search"][1:]
    stored = [file for file in box.manifest(run)["files"] if file.get("key")]
    assert sound.json["checked"]["documents"] == len({file["key"] for file in stored})

    pdf = next(file for file in stored if file["outputs"] and file["media_type"] == "application/pdf")
    chart = next(file for file in stored if file["media_type"] == "application/hl7-cda+xml")
    texts = {name: (box.storage / name / "text.md").read_bytes() for name in (pdf["key"], chart["key"])}
    (box.storage / pdf["key"] / "text.md").unlink()
    (box.storage / chart["key"] / METADATA).unlink()
    wrong = await box.run("check")
    assert wrong.status == 1
    assert "text.md: missing" in wrong.out
    assert "metadata.json is missing" in wrong.out
    assert "2 problems found. `docpipe check --repair` repairs" in wrong.out

    mended = await box.run("check", "--repair")
    assert mended.status == 0, mended.out + mended.err
    assert mended.out.count("repaired: converted again") == 2
    assert "No problems found. 2 repaired." in mended.out
    assert (await box.run("check")).status == 0
    assert {name: (box.storage / name / "text.md").read_bytes() for name in texts} == texts
    title = json.loads((box.storage / chart["key"] / METADATA).read_bytes())["title"]
    assert title == chart["title"]
    assert not list((box.state / "spool").iterdir())


async def test_what_is_lost_is_reported(box: Box, services: fakes.Running) -> None:
    """An original that is gone cannot be mended here: the run to retry is reported, and brings it back."""
    (run,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    file = next(file for file in box.manifest(run)["files"] if file.get("key") and not file["derived_from"])
    original = box.storage / file["key"] / file["original"]
    original.unlink()
    lost = await box.run("check", "--repair")
    assert lost.status == 1
    assert "not repaired: permanently lost here" in lost.out
    assert f"docpipe retry {run['run_id']} --from DocEx_DownloadAndExtract" in lost.out
    retried = await box.run("retry", run["run_id"], "--from", "DocEx_DownloadAndExtract")
    assert retried.status == 0, retried.err
    assert original.stat().st_size == file["size"]
    assert (await box.run("check")).status == 0


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_beside_a_docpipe_at_work(box: Box, services: fakes.Running) -> None:
    """It may look on, and raises no false alarm; mending has to wait."""
    assert (await box.run("check")).out.endswith("No problems found.\n")  # before anything ran
    process = await box.start("run", "--patient", "P123")
    await until(process, services, "docex.search")  # which a check never asks for
    looked = await box.run("check", "--json")
    assert (looked.status, looked.json["sound"]) == (0, True)
    assert "another docpipe is running" in looked.json["findings"][0]["problem"]
    refused = await box.run("check", "--repair")
    assert refused.status == 2
    assert f"Process {process.pid} is using the state folder" in refused.err
    process.kill()
    await process.communicate()
    assert (await box.run("check")).status == 0


async def test_a_damaged_database(box: Box) -> None:
    """It is reported with its cure, and left as it is."""
    box.state.mkdir(mode=0o700)
    path = box.state / "checkpoints.db"
    path.write_bytes(b"SQLite format 3\0" + b"\xee" * 4096)
    path.chmod(0o600)
    checked = await box.run("check")
    assert checked.status == 1
    assert "cure: put a backup in its place" in checked.out
    assert path.read_bytes().endswith(b"\xee" * 4096)
