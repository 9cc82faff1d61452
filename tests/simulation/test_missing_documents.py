"""An archive that lacks what the exchange lists: the run says so everywhere, and a retry searches again."""

import dataclasses

import pytest
from msgspec.structs import replace

import fakes
from docpipe.model import Activity, RunState
from docpipe.results.files import MISSING
from docpipe.results.search import ListedDocument
from docpipe.sources.docex.exchange import DocumentExchange
from tests.simulation.test_ends import files_of, retried
from tests.simulation.world import Plan, simulate


@pytest.mark.virtual
async def test_a_listed_document_that_the_archive_lacks(tmp_path, monkeypatch):
    """It stands in manifest, report and counts as failed, and the others are stored."""
    state = {"state": tmp_path / "fakes.db"}
    plan = Plan(tmp_path, patients=2, options=state)
    real = DocumentExchange.wait_until_ready

    async def wait_until_ready(self, *args):
        ready = await real(self, *args)
        lost = ListedDocument(path="Labs/Lost.pdf", title="Lost")
        return replace(ready, documents=[*ready.documents, lost])

    with monkeypatch.context() as patched:
        patched.setattr(DocumentExchange, "wait_until_ready", wait_until_ready)
        story = await simulate(plan)
    for run in story.runs:
        assert (run.state, run.counts["failed"], run.error) == (RunState.COMPLETED_WITH_ERRORS, 1, None)
        assert run.counts["converted"] > 1
        (task,) = story.running.tracker.tasks_of(run.run_id)
        assert task.status == "completed_with_errors"
        assert "Lost.pdf" in story.running.tracker.reports[task.id][-1].body
        manifest, report = files_of(plan, run)
        assert manifest["counts"] == report["counts"] == run.counts
        for documents in (manifest["files"], report["documents"]):
            (lost,) = [document for document in documents if document["outcome"] == "failed"]
            assert (lost["path"], lost["reason"], lost.get("key")) == ("Labs/Lost.pdf", MISSING, None)
        page = (tmp_path / "storage" / run.patient_id / "runs" / run.run_id / "report.html").read_text()
        assert MISSING in page
        assert "Do the run again; if it is still missing" in page
    again, _ = await retried(Plan(tmp_path, patients=2, options=state), story.runs)
    for run in again:
        assert (run.state, run.retried_from) == (RunState.COMPLETED, Activity.SEARCH)
        assert set(run.counts) == {"converted"}


@pytest.mark.virtual
@pytest.mark.parametrize("mix", ["full", "tiny"])
async def test_an_archive_that_holds_what_is_listed_lacks_nothing(tmp_path, mix):
    """Duplicates, litter, empty and damaged files, and archives within count as there."""
    story = await simulate(Plan(tmp_path, patients=1, options={"mix": mix}))
    for run in story.runs:
        manifest, _ = files_of(Plan(tmp_path), run)
        assert manifest["files"]
        assert MISSING not in [document["reason"] for document in manifest["files"]]


@pytest.mark.virtual
async def test_a_status_of_five_megabytes(tmp_path, monkeypatch):
    """So much an exchange says of 10,000 documents: it is read, and the exchange is not down for others."""
    facts = fakes.server.Shelf.facts

    async def more(self, person):
        made = await facts(self, person)
        documents = [{**document, "remark": "x" * (5 * 2**20 // 4)} for document in made.documents]
        return dataclasses.replace(made, documents=documents)

    monkeypatch.setattr(fakes.server.Shelf, "facts", more)
    story = await simulate(Plan(tmp_path, patients=2))
    assert {(run.state, run.error) for run in story.runs} == {(RunState.COMPLETED, None)}
