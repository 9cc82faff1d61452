"""The command line on a fleet: the same words, the same answers, the same exit status as on one machine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Box
from tests.fleet_support import Machines, machines, working_processes

TIMES = ("started_at", "finished_at")
SHAPE = {"run_id", "patient_id", "state", "documents", "task_id", "error", "created_at", *TIMES}


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Machines]:
    async with machines(tmp_path) as made:
        yield made


async def test_a_fleet_answers_as_one_machine_does(fleet: Machines) -> None:
    """Run, submit, status, watch, logs, report, retry, cancel: every command in turn."""
    box = fleet.machine("desk")
    async with working_processes(fleet, "one", "two") as workers:
        ended = await box.run("run", "--json", "--patient", "P100", "--patient", "P101")
        assert ended.status == 0, ended.err
        runs = ended.json["runs"]
        assert [set(run) for run in runs] == [SHAPE, SHAPE]
        assert [run["state"] for run in runs] == ["completed", "completed"]
        assert all(run["documents"]["converted"] == 4 and run["task_id"] for run in runs)

        human = await box.run("run", "--patient", "P102")
        assert human.status == 0, human.err
        assert "Patient P102: completed" in human.out
        assert "took" in human.out

        submitted = await box.run("submit", "--patient", "P103")
        assert submitted.status == 0, submitted.err
        assert "P103" in submitted.out
        watched = await box.run("watch", "--json", "P103")
        assert watched.json["runs"][0]["state"] == "completed", watched.err

        status = (await box.run("status", "--json")).json
        assert status["at_work"] is True
        assert [run["patient_id"] for run in status["runs"]] == ["P100", "P101", "P102", "P103"]
        assert {run["state"] for run in status["runs"]} == {"completed"}
        timeline = (await box.run("status", "P100", "--activities", "--json")).json["runs"][0]["activities"]
        assert len(timeline) == 16
        assert set(timeline[0]) == {*("activity", "item", "path", "attempts", "result"), *TIMES}

        logs = (await box.run("logs", "P100", "--json")).json
        assert logs["run_id"] == runs[0]["run_id"]
        assert len(logs["lines"]) == 32
        report = await box.run("report", "P100")
        assert report.status == 0, report.err

        again = await box.run("retry", "--json", "P100", "--from", "ConvertFile")
        assert again.status == 0, again.err
        assert again.json["runs"][0]["run_id"] == runs[0]["run_id"]
        assert again.json["runs"][0]["state"] == "completed"
        nothing = await box.run("retry", "P101")
        assert nothing.status == 2
        assert "Nothing failed in run" in nothing.err
        over = await box.run("cancel", "P101")
        assert over.status == 1
        assert "the run had ended already" in over.out
        unknown = await box.run("status", "P999")
        assert unknown.status == 2
        stopped = await workers[0].ended()
        assert stopped.status == 143, stopped.err
        assert not stopped.out.strip()
    assert len(fleet.tasks()) == 4


async def test_commands_without_a_worker_say_so(fleet: Machines) -> None:
    """What is submitted waits; what cannot be known is not."""
    box = fleet.machine("desk")
    assert (await box.run("submit", "--patient", "P100")).status == 0
    status = await box.run("status")
    assert "no worker of the fleet is running" in status.err
    assert "queued" in status.out
    serve = await box.start("serve", "--port", "0")
    assert serve.stdout is not None
    assert b"docpipe serves at http://127.0.0.1:" in await serve.stdout.readline()
    serve.terminate()
    _, err = await serve.communicate()
    assert (serve.returncode, err.decode()) == (143, "")
    until = await box.run("run", "--patient", "P100", "--until", "DocEx_Search")
    assert until.status == 2
    box.env["DOCPIPE_STORAGE__URL"] = "unshared"
    unshared = await box.run("submit", "--patient", "P101")
    assert unshared.status == 2
    assert "unshared/.fleet is not what the other machines of this fleet have as storage" in unshared.err
    fleet.temporal.kill()
    away = await box.run("status")
    assert away.status == 2
    assert f"Temporal at {fleet.temporal.address} does not answer" in away.err
    fleet.temporal.start()


async def test_a_worker_needs_a_fleet(box: Box) -> None:
    """Without the address of a Temporal server it says what to do."""
    ended = await box.run("worker")
    assert ended.status == 2
    assert "fleet.temporal is missing" in ended.err
    wrong = await box.run("worker", "--queues", "convert,ocr")
    assert wrong.status == 2
    assert "there is no queue 'ocr'; they are begin, docex, tracker, convert" in wrong.err
