"""Fifty patients at once, undisturbed and killed ten times, against fakes that judge."""

import asyncio
import csv
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

import fakes
from tests.acceptance.conftest import Box

PATIENTS = [f"P{number}" for number in range(100, 150)]
WORDS = [word for patient in PATIENTS for word in ("--patient", patient)]
SCALED = {"tracker_rate": None, "mix": "tiny"}


def judge(
    box: Box, services: fakes.Running, runs: list[dict[str, Any]], patients: Sequence[str] = PATIENTS
) -> None:
    """Whatever happened on the way: one task and one report each, one search, every document right."""
    assert services.count_429() == 0
    assert services.docex.worst_window("docex.search", 60.0) <= 600
    assert services.docex.worst_window("docex.status", 1.0) <= 10
    assert sorted(run["patient_id"] for run in runs) == sorted(patients)
    for run in runs:
        (task,) = services.tracker.tasks_of(run["run_id"])
        assert (task.id, task.status) == (run["task_id"], run["state"])
        assert task.history == ("in_progress", run["state"])
        assert len(services.tracker.reports[task.id]) == 1
        assert len(services.docex.searches_of(run["patient_id"])) == 1
        files = box.manifest(run)["files"]
        assert Counter(file["outcome"] for file in files) == Counter(run["documents"])
        for file in files:
            if file["outcome"] in ("converted", "stored", "failed"):
                folder = box.storage / file["key"]
                original = (folder / file["original"]).read_bytes()
                assert hashlib.sha256(original).hexdigest() == file["sha256"]
                assert json.loads((folder / "metadata.json").read_bytes())["outcome"] == file["outcome"]
    with (box.state / "activity_log.csv").open(newline="", encoding="utf-8") as log:
        finished = Counter((r["run_id"], r["activity"]) for r in csv.DictReader(log) if r["outcome"] == "ok")
    once = ("GetPatientFromDB", "TaskTracker_UpdateStatus", "TaskTracker_AppendReport")
    assert all(finished[run["run_id"], activity] >= 1 for run in runs for activity in once)


@pytest.mark.parametrize("services", [{"tracker_rate": None}], indirect=True)
async def test_undisturbed(box: Box, services: fakes.Running) -> None:
    """Fifty patients with the full mix of documents complete, and no request is over a quota."""
    box.env["DOCPIPE_TASKTRACKER__RATE"] = "none"
    ended = await box.run("run", "--json", *WORDS)
    assert ended.status == 0, ended.err
    judge(box, services, ended.json["runs"])
    assert {run["state"] for run in ended.json["runs"]} == {"completed_with_errors"}


@pytest.mark.parametrize("services", [SCALED | {"search_seconds": (1.0, 8.0)}], indirect=True)
async def test_killed_ten_times(box: Box, services: fakes.Running) -> None:
    """SIGKILL at ten random moments and a resume after each leave the same as an undisturbed run."""
    box.env["DOCPIPE_TASKTRACKER__RATE"] = "none"
    rng = random.Random(10)
    words = ["run", *WORDS]
    killed = 0
    for _ in range(10):
        process = await box.start(*words)
        words = ["resume"]
        answered = len(services.docex.requests) + len(services.tracker.requests)
        moment = answered + rng.randrange(
            1, 40
        )  # counted in requests, so that a slow machine changes nothing
        while process.returncode is None:
            if len(services.docex.requests) + len(services.tracker.requests) >= moment:
                await asyncio.sleep(rng.uniform(0, 0.3))
                process.kill()
                killed += 1
                break
            await asyncio.sleep(0.01)
        await process.communicate()
    assert killed == 10
    assert (await box.run("resume", "--json")).status == 0
    runs = (await box.run("status", "--json")).json["runs"]
    judge(box, services, runs)
    assert {run["state"] for run in runs} == {"completed"}
