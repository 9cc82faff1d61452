"""`docpipe status` says whether anybody is at work, and what keeps docpipe from it."""

import json
import re
import sqlite3
import time

import pytest

from docpipe import cli
from docpipe.checkpoints import open_database
from docpipe.model import Activity, RunState
from docpipe.runtime.state_folder import StateFolder
from docpipe.util.times import iso

WAIT = {"kind": "poll", "what": "", "since": 0.0, "until": None, "place": None}


@pytest.fixture
async def state(tmp_path, monkeypatch):
    """A state folder with a run that waits for its search, since an hour ago."""
    monkeypatch.setenv("DOCPIPE_STATE__DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(
        '[docex]\nbase_url = "http://127.0.0.1:1"\n[tasktracker]\nbase_url = "http://127.0.0.1:1"\n'
    )
    began = time.time() - 3600
    with StateFolder(tmp_path / "state") as folder:
        async with open_database(folder.path, lambda: began) as store:
            await store.create_runs({"P1": "R1", "P2": "R2"}, 0)
            store.start_run("R1")
            store.begin_step("R1", Activity.CHECK_STATUS, "")
            store.note_doing("R1", {"activity": Activity.CHECK_STATUS, "since": began, "wait": WAIT})
            await store.ledger.begin_life()
    return folder.path


def printed(capsys, *words):
    assert cli.main(["status", *words]) == 0
    return capsys.readouterr()


async def test_nobody_is_at_work(state, capsys):
    """After a kill: no run waits for anything but a person, and no time is counted on."""
    out = printed(capsys).out
    assert out.count("stopped; `docpipe resume` continues it") == 2
    assert "waits for the search" not in out
    steps = printed(capsys, "R1", "--activities").out
    assert "stopped" in steps
    assert "1 h" not in steps
    assert json.loads(printed(capsys, "--json").out)["at_work"] is False


async def test_somebody_is_at_work(state, capsys):
    """A process that holds the folder and notes that it lives: runs wait for what they wait for."""
    with StateFolder(state):
        async with open_database(state, time.time) as store:
            await store.ledger.begin_life()
        output = printed(capsys)
        assert "waits for the search" in output.out
        assert "stopped" not in output.out
        assert "written nothing" not in output.err
        shape = json.loads(printed(capsys, "--json").out)
        assert (shape["at_work"], shape["trouble"]) == (True, None)


async def test_a_process_that_cannot_note_anything(state, capsys):
    """It holds the folder, and its last sign of life is old: status says so, and why, where it can know."""
    with StateFolder(state):
        assert "has written nothing for 1 h" in printed(capsys).err
        other = sqlite3.connect(state / "checkpoints.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            assert "another program holds checkpoints.db: close what has it open" in printed(capsys).err
            assert "another program" in json.loads(printed(capsys, "--json").out)["trouble"]
        finally:
            other.close()
        assert "see its log" in printed(capsys).err


ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def times_in(value, name=""):
    """Each member whose name ends in `_at`, with its value."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from times_in(member, key)
    elif isinstance(value, list):
        for member in value:
            yield from times_in(member)
    elif name.endswith("_at"):
        yield name, value


def test_times_in_json_have_a_zone(state, capsys):
    """Runs, what they are at, waits and activities: ISO 8601 in UTC, beside the seconds of before."""
    for words in (["--json"], ["P1", "--activities", "--json"]):
        times = list(times_in(json.loads(printed(capsys, *words).out)))
        assert {name for name, _ in times} >= {"created_at", "finished_at", "since_at", "until_at"}
        assert all(when is None or ISO.fullmatch(when) for _, when in times)
    (run,) = json.loads(printed(capsys, "P1", "--json").out)["runs"]
    assert run["doing"]["since_at"] == iso(run["doing"]["since"])
    assert run["doing"]["wait"]["since_at"] == "1970-01-01T00:00:00.000Z"


async def planned(folder, *, paused):
    async with open_database(folder, lambda: 1000.0) as store:
        await store.agenda.open(["each week", "at night"], 1000.0)
        note = store.agenda.begun("each week", until=2000.0, now=2000.0, round_start=1000.0, runs=7)
        await store.commit_all(note)
        await store.agenda.note_next("each week", 4102444800.0)
        if paused:
            await store.agenda.pause("at night", 3000.0)
        store.outbox.enabled = True
        await store.finish_run("R1", RunState.COMPLETED, {"converted": 1}, None, None)


async def test_schedules_and_notifications_are_listed(state, capsys):
    """When who is due, what has begun, what is paused, and how many notifications wait."""
    with StateFolder(state):
        await planned(state, paused=True)
    text = printed(capsys).out
    assert (
        "each week: next 2100-01-01 00:00:00 UTC; last 1970-01-01 00:33:20 UTC, 7 begun in that round" in text
    )
    assert "at night: paused since 1970-01-01 00:50:00 UTC; no run has started yet" in text
    assert "1 notification waits to be delivered, the first since 1970-01-01 00:16:40 UTC" in text
    assert "each week" not in printed(capsys, "P1").out
    body = json.loads(printed(capsys, "--json").out)
    night, week = body["schedules"]
    assert (night["name"], night["paused_at"], night["next_at"]) == (
        "at night",
        "1970-01-01T00:50:00.000Z",
        None,
    )
    assert (week["next_at"], week["begun"]) == ("2100-01-01T00:00:00.000Z", 7)
    assert body["notifications"] == {"waiting": 1, "oldest_at": "1970-01-01T00:16:40.000Z"}


async def test_activities_have_the_words_of_page_and_report(state, capsys):
    """Outcomes and sizes are in words in the table, and as ever in JSON."""
    with StateFolder(state):
        async with open_database(state, time.time) as store:
            results = {
                (Activity.DOWNLOAD, ""): {"state": "ready", "size": 1_200_000, "members": [{"path": "a"}]},
                (Activity.CHECK_STATUS, "0"): {"state": "ready", "polls": 1},
                (Activity.CONVERT, "00001"): {"outcome": "converted", "reason": None},
                (Activity.CONVERT, "00002"): {"outcome": "stored", "reason": "An archive."},
                (Activity.CONVERT, "00003"): {"outcome": "failed", "reason": "It is cut short."},
            }
            for (activity, item), result in results.items():
                store.begin_step("R1", activity, item)
                await store.finish_step("R1", activity, item, result)
    table = printed(capsys, "R1", "--activities").out
    for words in (
        "took with waits",
        "ready after 1 question\n",
        "1.2 MB, 1 file\n",
        " readable\n",
        "kept as it is: An archive.",
        "could not be read: It is cut",
    ):
        assert words in table
    listed = json.loads(printed(capsys, "R1", "--activities", "--json").out)["runs"][0]["activities"]
    assert {one["result"] for one in listed} >= {"1200000 bytes, 1 files", "converted", "stored: An archive."}
