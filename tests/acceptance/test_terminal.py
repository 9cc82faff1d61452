"""The terminal: a view that moves, an outage shown and over, a summary; plain lines elsewhere."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import sys
import termios

import pytest

import fakes
from tests.acceptance.conftest import ROOT, Box

PATIENTS = ("--patient", "P101", "--patient", "P102", "--patient", "P103")
SLOW = {"search_seconds": (1.0, 2.0)}
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
COLOURS = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:[349][0-7]|10[0-7])[0-9;]*m")  # bold and faint are no colours


class Terminal:
    """A docpipe on a terminal of its own."""

    def __init__(self) -> None:
        self.raw = ""
        self._more = asyncio.Event()

    async def run(self, box: Box, *words: str, **env: str) -> int:
        """Run until it ends; everything it writes is read as it comes."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "docpipe", *words),
            cwd=box.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **box.env, **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        reading = asyncio.create_task(asyncio.to_thread(self._read, ours, asyncio.get_running_loop()))
        status = await process.wait()
        await reading
        os.close(ours)
        return status

    def _read(self, ours: int, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(OSError):  # the last reader of a terminal that is gone gets an error
            while data := os.read(ours, 65536):
                self.raw += data.decode(errors="replace")
                loop.call_soon_threadsafe(self._more.set)

    async def shows(self, text: str) -> None:
        """Return when a text has been shown."""
        while text not in self.text:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 60)

    @property
    def text(self) -> str:
        return CONTROLS.sub("", self.raw)


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_an_outage_is_seen_to_come_and_go(box: Box, services: fakes.Running) -> None:
    """What each patient waits for, the quotas, the outage; then all ends and is summed up."""
    services.add_fault("docex.status 503")
    terminal = Terminal()
    running = asyncio.create_task(terminal.run(box, "run", *PATIENTS))
    await terminal.shows("docex is down: status 503")
    await terminal.shows("asked again in")
    services.clear_faults()
    assert await running == 0
    assert re.search(r"P10\d +DocEx_CheckStatus +\d+ s", terminal.text)
    assert "0 of 3 patients done" in terminal.text
    assert re.search(r"docex.search +█+░* +\d+ of 600/min", terminal.text)
    assert "docex is up again after" in terminal.text
    assert re.search(r"P10\d {2}ConvertFile", terminal.text)
    end = terminal.text.rpartition("Patient P103")[2]
    assert "documents  " in end
    assert "report     " in end
    assert re.search(r"took \d+ s", end)
    assert "for docex to be up again" in end
    assert "service_down" not in terminal.text  # told in words instead


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_many_are_summed_up_in_a_table(box: Box, services: fakes.Running) -> None:
    """A line for each, a total, the problems; and with NO_COLOR nothing is coloured."""
    ids = [f"P{number}" for number in range(101, 108)]
    (box.folder / "ids.txt").write_text("\n".join(ids))
    terminal = Terminal()
    assert await terminal.run(box, "run", "--patients", "ids.txt", NO_COLOR="1") == 0
    assert re.search(r"patient +ended as +converted", terminal.text)
    for patient in ids:
        assert re.search(rf"{patient} +completed with errors( +\d+)+", terminal.text)
    assert re.search(r"7 patients( +\d+)+", terminal.text)
    assert "problems:" in terminal.text
    assert "\x1b[" in terminal.raw
    assert not COLOURS.search(terminal.raw)


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_a_terminal_that_cannot_move(box: Box, services: fakes.Running) -> None:
    """It gets lines, and no control characters."""
    terminal = Terminal()
    assert await terminal.run(box, "run", "--patient", "P101", TERM="dumb") == 0
    assert "\x1b" not in terminal.raw
    assert "Patient P101: completed" in terminal.text


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_without_a_terminal(box: Box, services: fakes.Running) -> None:
    """Plain lines; with --quiet none, with --verbose one for each document, too."""
    usual = await box.run("run", "--patient", "P101")
    assert "activity=DocEx_Search outcome=ok" in usual.err
    assert "ConvertFile" not in usual.err
    quiet = await box.run("run", "--patient", "P102", "--quiet")
    assert (quiet.status, quiet.err) == (0, "")
    verbose = await box.run("run", "--patient", "P103", "--verbose")
    assert re.search(r"activity=ConvertFile item=00001 outcome=ok", verbose.err)
    for ended in (usual, quiet, verbose):
        assert "\x1b" not in ended.out + ended.err
        assert "found      " in ended.out
