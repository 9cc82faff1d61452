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
_GRANTS: Final = {
    Activity.SEARCH: (re.compile(r"docex\.searchA"),),
}
"""The row that says that a request of a quota with a long window is spent: its name, then the time, whose
first byte is an A. Short windows need none: the next process waits them out."""


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
    output = (await process.communicate())[1]
    assert process.returncode == 0, output.decode()
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
    disk, files, documents = strace.Disk(), 0, 0
    for call in calls:
        if call.name == "pwrite64" and "checkpoints.db-wal>" in call.arguments:
            for actual in [one for one in waiting if one[0].search(call.arguments)]:
                waiting.remove(actual)
                step = actual[1]
                for path in pointed_to(box, storage, run["run_id"], step):
                    assert disk.lost(path) is None, f"{step.activity} {step.item}"
                    files += 1
        elif call.name.startswith("rename") and call.paths[-1].endswith("/metadata.json"):
            folder = Path(call.paths[-1]).parent  # from here on, what lies there is a document
            others = [path for path in folder.iterdir() if path.name != "metadata.json"]
            assert others
            assert [disk.lost(path) for path in others] == [None] * len(others)
            documents += 1
        elif call.name.startswith("rename") and (folder := Path(call.paths[-1], "metadata.json")).exists():
            source = Path(next(path for path in call.paths if path != call.paths[-1]))
            inner = [source / path.name for path in folder.parent.iterdir()]  # all of a document at once
            assert [disk.lost(path) for path in inner] == [None] * len(inner)
            documents += 1
        disk.see(call)
    assert not waiting
    assert documents > 10
    assert files > 50


async def test_what_a_request_needs_is_on_the_disk_before_it(box: Box, services: fakes.Running) -> None:
    """No POST leaves before the log with its intent and its place under the quota has been synced."""
    run, calls = await traced(box)
    intents = {step.activity: in_log(run["run_id"], step, "sent") for step in run["steps"]}
    needed = {name: [intents[name], *_GRANTS.get(name, ())] for name in _POSTS}
    written: dict[re.Pattern[str], int | None] = {}
    """Patterns that the log has, with the end of the first fsync after them."""
    sent = set()
    for call in calls:
        if "checkpoints.db-wal>" in call.arguments:
            if call.name == "pwrite64":
                every = (row for rows in needed.values() for row in rows if row not in written)
                written |= {row: None for row in every if row.search(call.arguments)}
            elif call.name in {"fsync", "fdatasync"}:
                written |= {row: call.ended for row, synced in written.items() if synced is None}
        elif call.name == "sendto":
            for activity in _POSTS.keys() - sent:
                if re.search(f'"{_POSTS[activity]}', call.arguments):
                    for row in needed[activity]:
                        assert (synced := written.get(row)) is not None, (activity, row.pattern)
                        assert synced < call.began
                    sent.add(activity)
    assert sent == set(_POSTS)
