"""Stopping: clean at the first signal, at once at the second, and nobody is left behind."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

import fakes
from tests.acceptance.conftest import Box

SLOW = {"search_seconds": (600.0, 600.0)}


async def until(process: asyncio.subprocess.Process, services: fakes.Running, operation: str) -> None:
    """Wait until docpipe has made such a request."""
    while not any(seen.operation == operation for seen in services.docex.requests):
        assert process.returncode is None
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("services", [SLOW], indirect=True)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_cleanly(box: Box, services: fakes.Running, number: int, status: int) -> None:
    """The run is kept, the way to resume is reported, and the exit status names the signal."""
    process = await box.start("run", "--patient", "P123", "--json")
    await until(process, services, "docex.status")
    process.send_signal(number)
    out, err = await process.communicate()
    assert process.returncode == status
    (run,) = json.loads(out)["runs"]
    assert run["state"] == "stopped"
    assert "`docpipe resume` continues" in err.decode()
    (task,) = services.tracker.tasks_of(run["run_id"])
    assert run["task_id"] == task.id
    assert (await box.run("status", "--json")).json["runs"][0]["state"] == "stopped"
    assert "stopped; `docpipe resume` continues it from DocEx_CheckStatus on" in (await box.run("status")).out
    assert "Traceback" not in err.decode()

    services.skip(600.0)
    resumed = await box.run("resume", "--json")
    assert resumed.status == 0
    assert resumed.json["runs"][0]["run_id"] == run["run_id"]
    assert len(services.docex.searches_of("P123")) == 1
    assert len(services.tracker.tasks_of(run["run_id"])) == 1


async def test_a_stop_in_the_middle_of_an_outage(box: Box, services: fakes.Running) -> None:
    """Waiting for a service that is down does not hold up the stop."""
    services.add_fault("docex.* 503")
    process = await box.start("run", "--patient", "P123")
    while services.docex.requests[2:] == []:
        await asyncio.sleep(0.01)
    status = await box.run("status", "P123", "--json")
    assert status.json["runs"][0]["state"] == "running"
    process.terminate()
    _, err = await process.communicate()
    assert process.returncode == 143
    assert "docpipe resume" in err.decode()


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_status_tells_what_each_run_waits_for(box: Box, services: fakes.Running) -> None:
    """From another process: the next question, the place in line, since when and until when."""
    box.env["DOCPIPE_DOCEX__SEARCH_RATE"] = "1/hour"
    process = await box.start("run", *(word for n in range(4) for word in ("--patient", f"P10{n}")))
    await until(process, services, "docex.status")
    waits: dict[str, dict] = {}
    while len(waits) < 4 or not all(wait.get("until") for wait in waits.values()):
        runs = (await box.run("status", "--json")).json["runs"]
        doings = {run["patient_id"]: run["doing"] for run in runs if run["doing"]}
        waits = {patient: doing["wait"] for patient, doing in doings.items() if doing["wait"]}
    # The order is decided by the tracker's answers.
    assert sorted(wait["kind"] for wait in waits.values()) == ["poll", "quota", "quota", "quota"]
    assert sorted(wait["place"] for wait in waits.values() if wait["kind"] == "quota") == [1, 2, 3]
    untils = sorted(wait["until"] for wait in waits.values() if wait["kind"] == "quota")
    assert [round((until - untils[0]) / 3600) for until in untils] == [0, 1, 2]
    assert "waits for the quota of docex.search, place 2 in line, next in" in (await box.run("status")).out
    process.kill()
    await process.communicate()


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_one_process_at_a_time(box: Box, services: fakes.Running) -> None:
    """A second process on the folder is refused and names the holder; reading is allowed."""
    process = await box.start("run", "--patient", "P123")
    await until(process, services, "docex.status")
    second = await box.run("run", "--patient", "P124")
    assert second.status == 2
    assert f"in use by process {process.pid}" in second.err
    looked = await box.run("status")
    assert looked.status == 0
    assert "P123" in looked.out
    process.kill()
    await process.communicate()


async def test_a_second_signal_leaves_at_once_and_nobody_behind(box: Box, samples: Path) -> None:
    """Two signals in the middle of conversions end the process and its workers; resume works."""
    async with fakes.serve(fakes.FakeOptions(documents=samples, search_seconds=(0.0, 0.0))) as running:
        box.env |= {
            "DOCPIPE_DOCEX__BASE_URL": running.docex_url,
            "DOCPIPE_TASKTRACKER__BASE_URL": running.tracker_url,
        }
        process = await box.start("run", "--patient", "P123", "--json")
        while not (children := descendants(process.pid)):
            await asyncio.sleep(0.005)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert process.returncode in (130, -signal.SIGINT)
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            await asyncio.sleep(0.01)
        resumed = await box.run("resume", "--json")
        assert resumed.status == 0
        assert len(running.tracker.tasks_of(resumed.json["runs"][0]["run_id"])) == 1


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_rates_change_on_sighup(box: Box, services: fakes.Running) -> None:
    """A new rate takes effect without a restart; a bad configuration is refused and the old one stays."""
    del box.env["DOCPIPE_DOCEX__SEARCH_RATE"]
    config = box.folder / "config.toml"
    usual = config.read_text("utf-8")
    config.write_text(usual.replace("[docex]", '[docex]\nsearch_rate = "1/hour"', 1), "utf-8")
    process = await box.start("run", "--patient", "P123", "--patient", "P124")
    await until(process, services, "docex.status")
    assert process.stderr is not None

    async def reloaded(text: str) -> str:
        config.write_text(text, "utf-8")
        process.send_signal(signal.SIGHUP)
        while b"configuration" not in (line := await process.stderr.readline()):
            assert line
        return line.decode()

    refused = await reloaded(usual.replace("[docex]", '[docex]\nsearch_rate = "often"', 1))
    assert "refused, the old one stays" in refused
    assert "10/min" in refused
    assert len(services.docex.searches) == 1
    taken = await reloaded(usual.replace("[docex]", '[docex]\nsearch_rate = "none"', 1))
    assert "docex.search: 1/hour to none" in taken
    while len(services.docex.searches) < 2:
        await asyncio.sleep(0.01)
    assert "no rate has changed" in await reloaded(config.read_text("utf-8"))
    process.kill()
    await process.communicate()


def descendants(pid: int) -> set[int]:
    """Processes below another, by /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        direct = {int(text) for text in children.read_text("ascii").split()}
    except OSError:
        return set()
    return direct.union(*(descendants(child) for child in direct))
