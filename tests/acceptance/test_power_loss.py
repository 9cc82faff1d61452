"""Loss of power: whatever a checkpoint points to is on the disk before it, by the order of system calls."""

import asyncio
import contextlib
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import fakes
from docpipe.checkpoints.schema import STEPS, StoredStep, step_of
from docpipe.model import Activity
from tests import strace
from tests.acceptance.conftest import ROOT, Box

_FIRST_KEY: Final = {
    Activity.DOWNLOAD: "state",
    Activity.CONVERT: "outcome",
    Activity.STORE: "key",
    Activity.REPORT: "digest",
}
"""How the JSON of each result begins, to find it in the pages of the write-ahead log."""
_POSTS: Final = {
    Activity.CREATE_TASK: r"POST /v1/tasks ",
    Activity.SEARCH: r"POST /v1/searches ",
    Activity.APPEND_REPORT: r"POST /v1/tasks/[^/ ]+/reports ",
}


async def traced(box: Box) -> tuple[dict[str, Any], list[strace.Call]]:
    """A run under strace: what it says of itself, and its calls."""
    trace = box.folder / "trace"
    words = ("-f", "-y", "-qq", "-s", "8192", "-e", f"trace={strace.CALLS}", "-o", str(trace))
    process = await asyncio.create_subprocess_exec(
        *(strace.program(), *words, sys.executable, "-m", "docpipe", "run", "--patient", "P123", "--json"),
        cwd=box.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **box.env},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    told = (await process.communicate())[1]
    assert process.returncode == 0, told.decode()
    with contextlib.closing(sqlite3.connect(box.state / "checkpoints.db")) as db:
        (run_id,) = db.execute("SELECT run_id FROM runs").fetchone()
        steps = [step_of(row) for row in db.execute(STEPS, (run_id,))]
    return {"run_id": run_id, "steps": steps}, list(strace.calls(trace))


def pointed_to(box: Box, storage: Path, run_id: str, step: StoredStep) -> Iterator[Path]:
    """The files that a checkpoint relies on."""
    spool = box.state / "spool" / run_id
    done = step.result
    match step.activity:
        case Activity.DOWNLOAD:
            yield from (spool / member["file"] for member in done["members"] if member["file"])
        case Activity.CONVERT:
            yield from (spool / "out" / step.item / name for name in done["outputs"])
            yield from (spool / part["file"] for part in done["embedded"])
        case Activity.STORE:
            yield storage / done["key"] / "metadata.json"
        case Activity.REPORT:
            folder = storage / "P123" / "runs" / run_id
            yield from (folder / name for name in ("report.html", "report.json", "manifest.json"))


def in_log(run_id: str, step: StoredStep, key: str) -> re.Pattern[str]:
    """A row of `steps` in a page of the write-ahead log, as strace prints it."""
    gap = f"(?:(?!{run_id}).){{0,200}}?"
    return re.compile(rf'{step.activity}{re.escape(step.item)}A{gap}\{{\\"{key}\\"')


@pytest.fixture(params=["same disk", "another disk"])
def storage(box: Box, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A storage where the spool is, so that files get a second name, or elsewhere, where they are copied."""
    elsewhere = "/dev/shm" if request.param == "another disk" else box.folder  # noqa: S108 -- another file system
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        box.env["DOCPIPE_STORAGE__URL"] = folder
        yield Path(folder)


async def test_whatever_a_checkpoint_points_to_is_on_the_disk(
    box: Box, services: fakes.Running, storage: Path
) -> None:
    """Write, fsync, rename, fsync of the folder: all of it before the checkpoint, for every kind of file."""
    run, calls = await traced(box)
    waiting = [
        (in_log(run["run_id"], step, key), step)
        for step in run["steps"]
        if (key := _FIRST_KEY.get(step.activity)) and not step.result.get("reused")
    ]
    assert {step.activity for _, step in waiting} == set(_FIRST_KEY)
    disk, files = strace.Disk(), 0
    for call in calls:
        if call.name == "pwrite64" and "checkpoints.db-wal>" in call.arguments:
            for found in [one for one in waiting if one[0].search(call.arguments)]:
                waiting.remove(found)
                step = found[1]
                for path in pointed_to(box, storage, run["run_id"], step):
                    assert disk.lost(path) is None, f"{step.activity} {step.item}"
                    files += 1
        elif call.name.startswith("rename") and call.paths[-1].endswith("/metadata.json"):
            folder = Path(call.paths[-1]).parent  # from here on, what lies there is a document
            others = [path for path in folder.iterdir() if path.name != "metadata.json"]
            assert others
            assert [disk.lost(path) for path in others] == [None] * len(others)
        disk.see(call)
    assert not waiting
    assert files > 50


async def test_the_intent_is_on_the_disk_before_a_request_that_has_an_effect(
    box: Box, services: fakes.Running
) -> None:
    """No POST leaves before the log with its intent has been synced."""
    run, calls = await traced(box)
    written: dict[str, int | None] = {}
    sent = set()
    steps = {step.activity: in_log(run["run_id"], step, "sent") for step in run["steps"]}
    for call in calls:
        if "checkpoints.db-wal>" in call.arguments:
            if call.name == "pwrite64":
                new = [name for name in _POSTS if name not in written and steps[name].search(call.arguments)]
                written |= dict.fromkeys(new)
            elif call.name in {"fsync", "fdatasync"}:
                written |= {name: call.ended for name, synced in written.items() if synced is None}
        elif call.name == "sendto":
            for activity, line in _POSTS.items():
                if re.search(f'"{line}', call.arguments):
                    assert written.get(activity) is not None, activity
                    assert written[activity] < call.began
                    sent.add(activity)
    assert sent == set(_POSTS)
