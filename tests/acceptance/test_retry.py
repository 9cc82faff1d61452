"""`docpipe retry`: what failed is done again, with no effect that was not asked for."""

import asyncio
from collections import Counter
from typing import Any

import pytest

import fakes
from docpipe.storage import METADATA
from fakes.tracker import Task
from tests.acceptance.conftest import Box
from tests.acceptance.test_cancel import asked

MIXED = "completed_with_errors"  # one of the fakes' documents is corrupt


def task_of(services: fakes.Running, run: dict[str, Any]) -> Task:
    (task,) = services.tracker.tasks.values()
    assert task.external_ref == run["run_id"]
    return task


def operations(services: fakes.Running) -> Counter[str]:
    return Counter(
        seen.operation for server in (services.docex, services.tracker) for seen in server.requests
    )


def ended_again(retried: Any, run: dict[str, Any]) -> bool:
    """Whether the one run that a command printed is this one as it was, but for a later end."""
    (after,) = retried.json["runs"]
    return bool(after | {"finished_at": ""} == run | {"finished_at": ""}) and (
        after["finished_at"] > run["finished_at"]
    )


async def test_a_failed_run(box: Box, services: fakes.Running) -> None:
    """What failed is done again to the end: one task, which was opened again, and a report of each time."""
    services.add_fault("docex.search 400")
    failed = await box.run("run", "--patient", "P123", "--json")
    assert (failed.status, failed.json["runs"][0]["state"]) == (1, "failed")
    services.clear_faults()
    retried = await box.run("retry", "P123", "--json")
    assert retried.status == 0, retried.err
    (run,) = retried.json["runs"]
    assert (run["run_id"], run["state"], run["error"]) == (failed.json["runs"][0]["run_id"], MIXED, None)
    task = task_of(services, run)
    assert task.history == ("in_progress", "failed", "in_progress", MIXED)
    assert len(services.tracker.reports[task.id]) == 2
    assert len(services.docex.searches) == 1
    assert box.manifest(run)["files"]


async def test_a_search_that_failed(box: Box, services: fakes.Running) -> None:
    """A search that the exchange gave up on is not polled again: the retry makes a new one."""
    await box.run("run", "--patient", "P199")
    retried = await box.run("retry", "P199")
    assert retried.status == 1
    assert "could not complete the search" in retried.out
    assert len(services.docex.searches_of("P199")) == 2
    (task,) = services.tracker.tasks.values()
    assert task.history == ("in_progress", "failed", "in_progress", "failed")
    assert len(services.tracker.reports[task.id]) == 2


async def test_documents_that_failed(box: Box, services: fakes.Running) -> None:
    """Without --from only what could not be read is converted again, from the archive of the same search."""
    (run,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    assert run["state"] == MIXED
    before = {path: path.stat().st_mtime_ns for path in box.patient("P123").glob(f"*/{METADATA}")}
    assert ended_again(await box.run("retry", run["run_id"], "--json"), run)
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    failed = [file for file in box.manifest(run)["files"] if file["outcome"] == "failed"]
    assert changed == {box.storage / file["key"] / METADATA for file in failed if file["key"]}
    assert len(services.docex.searches) == 1
    assert len(services.tracker.tasks) == 1


async def test_a_new_search(box: Box, services: fakes.Running) -> None:
    """--from DocEx_Search makes one new search; documents that are there already are kept as they are."""
    (run,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    retried = await box.run("retry", "P123", "--from", "DocEx_Search", "--json")
    assert retried.status == 0, retried.err
    assert ended_again(retried, run)
    assert len(services.docex.searches) == 2
    task = task_of(services, run)
    assert task.history == ("in_progress", MIXED, "in_progress", MIXED)
    assert len(services.tracker.reports[task.id]) == 2
    assert [file for file in box.manifest(run)["files"] if file.get("reused")]


async def test_the_report_alone(box: Box, services: fakes.Running) -> None:
    """--from GenerateReport asks nobody but the tracker, once: the documents are not fetched again."""
    (run,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    before = operations(services)
    page = box.patient("P123") / "runs" / run["run_id"] / "report.html"
    page.unlink()
    retried = await box.run("retry", "P123", "--from", "GenerateReport", "--json")
    assert ended_again(retried, run)
    assert page.exists()
    assert operations(services) - before == {"tracker.get": 1, "tracker.report": 1}


async def test_a_task_that_is_closed_for_good(box: Box, services: fakes.Running) -> None:
    """A tracker that lets a completed task go nowhere does not stop the retry, nor one that lost the task."""
    (run,) = (await box.run("run", "--patient", "P198", "--json")).json["runs"]
    refused = await box.run("retry", "P198")
    assert refused.status == 2
    assert "Nothing failed in run" in refused.err
    assert "--from ACTIVITY" in refused.err
    retried = await box.run("retry", "P198", "--from", "DocEx_CheckStatus", "--json")
    assert ended_again(retried, run)
    services.tracker.delete_task(run["task_id"])
    (lost,) = (await box.run("retry", "P198", "--from", "DocEx_CheckStatus", "--json")).json["runs"]
    assert lost["state"] == MIXED
    assert "deleted in the tracker" in lost["error"]
    (made,) = (await box.run("retry", "P198", "--from", "TaskTracker_Create", "--json")).json["runs"]
    assert (made["state"], made["error"]) == ("completed", None)
    assert made["task_id"] not in (None, run["task_id"])


@pytest.mark.parametrize("operation", ["docex.search", "tracker.update", "tracker.report"])
async def test_killed_in_the_middle(box: Box, services: fakes.Running, operation: str) -> None:
    """Killed hard just after an effect whose answer was lost: `resume` ends the retry, each effect once."""
    (run,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    before = operations(services)[operation]
    services.add_fault(f"{operation} lost")
    process = await box.start("retry", "P123", "--from", "DocEx_Search")
    while operations(services)[operation] <= before:
        assert process.returncode is None
        await asyncio.sleep(0.01)
    process.kill()
    await process.communicate()
    services.clear_faults()
    services.add_fault("tracker.report forget times=1")  # what counts is what the tracker holds
    resumed = await box.run("resume", "--json")
    assert ended_again(resumed, run)
    task = task_of(services, run)
    assert task.history == ("in_progress", MIXED, "in_progress", MIXED)
    assert len(task.notes) == 3
    assert len(services.tracker.reports[task.id]) == 2
    assert len(services.docex.searches) == 2


async def test_a_patient_with_an_unfinished_run(box: Box, services: fakes.Running) -> None:
    """A patient has one unfinished run at most: an older one is not retried beside it."""
    (run,) = (await box.run("run", "--patient", "P123", "--json")).json["runs"]
    services.add_fault("tracker.update 503")
    process = await box.start("run", "--patient", "P123")
    await asked(process, services, 2)
    process.kill()
    await process.communicate()
    refused = await box.run("retry", run["run_id"], "--from", "DocEx_Search")
    assert refused.status == 2
    assert "resume or cancel that first" in refused.err
    unfinished = await box.run("retry", "P123")
    assert unfinished.status == 2
    assert "`docpipe resume` continues it" in unfinished.err
