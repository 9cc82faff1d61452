"""Real documents by others, through the whole pipeline."""

import json
from collections import Counter
from pathlib import Path

import pytest

import fakes
from tests.acceptance.conftest import Box, pointed_at
from tests.report_support import wrong

READS_SCANS = True  # scans by others


async def test_every_sample_goes_through(box: Box, samples: Path) -> None:
    """No exception escapes, every file is accounted for, and C-CDA text has the tables of its sections."""
    options = fakes.FakeOptions(documents=samples, search_seconds=(1.0, 1.0))
    async with fakes.serve(options) as running:
        ended = await pointed_at(box, running, "10/min").run("run", "--patient", "P123", "--json")
    assert ended.status == 0, ended.err
    (run,) = ended.json["runs"]
    assert run["state"] == "completed_with_errors"
    assert "docpipe itself failed" not in ended.err
    files = {file["path"]: file for file in box.manifest(run)["files"]}
    expected = {str(path.relative_to(samples)) for path in samples.rglob("*") if path.is_file()}
    assert expected <= set(files)
    assert Counter(file["outcome"] for file in files.values()) == Counter(run["documents"])
    for path, file in files.items():
        assert file["reason"] or file["outcome"] in ("converted", "duplicate"), path
    for path in ("ccda/hl7-ccd.xml", "ccda/greenway-bom.xml", "ccda/nextgen.txt", "ccda/kareo.ccd"):
        text = (box.storage / files[path]["key"] / "text.md").read_text("utf-8")
        assert "\n| --- |" in text.replace("|---", "| ---").replace("| --- ", "| --- |", 1), path
        assert (box.storage / files[path]["key"] / "document.pdf").read_bytes().startswith(b"%PDF-")
    report = box.patient("P123") / "runs" / run["run_id"] / "report.json"
    assert wrong(json.loads(report.read_bytes())) == []
    assert report.with_suffix(".html").read_text("utf-8").count("<img") > 40
    assert files["pdf/libreoffice-writer-password.pdf"]["outcome"] == "failed"
    assert "password" in files["pdf/libreoffice-writer-password.pdf"]["reason"]


@pytest.mark.parametrize("path", ["ccda/hl7-ccd.xml"])
def test_samples_are_there(samples: Path, path: str) -> None:
    """In CI the samples may not be missing."""
    assert (samples / path).is_file()
