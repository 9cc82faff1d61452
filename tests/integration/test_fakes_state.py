"""What the fakes remember after their process was killed."""

import asyncio
import contextlib
import json
import signal
import sys

import aiohttp
import pytest

from fakes.journal import Journal
from fakes.quota import Rate
from tests.fakes_support import PATIENT, talking


async def test_everything_is_found_again(tmp_path):
    """Searches, keys, tasks, reports, quotas outlive the servers; addresses are those of the new ports."""
    state = tmp_path / "fakes.db"
    options = {"state": state, "search_rate": Rate(3, 3600.0), "search_seconds": (1000, 1000)}
    async with talking(**options) as talk:
        result, ports = (await talk.search()).json["id"], {talk.running.docex_url, talk.running.archive_url}
        gone = (await talk.search("gone")).json["id"]
        talk.running.docex.purge_search(gone)
        task = await talk.task()
        path = task.headers["Location"]
        await talk.tracker("PATCH", path, {"status": "in_progress", "note": "é"})
        await talk.tracker("POST", f"{path}/reports", {"format": "text", "body": "all"}, "r")
        before = (dict(talk.running.docex.searches), talk.running.tracker.tasks, talk.running.tracker.reports)
    assert state.stat().st_mode & 0o777 == 0o600
    async with talking(**options) as talk:
        tracker = talk.running.tracker
        assert (talk.running.docex.searches, tracker.tasks, tracker.reports) == before
        assert (await talk.search()).json["id"] == result
        assert (await talk.search("new")).status == 429
        assert (await talk.status(gone)).status == 404
        assert (await talk.task()).json["id"] == task.json["id"]
        await talk.tracker("POST", f"{path}/reports", {"format": "text", "body": "all"}, "r")
        assert (await talk.tracker("GET", path)).json["reports"] == 1
        talk.running.skip(1001)
        url = (await talk.status(result)).json["archive"]["url"]
        assert url.startswith(talk.running.docex_url)
        assert ports.isdisjoint({talk.running.docex_url, talk.running.archive_url})
        fresh = (await talk.search("one more", PATIENT | {"id": "P9"})).status
        assert fresh == 429
        assert (await talk.task("run-2", "k2")).json["id"] != task.json["id"]


@contextlib.asynccontextmanager
async def program(*words):
    """`python -m fakes` and the addresses that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fakes", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process, json.loads(await process.stdout.readline() or "{}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_killed(tmp_path):
    """SIGKILL between any two answers loses nothing that was answered."""
    words = ("--state", str(tmp_path / "s.db"), "--tracker-rate", "none")
    made = {}
    for turn in range(3):
        async with program(*words) as (process, addresses), aiohttp.ClientSession() as session:
            for n in range(turn * 10 + 10):
                headers = {"Idempotency-Key": f"k{n}"}
                body = {"title": "x", "external_ref": f"run-{n}"}
                async with session.post(
                    f"{addresses['tracker_url']}/v1/tasks", json=body, headers=headers
                ) as answer:
                    id_ = (await answer.json())["id"]
                assert made.setdefault(n, id_) == id_
            process.kill()
    assert len(set(made.values())) == 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_program_stops_cleanly(number):
    """A signal stops the program with status 0 and no complaint, also while a request hangs."""
    async with (
        program("--fault", "docex.search hang") as (process, addresses),
        aiohttp.ClientSession() as session,
    ):
        hanging = asyncio.create_task(
            session.post(f"{addresses['docex_url']}/v1/searches", json={}, headers={"Idempotency-Key": "k"})
        )
        async with session.get(f"{addresses['tracker_url']}/v1/tasks?external_ref=x") as answer:
            assert await answer.json() == {"tasks": []}
        process.send_signal(number)
        out, err = await process.communicate()
        assert (process.returncode, out, err) == (0, b"", b"")
        with pytest.raises(aiohttp.ClientConnectionError):
            await hanging


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--fault", "docex.nothing 503"), b"no operation matches"),
        (("--search-rate", "often"), b"is no rate"),
        (("--search-seconds", "4-1"), b"must rise"),
        (("--documents", "no such folder"), b"there is no folder"),
        (("--patient-seconds", "P123"), b"write PATIENT=SECONDS"),
    ],
)
async def test_program_refuses_nonsense(words, expected):
    """Bad words on the command line end with status 2 and say what is wrong."""
    async with program(*words) as (process, _):
        _, err = await process.communicate()
        assert process.returncode == 2
        assert expected in err


async def test_program_exports_and_logs(tmp_path):
    """Patients are written without starting servers; the log tells each request."""
    file = tmp_path / "p.csv"
    async with program("--export-patients", str(file)) as (process, _):
        assert await process.wait() == 0
    assert len(file.read_text(encoding="utf-8").splitlines()) == 101
    async with program("--log") as (process, addresses):
        async with aiohttp.ClientSession() as session:
            await session.get(f"{addresses['docex_url']}/v1/searches/none")
        assert b"docex.status GET /v1/searches/none 404" in await process.stderr.readline()


async def test_state_in_use_or_corrupt(tmp_path):
    """A second process on the same state is refused, and a file that is no state is left alone."""
    state = tmp_path / "s.db"
    async with talking(state=state):
        with pytest.raises(OSError, match="locked"):
            Journal(state)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"something else" * 100)
    with pytest.raises(OSError, match="cannot hold the state"):
        Journal(broken)
    assert broken.read_bytes() == b"something else" * 100


def test_torn_effects(tmp_path):
    """What belongs together is kept together or not at all."""
    journal = Journal(tmp_path / "s.db")
    with contextlib.suppress(ZeroDivisionError), journal.together():
        journal.put("a", "1", [1])
        1 / 0  # noqa: B018 - it fails in the middle
    assert journal.load("a") == {}
    with journal.together():
        journal.put("a", "1", [1])
        journal.put("a", "2", {"x": "é"})
    journal.put("a", "1", [2])
    journal.close()
    journal.close()
    again = Journal(tmp_path / "s.db")
    assert again.load("a") == {"1": [2], "2": {"x": "é"}}
    again.forget("a", "1")
    assert list(again.load("a")) == ["2"]
    again.forget("a")
    assert again.load("a") == {}
    again.close()
