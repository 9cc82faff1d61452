"""What `status` and `logs` say of runs while no process works on the state folder."""

import asyncio
import json
from pathlib import Path

import pytest

from docpipe.checkpoints import open_database, read_with_progress
from docpipe.cli import main
from docpipe.model import Activity, RunState
from docpipe.runtime.state_folder import StateFolder

NOW = 1_800_000_000.0
RUN = "01MCC5RM00V3RS3DTR98H6BCFQ"
MEMBERS = [
    {"path": "a.pdf", "outcome": None},
    {"path": "b.pdf", "outcome": "failed", "file": "2"},  # known to be broken, and converted all the same
    {"path": "c.pdf", "outcome": "duplicate"},
    {"path": "d.pdf", "outcome": None},
]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a run that was killed while it converted."""
    (tmp_path / "config.toml").write_text(
        'docex.base_url = "fake"\ntasktracker.base_url = "fake"\n'
        'storage.url = "storage"\nstate.dir = "state"\n'
    )
    monkeypatch.chdir(tmp_path)
    with StateFolder(tmp_path / "state"):
        asyncio.run(killed(tmp_path / "state"))
    return tmp_path / "state"


async def killed(folder: Path, ends: RunState | None = None) -> None:
    async with open_database(folder, lambda: NOW) as store:
        if ends is not None:
            await store.finish_run(RUN, ends, {}, None, None)
            return
        await store.create_runs({"P1": RUN}, 0)
        store.start_run(RUN)
        await store.finish_step(RUN, Activity.CREATE_TASK, "", {"task_id": "t-1"})
        await store.finish_step(RUN, Activity.DOWNLOAD, "", {"state": "ready", "members": MEMBERS})
        await store.finish_step(
            RUN, Activity.CONVERT, "00001", {"outcome": "converted", "reason": None, "embedded": []}
        )
        await store.finish_step(
            RUN, Activity.CONVERT, "00002", {"outcome": "converted", "reason": None, "embedded": []}
        )
        await store.finish_step(RUN, Activity.CONVERT, "00003.1", {"error!": "broken", "kind": "RunError"})
        store.begin_step(RUN, Activity.CONVERT, "00004")
        store.note_doing(RUN, {"activity": "ConvertFile", "since": NOW, "wait": None})


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_a_killed_run_is_stopped(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While the lock is free nothing is at work, whatever the database says; with its owner it is."""
    (run,) = json.loads(printed(capsys, "status", "--json"))["runs"]
    assert run["state"] == "stopped"
    assert "stopped; `docpipe resume` continues it from ConvertFile on" in printed(capsys, "status")
    assert "patient P1: stopped" in printed(capsys, "logs", "P1")
    lines = printed(capsys, "status", "P1", "--activities").splitlines()
    (line,) = (line for line in lines if "d.pdf" in line)
    assert line.split()[3:] == ["ConvertFile", "d.pdf", "1", "stopped"]  # nobody knows how long it took
    with StateFolder(state):
        (run,) = json.loads(printed(capsys, "status", "--json"))["runs"]
        assert run["state"] == "running"
        assert "running  ConvertFile since" in printed(capsys, "status")
        assert "patient P1: running" in printed(capsys, "logs", "P1")
        lines = printed(capsys, "status", "P1", "--activities").splitlines()
        assert [line.split()[-2:] for line in lines if "d.pdf" in line] == [["under", "way"]]


@pytest.mark.parametrize("at_work", [False, True])
def test_an_unfinished_run_tells_its_task_and_its_documents(
    state: Path, capsys: pytest.CaptureFixture[str], at_work: bool
) -> None:
    """Programs get what is known so far: a file counts once, by its conversion where there is one."""
    if at_work:
        with StateFolder(state):
            text = printed(capsys, "status", "--json")
    else:
        text = printed(capsys, "status", "--json")
    (run,) = json.loads(text)["runs"]
    assert run["task_id"] == "t-1"
    assert {name: count for name, count in run["documents"].items() if count} == {
        "converted": 2,
        "duplicate": 1,
    }


def test_activities_for_programs(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--activities` is heeded with `--json`, and refused where it cannot be had: through a service."""
    (run,) = json.loads(printed(capsys, "status", "P1", "--activities", "--json"))["runs"]
    steps = {(step["activity"], step["item"]): step for step in run["activities"]}
    assert steps["TaskTracker_Create", ""]["result"] == "task t-1"
    assert steps["TaskTracker_Create", ""]["finished_at"] == "2027-01-15T08:00:00.000Z"
    assert [steps["ConvertFile", item]["path"] for item in ("00001", "00004")] == ["a.pdf", "d.pdf"]
    assert "ConvertFile" in (line := printed(capsys, "status", "P1", "--activities").splitlines()[-1])
    assert "d.pdf" in line
    assert (steps["ConvertFile", "00004"]["finished_at"], steps["ConvertFile", "00004"]["result"]) == (
        None,
    ) * 2
    assert main(["status", "--activities", "--json"]) == 2
    assert main(["status", "P1", "--activities", "--service"]) == 2
    assert "does not go with `--service`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ids", "which"),
    [(["P1", ""], "1 patient id is empty or holds"), (["", "a\tb"], "2 patient ids are empty or hold")],
)
def test_ids_that_none_can_have(
    state: Path, capsys: pytest.CaptureFixture[str], ids: list[str], which: str
) -> None:
    """They are counted, and refused before anything begins."""
    assert main(["run", *(word for patient_id in ids for word in ("--patient", patient_id))]) == 2
    assert f"{which} control characters" in capsys.readouterr().err


def test_a_cancelled_run_has_nothing_under_way(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What had not ended when the run was cancelled is not finished; how long it took is not known."""
    with StateFolder(state):
        asyncio.run(killed(state, RunState.CANCELLED))
        lines = printed(capsys, "status", "P1", "--activities").splitlines()
        assert [line.split()[3:] for line in lines if "d.pdf" in line] == [
            ["ConvertFile", "d.pdf", "1", "not", "finished"]
        ]
        (run,) = json.loads(printed(capsys, "status", "--json"))["runs"]
    assert (run["state"], run["doing"], run["task_id"]) == ("cancelled", None, None)
    assert read_with_progress(state, []) == []


@pytest.mark.parametrize(
    "words", [("report", "P1"), ("report", RUN), ("chart", "P1", "-o", "a.pdf"), ("retry", "P1")]
)
def test_what_needs_its_end_says_how_it_continues(
    state: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """A report or a chart that is not there yet, and a retry, name the command that continues the run."""
    assert main(words) == 2
    complaint = capsys.readouterr().err
    assert "stopped; `docpipe resume` continues it" in complaint
    assert "running" not in complaint
    if words[0] != "retry":  # which cannot be tried while another process holds the folder
        with StateFolder(state):
            assert main(words) == 2
        assert "`docpipe status" in capsys.readouterr().err
