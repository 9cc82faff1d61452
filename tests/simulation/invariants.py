"""What holds after every crash, outage and lost answer, once the last life has come to its end."""

import contextlib
import csv
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakes
from docpipe.checkpoints import StoredRun, read_runs
from docpipe.model import Activity, RunState
from docpipe.runtime.activity_log import COLUMNS
from docpipe.storage import folder_name
from fakes.tracker import ALLOWED

_KEPT = ("converted", "stored", "failed")
Done = tuple[int, set[tuple[str, str]]]
"""What was done when a life died: how long the log was, in bytes, and which activities had a checkpoint."""


@dataclass(frozen=True)
class After:
    """The world after the last life."""

    state: Path
    storage: Path
    running: fakes.Running
    patients: Sequence[str]
    files: Mapping[str, str | None]
    """Path to SHA-256 of what the manifest must list, each once; empty for whatever there is."""
    done: Sequence[Done] = ()
    ends: RunState = RunState.COMPLETED
    windows: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Quota to how many requests there may be in how many seconds."""


def steps_of(state: Path) -> list[tuple[str, str, str, str | None]]:
    """(run id, activity, item, result) of every activity that was begun."""
    if not (state / "checkpoints.db").exists():
        return []
    with contextlib.closing(sqlite3.connect(state / "checkpoints.db")) as db:
        try:
            return db.execute("SELECT run_id, activity, item, result FROM steps").fetchall()
        except sqlite3.OperationalError:  # it died before there were tables
            return []


def done(state: Path) -> Done:
    """What is done now, of what is done once."""
    log = state / "activity_log.csv"
    size = log.stat().st_size if log.exists() else 0
    return size, {(run, activity) for run, activity, item, result in steps_of(state) if result and not item}


def judge(after: After) -> None:
    """Hold the world against every invariant."""
    runs = read_runs(after.state)
    assert sorted(run.patient_id for run in runs) == sorted(after.patients), "one run a patient"
    _quotas(after)
    _bodies(after.running)
    _searches(after.running)
    tracker = after.running.tracker
    assert sorted(task.external_ref for task in tracker.tasks.values()) == sorted(run.run_id for run in runs)
    for run in runs:
        assert run.state is after.ends, run
        _task(after.running, run)
        _documents(after, run)
    _log(after)
    assert list((after.state / "spool").iterdir()) == [], "an empty spool"
    with contextlib.closing(sqlite3.connect(after.state / "checkpoints.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM steps WHERE result IS NULL").fetchone() == (0,)


def _quotas(after: After) -> None:
    running = after.running
    servers = (running.docex, running.fhir, running.tracker, running.archive)
    over = [seen for server in servers for seen in server.requests if seen.status == 429 and not seen.fault]
    assert not over, "no request over a quota"
    for quota, (n, per) in after.windows.items():
        server = {"tracker": running.tracker, "fhir": running.fhir}.get(quota.split(".")[0], running.docex)
        assert server.worst_window(quota, per) <= n, quota


def _bodies(running: fakes.Running) -> None:
    """A key is a promise: each request that bears it says the same, and no answer refuses one."""
    output: dict[tuple[str, str], set[str]] = {}
    for server in (running.docex, running.tracker):
        for seen in server.requests:
            assert seen.status not in (400, 413, 422), seen
            assert (seen.method == "POST") == (seen.key is not None), seen
            if seen.key is not None:
                output.setdefault((seen.path, seen.key), set()).add(seen.body)
    assert {len(bodies) for bodies in output.values()} <= {1}


def _searches(running: fakes.Running) -> None:
    """No search begins for a patient while an earlier one is alive."""
    docex = running.docex
    for search in docex.searches.values():
        *_, last = docex.searches_of(search.person.id)
        ended = search.gone is not None or search.end == "expired" or search is last
        assert ended, "a second search beside one that is alive"


def _task(running: fakes.Running, run: StoredRun) -> None:
    (task,) = running.tracker.tasks_of(run.run_id)
    assert (task.id, task.status) == (run.task_id, run.state)
    assert task.history == ("in_progress", run.state), "each status once, and never back"
    assert all(b in ALLOWED[a] for a, b in zip(task.history, task.history[1:], strict=False))
    assert len(task.notes) == 1, "the note of the status once"
    assert len(running.tracker.reports[task.id]) == 1, "one report a task"


def _documents(after: After, run: StoredRun) -> None:
    folder = after.storage / folder_name(run.patient_id)
    manifest = json.loads((folder / "runs" / run.run_id / "manifest.json").read_bytes())
    files = manifest["files"]
    assert Counter(file["outcome"] for file in files) == run.counts == manifest["counts"]
    if after.files:
        events = [(file["path"], file["sha256"]) for file in files if not file["derived_from"]]
        assert len(events) == len(after.files)
        assert dict(events) == after.files, "every file of the archive once"
    paths = [file["path"] for file in files]
    assert len(set(paths)) == len(paths)
    kept = [file for file in files if file["outcome"] in _KEPT]
    assert len({file["key"] for file in kept}) == len(kept), "every document once"
    for file in files:
        assert (file["outcome"] == "duplicate") == (file["duplicate_of"] is not None)
    for file in kept:
        _stored(after.storage / file["key"], file)
    there = {path.name for path in folder.iterdir()}
    assert there == {Path(file["key"]).name for file in kept} | {"runs"}
    names = {path.name for path in (folder / "runs" / run.run_id).iterdir()}
    assert names == {"manifest.json", "report.html", "report.json"}


def _stored(folder: Path, file: dict[str, Any]) -> None:
    original = (folder / file["original"]).read_bytes()
    assert hashlib.sha256(original).hexdigest() == file["sha256"], "the right bytes"
    assert folder.name == file["sha256"][:16]
    metadata = json.loads((folder / "metadata.json").read_bytes())
    assert metadata["outcome"] == file["outcome"]
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "metadata.json"}
    assert sizes == metadata["files"]
    assert set(sizes) == {file["original"], *file["outputs"]}
    if "text.md" in file["outputs"]:
        assert (folder / "text.md").stat().st_size


def _log(after: After) -> None:
    path = after.state / "activity_log.csv"
    for size, _ in after.done:
        assert path.stat().st_size >= size - 1000, "the log only grows (but for a torn line)"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert rows.count(rows[0]) == 1, "one header"
    events = [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]
    assert {row["event"] for row in events} <= {"start", "finish"}

    def key(row: dict[str, str]) -> tuple[str, str, str]:
        return row["run_id"], row["activity"], row["args"]

    starts = Counter(key(row) for row in events if row["event"] == "start")
    finishes = Counter(key(row) for row in events if row["event"] == "finish")
    assert finishes <= starts, "no finish without its start"
    finished = Counter((row["run_id"], row["activity"]) for row in events if row["outcome"] == "ok")
    results = Counter((run, activity) for run, activity, _, result in steps_of(after.state) if result)
    assert results <= finished, "a finish for every checkpoint"
    _nothing_again(after)


def _nothing_again(after: After) -> None:
    """What had a checkpoint when a life died is not begun by any later life."""
    whole = (after.state / "activity_log.csv").read_bytes()
    for size, activities in after.done:
        later = whole[size:].decode().splitlines()
        begun = {
            (row[1], row[3]) for row in csv.reader(later) if len(row) == len(COLUMNS) and row[4] == "start"
        }
        assert not begun & activities - {(run, Activity.DOWNLOAD) for run, _ in activities}, "done again"
