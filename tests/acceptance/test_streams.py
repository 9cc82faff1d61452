"""Closed streams, encodings without the letters that are needed, and a terminal that goes away."""

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import fakes
from docpipe.checkpoints import read_runs
from docpipe.model import RunState
from tests.acceptance.conftest import ROOT, Box

SLOW = {"search_seconds": (1.0, 2.0), "mix": "tiny"}


def ended(box: Box, shell: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """A shell's line, in which `docpipe` is this one."""
    command = f'docpipe() {{ "{sys.executable}" -m docpipe "$@"; }}; {shell}'
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=box.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **box.env, **env},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&-"])
def test_closed_streams(box: Box, closed: str) -> None:
    """The command does its work, and no file of docpipe gets the number of a closed stream."""
    result = ended(box, f"docpipe patients list {closed}")
    assert result.returncode == 0, result.stderr
    assert b"Traceback" not in result.stderr
    if closed in ("2>&-", "<&-"):
        assert b"P101" in result.stdout


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["ascii", "latin-1", "C"],
)
def test_letters_that_an_encoding_lacks(box: Box, env: dict[str, str]) -> None:
    """They are written by their numbers; the exit status is that of the work."""
    (box.folder / "more.csv").write_text("id,given,family,birth_date\nPж1,Ann,Lee,1957-03-31\n", "utf-8")
    box.env["DOCPIPE_PATIENTS__URL"] = f"sqlite:///{box.folder / 'own.db'}"
    assert ended(box, "docpipe patients import more.csv", **env).returncode == 0
    listed = ended(box, "docpipe patients list", **env)
    assert (listed.returncode, listed.stdout.split()[0]) == (0, rb"P\u04361")
    unknown = ended(box, "docpipe status Pж2", PYTHONIOENCODING="ascii")
    assert b"Unexpected" not in unknown.stderr


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_a_terminal_that_goes_away(box: Box, services: fakes.Running) -> None:
    """The runs continue to their end, as under nohup."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "docpipe", "run", "--patient", "P101", "--patient", "P102"),
        cwd=box.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **box.env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    while not services.docex.searches:
        await asyncio.to_thread(os.read, ours, 65536)
    os.close(ours)
    await process.wait()
    assert {run.state for run in read_runs(Path(box.state))} == {RunState.COMPLETED}
