"""Resume of many unfinished runs: time to the first request, memory, and nothing done again."""

import asyncio
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

import fakes
from docpipe.checkpoints import Checkpoints, open_database
from docpipe.model import Activity, Patient, RunIds
from docpipe.patients import PatientDatabase
from tests.benchmarks.figures import DISK, ROOT, Figure, command

RUNS = 10_000
TEXT = b"Discharge summary. The patient went home."
AGAIN = (
    *(Activity.GET_PATIENT, Activity.CREATE_TASK, Activity.SEARCH, Activity.CHECK_STATUS, Activity.DOWNLOAD),
    *(Activity.CONVERT, Activity.STORE, Activity.UPDATE_STATUS),
)
"""What every run has a checkpoint of; the report and its sending are left."""


def results(run: str, patient: str, task: str) -> dict[Activity, Any]:
    """What eight activities of a run with one small document left behind."""
    sha256 = "8f0e57f5cd6d4d0b5b5e9ee4dfb4ecb2a4e4d5b27e9f3b1a6dba9bb0fb3f6c11"
    member = {"path": "note.txt", "file": "files/00001.bin", "size": len(TEXT), "sha256": sha256}
    member |= {"id": sha256[:16], "outcome": None, "reason": None, "duplicate_of": None, "parent": None}
    member |= {"told": {"media_type": "text/plain", "title": "Discharge summary"}}
    metadata = {"media_type": "text/plain", "title": "Discharge summary", "pages": 1, "words": 7}
    done = {"outcome": "converted", "reason": None, "media_type": "text/plain", "extension": ".txt"}
    done |= {"outputs": ["text.md"], "metadata": metadata, "embedded": [], "warnings": [], "reused": False}
    row = {"id": patient, "given": "Ann", "family": "Lee", "birth_date": "1957-03-31"}
    archive = {"url": f"/v1/archives/{run}", "size": 1000, "sha256": sha256}
    return {
        Activity.GET_PATIENT: {**row, "sex": "unknown", "postal_code": ""},
        Activity.CREATE_TASK: {"task_id": task},
        Activity.SEARCH: {"search_id": run, "location": f"/v1/searches/{run}"},
        Activity.CHECK_STATUS: {"state": "ready", "archive": archive, "documents": []},
        Activity.DOWNLOAD: {"state": "ready", "size": 1000, "sha256": sha256, "members": [member]},
        Activity.CONVERT: done,
        Activity.STORE: {"key": f"{patient}/{member['id']}"},
        Activity.UPDATE_STATUS: {"status": "completed", "problem": None},
    }


async def unfinished(folder: Path, tasks: dict[str, str]) -> None:
    """A state folder as a crash would leave it behind."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    async with open_database(state, time.time) as store:
        await asyncio.gather(*(_put(store, state, run, task) for run, task in tasks.items()))
    database = PatientDatabase(f"sqlite:///{folder}/patients.db")
    await database.put([Patient(f"P{run}", "Ann", "Lee", "1957-03-31") for run in tasks])
    await database.aclose()


async def _put(store: Checkpoints, state: Path, run: str, task: str) -> None:
    patient = f"P{run}"
    await store.create_runs({patient: run}, 0)
    store.start_run(run)
    for activity, result in results(run, patient, task).items():
        item = "00001" if activity in (Activity.CONVERT, Activity.STORE) else ""
        store.begin_step(run, activity, item)
        await store.finish_step(run, activity, item, result)
    for path in (state / "spool" / run / "files" / "00001.bin", state / "spool" / run / "out/00001/text.md"):
        path.parent.mkdir(parents=True)
        path.write_bytes(TEXT)


async def _tasks(url: str, runs: list[str]) -> dict[str, str]:
    """The task of each run, as the crashed docpipe created it."""
    async with aiohttp.ClientSession() as session:

        async def create(run: str) -> tuple[str, str]:
            task = {"title": "Documents", "external_ref": run, "status": "in_progress"}
            headers = {"Idempotency-Key": run}
            async with session.post(f"{url}/v1/tasks", json=task, headers=headers) as answer:
                return run, (await answer.json())["id"]

        return dict(await asyncio.gather(*map(create, runs)))


async def _resumed(folder: Path, running: fakes.Running) -> dict[str, float]:
    env = {
        "DOCPIPE_DOCEX__BASE_URL": running.docex_url,
        "DOCPIPE_TASKTRACKER__BASE_URL": running.tracker_url,
        "DOCPIPE_TASKTRACKER__RATE": "none",
        "DOCPIPE_PATIENTS__URL": f"sqlite:///{folder}/patients.db",
        "DOCPIPE_STATE__DIR": f"{folder}/state",
        "DOCPIPE_STORAGE__URL": f"{folder}/storage",
    }
    seen = len(running.tracker.requests)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "docpipe", "resume", "--json"),
        cwd=ROOT,
        env=os.environ | env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(running.tracker.requests) == seen:
        await asyncio.sleep(0.001)
    first = time.perf_counter() - began
    peak = 0
    while process.returncode is None:
        peak = max(peak, _peak(process.pid))
        await asyncio.sleep(0.05)
    return {"first_request_s": first, "all_s": time.perf_counter() - began, "peak_mib": peak / 1024}


def _peak(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def resume() -> list[Figure]:
    """The yardstick is the import of aiohttp alone."""

    async def measured(folder: Path) -> dict[str, float]:
        none = {"search_rate": None, "status_rate": None, "tracker_rate": None}
        async with fakes.serve(fakes.FakeOptions(**none)) as running:
            ids = RunIds(time.time)
            tasks = await _tasks(running.tracker_url, [ids.new() for _ in range(RUNS)])
            await unfinished(folder, tasks)
            return await _resumed(folder, running)

    yardstick = command("-c", "import aiohttp")
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        figures = asyncio.run(measured(Path(name)))
        with (Path(name) / "state" / "activity_log.csv").open(encoding="utf-8", newline="") as file:
            done = Counter(row["activity"] for row in csv.DictReader(file) if row["event"] == "start")
    again = sum(done[activity] for activity in AGAIN)
    return [
        Figure("first request", figures["first_request_s"], "s", "import aiohttp", yardstick, goal="<= 1"),
        Figure("all done", figures["all_s"], "s"),
        Figure("memory", figures["peak_mib"], "MiB"),
        Figure("done again", again, "activities", goal="<= 0"),
        Figure("reports", done[Activity.APPEND_REPORT], goal=f">= {RUNS}"),
    ]
