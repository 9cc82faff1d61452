"""`docpipe chart`: what a run has stored as one PDF and as one ZIP, made by a confined worker."""

import zipfile

import pikepdf

from tests.acceptance.conftest import Box


async def test_the_chart_of_a_patient(box: Box) -> None:
    """Every document with pages is in it; what is not is named, and so is the cure where there is nothing."""
    missing = await box.run("chart", "P123", "-o", str(box.folder / "chart.pdf"))
    assert (missing.status, "docpipe run" in missing.err) == (2, True)
    assert (await box.run("run", "--patient", "P123", "--quiet")).status == 0
    target = box.folder / "chart.pdf"
    made = (await box.run("chart", "P123", "-o", str(target), "--json")).json
    stored = list(box.patient("P123").glob("*/document.pdf"))
    pages = sum(len(pikepdf.open(path).pages) for path in stored)
    with pikepdf.open(target) as chart, chart.open_outline() as outline:
        assert made["pages"] == len(chart.pages) > pages
        assert made["documents"] == len(outline.root) == len(stored)
    assert target.stat().st_mode & 0o077 == 0
    assert made["missing"]
    package = box.folder / "all.zip"
    assert (await box.run("chart", "P123", "-o", str(package))).status == 0
    with zipfile.ZipFile(package) as whole:
        assert whole.testzip() is None
        assert len(whole.namelist()) > len(stored)
    assert not [path for path in box.folder.iterdir() if path.name.startswith(".docpipe-")]
    refused = await box.run("chart", "P123", "-o", str(box.folder))
    assert refused.status == 2
