"""The terminal: a view that moves, an outage shown and over, a summary; plain lines elsewhere."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from types import SimpleNamespace

import pytest

import fakes
from docpipe.cli import summary
from docpipe.model import OUTCOMES, Outcome, RunState
from tests.acceptance.conftest import ROOT, Box

PATIENTS = ("--patient", "P101", "--patient", "P102", "--patient", "P103")
SLOW = {"search_seconds": (1.0, 2.0), "mix": "tiny"}
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
COLOURS = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:[349][0-7]|10[0-7])[0-9;]*m")  # bold and faint are no colours


USUAL = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
"""Tests that run side by side are reported a size, and the terminal's own is meant."""


class Terminal:
    """A docpipe on a terminal of its own."""

    def __init__(self, columns: int = 100) -> None:
        self.raw = ""
        self.columns = columns
        self._more = asyncio.Event()
        self._ours = -1

    async def run(self, box: Box, *words: str, **env: str) -> int:
        """Run until it ends; everything it writes is read as it comes."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self.columns, 0, 0))
        self._ours = ours
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "docpipe", *words),
            cwd=box.folder,
            env={**USUAL, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **box.env, **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._process = process
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

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

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
    assert re.search(r"P10\d +DocEx_CheckStatus +\d+ s +(\d+ s|now) +docex to be up again", terminal.text)
    assert re.search(r"converters +█+░* +\d of \d busy", terminal.text)
    assert "0 of 3 patients done" in terminal.text
    assert re.search(r"docex.search +█+░* +\d+ of 600/min", terminal.text)
    assert "docex is up again after" in terminal.text
    assert re.search(r"P10\d +ConvertFile", terminal.text)
    end = terminal.text.rpartition("Patient P103")[2]
    assert "documents  " in end
    assert "report     " in end
    assert re.search(r"took \d+ s", end)
    assert "for docex to be up again" in end
    assert "service_down" not in terminal.text  # reported in a sentence instead


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_many_are_summed_up_in_a_table(box: Box, services: fakes.Running) -> None:
    """A line for each, a total, the problems; and with NO_COLOR nothing is coloured."""
    ids = [*(f"P{number}" for number in range(101, 107)), "P199"]
    (box.folder / "ids.txt").write_text("\n".join(ids))
    terminal = Terminal()
    assert await terminal.run(box, "run", "--patients", "ids.txt", NO_COLOR="1") == 1
    assert re.search(r"patient +ended as +readable", terminal.text)
    for patient in ids[:-1]:
        assert re.search(rf"{patient} +completed +4", terminal.text)
    assert re.search(r"7 patients +24", terminal.text)
    assert "problems:\n  P199: The exchange could not complete the search" in terminal.text
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


async def test_documents_have_their_names(box: Box) -> None:
    """With --verbose on a terminal, also those within documents; in lines, which are logs, they have none."""
    terminal = Terminal()
    assert await terminal.run(box, "run", "--patient", "P123", "--verbose") == 0
    for name in ("Labs/Damaged.pdf", "CCD/Discharge.xml/embedded-1.pdf"):
        for activity in ("ConvertFile", "PutToStorage"):
            assert f"P123  {activity} {name}" in terminal.text
    assert not re.search(r"(ConvertFile|PutToStorage) \d", terminal.text)
    lines = await box.run("retry", "P123", "--from", "ConvertFile", "--verbose")
    assert "activity=ConvertFile item=00001" in lines.err
    assert "Damaged" not in lines.err


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_a_narrow_terminal(box: Box, services: fakes.Running) -> None:
    """What each waits for, and until when, is still there; no line of the view or the table is broken."""
    ids = [f"P{number}" for number in range(101, 110)]
    (box.folder / "ids.txt").write_text("\n".join(ids))
    box.env |= {"DOCPIPE_DOCEX__SEARCH_RATE": "60/min", "DOCPIPE_DOCEX__SPACING": "even"}
    terminal = Terminal(columns=60)
    assert await terminal.run(box, "run", "--patients", "ids.txt", "--until", "DocEx_Search") == 0
    assert re.search(r"P10\d +DocEx_Search +(\d s|now) +place \d: the quota of", terminal.text)
    assert re.search(r"9 patients +9 unfinished", terminal.text)


def test_a_table_that_is_too_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words become shorter; a table that fits stays as it is."""
    outcomes = [OUTCOMES[outcome] for outcome in Outcome]
    rows = [["patient", "ended as", *outcomes], ["P101", "completed with errors", *("99" for _ in outcomes)]]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for columns, state in ((140, "completed with errors"), (60, "with errors")):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = summary._fitting(rows)
        assert max(map(len, lines)) < columns
        assert f"P101     {state}" in lines[1]


def test_very_many_are_not_all_listed() -> None:
    """Those that did not end well come first, and none of them is left out for one that did."""
    ended = [
        SimpleNamespace(
            patient_id=f"P{number}", state=RunState.FAILED if number > 990 else RunState.COMPLETED
        )
        for number in range(1000)
    ]
    displayed = summary._foremost(ended)
    assert [run.patient_id for run in displayed[:9]] == [f"P{number}" for number in range(991, 1000)]
    assert len(displayed) == summary._MOST_ROWS
    assert summary._foremost(ended[:50]) == ended[:50]


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_breakpoints(box: Box, services: fakes.Running) -> None:
    """With --debug a breakpoint in a converter has the terminal: nothing moves, nothing times out."""
    box.env["PYTHONPATH"] = f"{box.folder}:{ROOT}"
    box.env["DOCPIPE_CONVERT__TIMEOUT"] = "1s"
    (box.folder / "sitecustomize.py").write_text(
        "import docpipe.convert.readers.text.from_text as module\n"
        "read = module.read\n"
        "def stopping(source):\n"
        "    module.read = read\n"
        "    breakpoint()\n"
        "    return read(source)\n"
        "module.read = stopping\n"
    )
    terminal = Terminal()
    running = asyncio.create_task(terminal.run(box, "--debug", "run", "--patient", "P101"))
    await terminal.shows("(Pdb) ")
    terminal.type("p len(source.name) and 'here' * 2\n")
    await terminal.shows("'herehere'")
    terminal.type("c\n")
    assert await running == 0
    assert "activity=ConvertFile" in terminal.text
    assert "patients done" not in terminal.text
    assert re.search(r"completed( with errors)?", terminal.text)


@pytest.mark.parametrize("answer", ["interrupt", "no"])
async def test_a_question_is_not_answered(box: Box, answer: str) -> None:
    """Ctrl-C at a question ends the command at once, and removes nothing."""
    assert (await box.run("run", "--patient", "P101", "--until", "TaskTracker_Create")).status == 0
    assert (await box.run("cancel", "P101")).status == 0
    terminal = Terminal()
    running = asyncio.create_task(terminal.run(box, "forget", "P101"))
    await terminal.shows("Type the patient's id to remove all of it: ")
    terminal.interrupt() if answer == "interrupt" else terminal.type("no\n")
    assert await running == (130 if answer == "interrupt" else 2)
    assert (await box.run("status", "P101", "--json")).json["runs"][0]["state"] == "cancelled"


async def test_an_error_that_nobody_foresaw(box: Box) -> None:
    """It is reported in a sentence that quotes nothing; all of it with --debug."""
    box.env["PYTHONPATH"] = f"{box.folder}:{ROOT}"
    (box.folder / "sitecustomize.py").write_text(
        "import docpipe.checkpoints\n"
        "def broken(*words):\n"
        "    raise KeyError('canary')\n"
        "docpipe.checkpoints.read_runs = broken\n"
    )
    ended = await box.run("status")
    assert ended.status == 1
    assert re.fullmatch(
        r"docpipe: Unexpected error \(KeyError at .*\)\. Run again with --debug .*\n", ended.err
    )
    ended = await box.run("--debug", "status")
    assert "Traceback" in ended.err
    assert "canary" in ended.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run",), "docpipe: Name a patient with --patient ID"),
        (("run", "--patient", "P1", "--until", "Lunch"), "they are GetPatientFromDB, "),
        (("status", "P999"), "`docpipe status` lists the runs"),
        (("--config", "none.toml", "status"), "name another with --config"),
        (("lunch",), "`docpipe --help` lists the options"),
    ],
)
async def test_wrong_usage(box: Box, words: tuple[str, ...], expected: str) -> None:
    """One line with the cause and the cure, and status 2."""
    ended = await box.run(*words)
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert expected in ended.err
