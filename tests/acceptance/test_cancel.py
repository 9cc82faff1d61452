"""`docpipe cancel`: the run ends, its task is updated once, and nothing meanwhile changes that."""

import asyncio
import signal
import time
from typing import Any

import pytest

import fakes
from docpipe.checkpoints import open_database
from tests.acceptance.conftest import Box
from tests.acceptance.test_signals import SLOW, until

slowly = pytest.mark.parametrize("services", [SLOW], indirect=True)


async def killed_while_searching(box: Box, services: fakes.Running, *patients: str) -> None:
    """Leave runs behind whose searches continue for long."""
    words = [word for patient in patients or ("P123",) for word in ("--patient", patient)]
    process = await box.start("run", *words)
    await until(process, services, "docex.status")
    while len(services.docex.searches) < len(words) // 2:
        await asyncio.sleep(0.01)
    process.kill()
    await process.communicate()


def updates(services: fakes.Running) -> list[Any]:
    return [seen for seen in services.tracker.requests if seen.operation == "tracker.update"]


async def asked(process: asyncio.subprocess.Process, services: fakes.Running, times: int) -> None:
    """Wait until the tracker has been asked so often for another status."""
    while len(updates(services)) < times:
        assert process.returncode is None
        await asyncio.sleep(0.01)


@slowly
async def test_a_run_in_the_middle_of_its_search(box: Box, services: fakes.Running) -> None:
    """The task is closed as cancelled, the other run stays, and nothing is left to resume of this one."""
    await killed_while_searching(box, services, "P123", "P124")
    cancelled = await box.run("cancel", "P123", "--json")
    assert cancelled.status == 0, cancelled.err
    (run,) = cancelled.json["runs"]
    (task,) = services.tracker.tasks_of(run["run_id"])
    assert (run["state"], run["error"], run["task_id"]) == ("cancelled", None, task.id)
    assert task.history == ("in_progress", "cancelled")
    assert task.notes == ("Cancelled; no document was stored.",)
    assert not (box.state / "spool" / run["run_id"]).exists()

    again = await box.run("cancel", run["run_id"])  # a second time changes nothing
    assert (again.status, again.out) == (0, "Patient P123: cancelled\n")
    services.skip(600.0)
    resumed = (await box.run("resume", "--json")).json["runs"]
    assert [(run["patient_id"], run["state"]) for run in resumed] == [("P124", "completed_with_errors")]
    assert len(updates(services)) == 2

    refused = await box.run("cancel", "P124")
    assert refused.status == 1
    assert "had ended already" in refused.out
    refused = await box.run("retry", run["run_id"])
    assert refused.status == 2
    assert "`docpipe run --patient P123` starts a new one" in refused.err


@slowly
async def test_an_outage_of_the_tracker(box: Box, services: fakes.Running) -> None:
    """The telling waits for the tracker; stopped meanwhile, `resume` finishes it; a new run may begin."""
    await killed_while_searching(box, services)
    services.add_fault("tracker.* 503")
    process = await box.start("cancel", "P123")
    while services.tracker.requests[-1].fault is None:
        assert process.returncode is None
        await asyncio.sleep(0.01)
    status = await box.run("status", "P123", "--json")
    assert status.json["runs"][0]["state"] == "cancelling"
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert "`docpipe resume` continues" in err.decode()

    services.clear_faults()
    resumed = (await box.run("resume", "--json")).json["runs"]
    assert [run["state"] for run in resumed] == ["cancelled"]
    assert services.tracker.tasks_of(resumed[0]["run_id"])[0].history == ("in_progress", "cancelled")
    assert (await box.run("resume")).out == "Nothing to do: no run is unfinished.\n"
    services.skip(3600.0)
    assert len(services.docex.searches) == 1


@slowly
@pytest.mark.parametrize("fault", ["hang", "lost"])
async def test_killed_in_the_middle(box: Box, services: fakes.Running, fault: str) -> None:
    """Killed hard while it tells the tracker, which took it or not: `resume` tells it once."""
    await killed_while_searching(box, services)
    services.add_fault(f"tracker.update {fault}")
    process = await box.start("cancel", "P123")
    await asked(process, services, 1)
    process.kill()
    await process.communicate()
    services.clear_faults()
    resumed = await box.run("resume", "--json")
    assert resumed.status == 0
    (run,) = resumed.json["runs"]
    (task,) = services.tracker.tasks_of(run["run_id"])
    assert (run["state"], run["task_id"]) == ("cancelled", task.id)
    assert task.history == ("in_progress", "cancelled")
    assert len(task.notes) == 1


async def test_a_run_that_has_no_task(box: Box, services: fakes.Running) -> None:
    """A run that never requested a task updates none, even while the tracker is down."""
    services.add_fault("tracker.* 503")
    (box.state).mkdir()
    async with open_database(box.state, time.time) as store:
        await store.create_runs({"P123": "01MCC5RM00V3RS3DTR98H6BCFN"}, 0)
    cancelled = await box.run("cancel", "P123")
    assert cancelled.status == 0, cancelled.err
    assert "none had to be cancelled" in cancelled.out
    assert services.tracker.requests == []


async def test_a_task_that_may_be_there(box: Box, services: fakes.Running) -> None:
    """Where the task may have been made, it is found or made, so that none is left in progress."""
    services.add_fault("tracker.create lost")
    process = await box.start("run", "--patient", "P123")
    while services.tracker.tasks == {}:
        await asyncio.sleep(0.01)
    process.kill()
    await process.communicate()
    services.clear_faults()
    cancelled = await box.run("cancel", "P123")
    assert cancelled.status == 0, cancelled.err
    (task,) = services.tracker.tasks.values()
    assert task.history == ("in_progress", "cancelled")


@slowly
async def test_what_cannot_be_cancelled(box: Box, services: fakes.Running) -> None:
    """Unknown words are refused; while another docpipe is running the command says so, with the cure."""
    unknown = await box.run("cancel", "nobody")
    assert unknown.status == 2
    assert "no run nobody" in unknown.err
    process = await box.start("run", "--patient", "P123")
    await until(process, services, "docex.status")
    for words in (("cancel", "P123"), ("retry", "P123")):
        busy = await box.run(*words)
        assert busy.status == 2
        assert f"Process {process.pid} is using the state folder" in busy.err
        assert len(busy.err.splitlines()) == 1
    process.kill()
    await process.communicate()


async def test_stored_documents_stay(box: Box, services: fakes.Running) -> None:
    """What was stored before stays, and both the command and the tracker say so."""
    services.add_fault("tracker.update 503")  # all is stored, and the run waits to say so
    process = await box.start("run", "--patient", "P123")
    await asked(process, services, 1)
    process.kill()
    await process.communicate()
    services.clear_faults()
    cancelled = await box.run("cancel", "P123")
    assert cancelled.status == 0, cancelled.err
    assert "stored before, in" in cancelled.out
    (task,) = services.tracker.tasks.values()
    assert task.history == ("in_progress", "cancelled")
    stored = len(list(box.patient("P123").glob("*/metadata.json")))
    assert task.notes == (f"Cancelled; {stored} documents stored before stay in the storage.",)
