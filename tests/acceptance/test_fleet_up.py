"""`docpipe fleet up` as somebody tries it: one command, a run, a killed worker, Ctrl-C, and no trace."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from tests import fleet_servers, quota_store
from tests.acceptance.conftest import ROOT, Box
from tests.acceptance.test_web_page import Seen, browsing, chromium

CANARIES = ("CANARY-7F3A91", "Xanthippe", "Quizzlewick", "1907-11-23")
"""A patient's id, names and birth date, which are nowhere else by chance."""
ROW = "id,given,family,birth_date,sex,postal_code\n" + ",".join((*CANARIES, "female", "99999")) + "\n"


@pytest.fixture(autouse=True)
def _servers_there() -> None:
    fleet_servers.program()
    quota_store.program()


class Up:
    """The command at work."""

    def __init__(self, box: Box, process: asyncio.subprocess.Process) -> None:
        self.box = box
        self.process = process
        self.lines: list[str] = []
        self.link = ""

    @property
    def folder(self) -> Path:
        return self.box.folder / "fleet"

    async def until(self, words: str) -> str:
        """Wait for a line with these words."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.lines.append(line)
            if re.search(words, line):
                return line
        pytest.fail(f"{words!r} is not in {self.lines}, {(await self.process.communicate())[1].decode()}")


@contextlib.asynccontextmanager
async def fleet_up(box: Box, *words: str) -> AsyncIterator[Up]:
    """The command, ended if the test did not."""
    process = await box.start("fleet", "up", *words)
    try:
        yield Up(box, process)
    finally:
        if process.returncode is None:
            process.terminate()
            _, err = await process.communicate()
            sys.stderr.write(err.decode())  # printed where the test failed


@pytest.fixture(scope="module")
def path_of_chromium() -> str:
    return chromium()


@pytest.fixture
def clone(tmp_path: Path) -> Box:
    """A folder with nothing in it, and settings in the environment that a first look must not use."""
    return Box(tmp_path, {"DOCPIPE_DOCEX__BASE_URL": "https://exchange.invalid"})


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def traces(*places: Path) -> Iterator[str]:
    """Where a canary can be read."""
    for place in places:
        files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
        assert files, place
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # a temporary one, which has its name now
                data = file.read_bytes()
                yield from (f"{word} in {file}" for word in CANARIES if word.encode() in data)


def dumped(address: str, folder: Path) -> Path:
    """Valkey's memory as a file."""
    host, port = address.rsplit(":", 1)
    with redis.Redis(host, int(port)) as client:
        client.config_set("rdbcompression", "no")
        assert client.dbsize() > 0
        client.save()
    return folder / "dump.rdb"  # where it was started


async def docpipe(up: Up, *words: str) -> str:
    """A command for the fleet, as the text of the first one says it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("DOCPIPE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "docpipe", "--config", str(up.folder / "config.toml"), *words),
        cwd=up.box.folder,
        env={**env, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, out.decode() + err.decode()
    return out.decode()


async def looked_at(link: str, chromium: str) -> None:
    """The page in a browser: the run, its documents, and the worker that is left."""
    async with browsing(chromium) as browser:
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(link)
        seen = Seen(page, link.partition("/login")[0])
        await seen.has("tr[data-run]:has-text('CANARY')")
        await page.click("tr[data-run]:has-text('CANARY') a")
        await seen.has(".documents li")
        await page.click("nav a:has-text('Services')")
        await seen.has(".machines tbody tr:has-text('begin, docex, tracker, convert')")
        assert await page.locator(".machines a:has-text('Temporal')").count() == 1
        await seen.picture("fleet")
        await seen.submit("P123")
        await page.click("nav a:has-text('Runs')")
        await seen.has("tr[data-run]:has-text('P123') .is-running")
        assert not complaints


async def test_a_first_look(clone: Box, path_of_chromium: str) -> None:
    """A run is done by workers of which one is killed, nothing of the patient is readable, and all ends."""
    (clone.folder / "canary.csv").write_text(ROW)
    async with fleet_up(clone, "--workers", "2") as up:
        workers = await up.until(r"2 workers")
        store = re.search(r"Valkey at (\S+)", "".join(up.lines))
        assert store is not None
        await up.until("The fleet is up")
        up.link = (await up.until("/login#")).strip()
        await up.until("docpipe --config .*run --patient")
        await docpipe(up, "patients", "import", "canary.csv")
        running = asyncio.create_task(docpipe(up, "run", "--patient", CANARIES[0]))
        spool = up.folder / "storage" / ".fleet" / "spool"
        while not any(path.is_file() for path in spool.rglob("*")):
            assert not running.done(), await running
            await asyncio.sleep(0.05)
        assert not list(traces(spool))
        first = re.search(r"process (\d+)", workers)
        assert first is not None
        os.killpg(int(first[1]), signal.SIGKILL)
        assert f"Patient {CANARIES[0]}: completed with errors" in await running
        assert CANARIES[0] in await docpipe(up, "status")
        await looked_at(up.link, path_of_chromium)

        here = [pid for pid in children_of(up.process.pid) if is_there(pid)]
        memory = dumped(store[1], up.folder)
        up.process.send_signal(signal.SIGINT)
        _, err = await up.process.communicate()
        assert up.process.returncode == 130
        assert "the others take over" in err.decode()
        assert not [pid for pid in here if is_there(pid)]
        server = list(up.folder.glob("temporal.db*"))
        assert not list(traces(*server, memory, up.folder / "logs", up.folder / "storage" / ".fleet"))
        assert not [path for path in spool.rglob("*") if path.is_file()]


async def test_two_in_one_folder(clone: Box) -> None:
    """The second one is refused, with the option for another folder."""
    async with fleet_up(clone, "--workers", "1") as up:
        await up.until("Temporal at")
        second = await clone.run("fleet", "up")
        assert second.status == 2
        assert "end it, or name another folder with --folder" in second.err
        up.process.send_signal(signal.SIGTERM)  # while it starts
        await up.process.communicate()
        assert up.process.returncode == 143


@pytest.mark.parametrize("folder", ["/proc/fleet", "/proc/deep/fleet", "/dev/null"])
async def test_a_folder_that_cannot_be_made(clone: Box, folder: str) -> None:
    """Where a file system has no new folders, as /proc, and where a file is: a sentence with the cure."""
    ended = await clone.run("fleet", "up", "--folder", folder)
    assert ended.status == 2
    assert re.search(
        r"cannot be used \(.*\): (its disk is read-only|part of this path is not a folder)", ended.err
    )


async def test_the_help_teaches(clone: Box) -> None:
    """What it starts, what to do with it, what it needs; wrong numbers are refused."""
    ended = await clone.run("fleet", "up", "--workers", "0")
    assert (ended.status, "a number from 1 to 16" in ended.err) == (2, True)
    words = " ".join((await clone.run("fleet", "up", "--help")).out.split())
    for part in ("Temporal's development server", "No real service is called", "kill -9", "docpipe[up]"):
        assert part in words
