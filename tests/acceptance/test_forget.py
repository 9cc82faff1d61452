"""`docpipe forget`: after it no byte below the state folder and the storage names the patient."""

from tests.acceptance.conftest import Box


async def test_a_patient_is_forgotten(box: Box) -> None:
    """Asked for first, listed by --dry-run, removed by --yes; another patient keeps everything."""
    assert (await box.run("run", "--patient", "P123", "--patient", "P124", "--quiet")).status == 0
    refused = await box.run("forget", "P123")
    assert (refused.status, "--yes" in refused.err) == (2, True)
    listed = (await box.run("forget", "P123", "--dry-run", "--json")).json
    assert (listed["removed"], len(listed["runs"]), listed["documents"] > 0) == (False, 1, True)
    stored = len(list(box.patient("P123").glob("*/metadata.json")))
    assert (listed["documents"], listed["location"]) == (stored, str(box.patient("P123")))
    removed = await box.run("forget", "P123", "--yes")
    assert (removed.status, "backups" in removed.out, listed["tasks"][0] in removed.out) == (0, True, True)
    paths = [path for folder in (box.storage, box.state) for path in folder.rglob("*")]
    for path in paths:
        assert "P123" not in str(path.relative_to(box.folder))
        if path.is_file() and not path.name.startswith("fakes.db"):  # what the fake services themselves know
            data = path.read_bytes()
            assert b"P123" not in data, path
            assert listed["runs"][0].encode() not in data, path
    assert "keeps nothing" in (await box.run("forget", "P123", "--dry-run")).out
    assert (await box.run("status", "P124", "--json")).json["runs"][0]["state"].startswith("completed")
    assert (await box.run("check")).status == 0
