"""Charts and ZIPs over real sockets: made on demand, named for people, refused where there is nothing."""

import errno
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pikepdf
import pytest

from docpipe.errors import WorkerCrashedError
from docpipe.web import exports
from docpipe.workers.inline import InlineWorkers
from tests.unit.test_chart import pdf
from tests.virtual import wall_clock
from tests.web_support import Answer, Served, serving

pytestmark = pytest.mark.virtual


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A service without a token."""
    async with serving(tmp_path, wall_clock) as running:
        yield running


async def readable(served: Served, patient: str, pages: int = 2) -> str:
    """A run of the patient whose documents all have a PDF, by its id."""
    (run,) = await served.finished(patient)
    folder = served.docpipe.storage.folder_of(patient)
    root = served.docpipe.storage.folder
    assert root is not None
    for place in (root / folder).iterdir():
        if (place / "metadata.json").exists():
            (place / "document.pdf").write_bytes(pdf(pages))
    report = root / folder / "runs" / run / "report.json"
    report.write_text(report.read_text("utf-8").replace('"text.md"', '"document.pdf", "text.md"'))
    return run


def opened(answer: Answer) -> zipfile.ZipFile:
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/zip"
    whole = zipfile.ZipFile(io.BytesIO(answer.body))
    assert whole.testzip() is None
    return whole


@pytest.mark.parametrize("patient", ["S0", "a b%2F{c}", "é/ü"])
async def test_a_chart_of_a_patient_and_of_a_run(served: Served, patient: str) -> None:
    """One PDF by a name that says whose it is; nothing of it stays in the spool."""
    run = await readable(served, patient)
    for address in (f"/api/patients/{quote(patient, safe='')}", f"/api/runs/{run}"):
        url = f"{served.address}{address}/chart.pdf"
        head = await served.ask("HEAD", "", url=url)
        answer = await served.get("", url=url)
        assert (head.status, answer.status) == (200, 200)
        assert answer.headers["Content-Type"] == "application/pdf"
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        assert 'attachment; filename="Lee Ann ' in answer.headers["Content-Disposition"]
        assert "chart.pdf" in answer.headers["Content-Disposition"]
        with pikepdf.open(io.BytesIO(answer.body)) as chart:
            assert len(chart.pages) > 3
    assert not any(served.docpipe.state.spool.iterdir())


async def test_everything_as_a_zip(served: Served) -> None:
    """Of a patient, of a run, and of several runs with a folder for each patient."""
    runs = [await readable(served, patient) for patient in ("S0", "é/ü")]
    own = opened(await served.get("/api/patients/S0/documents.zip")).namelist()
    assert any(name.endswith(".pdf") for name in own)
    assert not any("/" in name for name in own)
    assert opened(await served.get(f"/api/runs/{runs[0]}/documents.zip")).namelist() == own
    both = opened(await served.get(f"/api/documents.zip?run={runs[0]}&run={runs[1]}")).namelist()
    assert {name.partition("/")[0] for name in both} == {"S0", "é_ü"}
    assert {name.partition("/")[2] for name in both if name.startswith("S0/")} == set(own)


async def test_a_run_without_a_report_is_named_in_the_zip(served: Served) -> None:
    """It holds up no other, and nobody takes the ZIP for whole."""
    done = await readable(served, "S0")
    served.fakes.add_fault("docex.* 503")
    (begun,) = await served.submit("S1")
    whole = opened(await served.get(f"/api/documents.zip?run={done}&run={begun}"))
    assert b"has to end first" in whole.read("S1/What is missing.txt")
    assert any(name.startswith("S0/") for name in whole.namelist())
    assert (await served.get(f"/api/documents.zip?run={begun}")).status == 404


async def test_what_there_is_nothing_of(served: Served) -> None:
    """Unknown patients and runs, and a run without a report: said before anything is sent."""
    nobody = "01J00000000000000000000000"
    for address in ("patients/S9", f"patients/{'x' * 300}", "patients/%00", f"runs/{nobody}", "runs/no-run"):
        for name in ("chart.pdf", "documents.zip"):
            assert (await served.get(f"/api/{address}/{name}")).status == 404
            assert (await served.ask("HEAD", f"/api/{address}/{name}")).status == 404
    assert (await served.get(f"/api/documents.zip?run={nobody}")).status == 404
    for query in ("", "run=", "run=no-run", "&".join(f"run={nobody[:-3]}{n:03d}" for n in range(101))):
        assert (await served.get(f"/api/documents.zip?{query}")).status == 400


async def test_a_chart_that_cannot_be_made(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader learns what to do instead; the next one is made."""
    await readable(served, "S0")

    for error, words in (
        (WorkerCrashedError("It died."), "ZIP instead"),
        (OSError(errno.ENOSPC, "full"), "the disk is full (spool)"),
        (OSError(errno.ECONNRESET, "gone"), "The storage cannot be read: gone."),
    ):

        async def fail(*_: Any, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(InlineWorkers, "execute", fail)
            answer = await served.get("/api/patients/S0/chart.pdf")
        assert answer.status == 503
        assert words in answer.json["detail"]
        assert not any(served.docpipe.state.spool.iterdir())
    assert (await served.get("/api/patients/S0/chart.pdf")).status == 200


@pytest.mark.parametrize(("places", "name"), [("charts", "chart.pdf"), ("packages", "documents.zip")])
async def test_too_many_at_once(served: Served, places: str, name: str) -> None:
    """Further readers get a 503, before anything is made for them."""
    await readable(served, "S0")
    setattr(served.web.exports, places, exports.Places(1))
    async with getattr(served.web.exports, places).taken():
        for method in ("GET", "HEAD"):
            answer = await served.ask(method, f"/api/patients/S0/{name}")
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "60"
    assert (await served.get(f"/api/patients/S0/{name}")).status == 200
