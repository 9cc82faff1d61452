"""Standard output that cannot be written: one sentence and a status, in every command, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
WORDS = [
    ("docs", "security"),
    ("docs",),
    ("completion", "bash"),
    ("--help",),
    ("run", "--help"),
    ("--version",),
]
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def docpipe(folder: Path, *words: str, unbuffered: bool, errors: bool = False) -> tuple[int, str]:
    """Run a command whose output goes to a full disk; its status and what it wrote to standard error."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1" if unbuffered else ""}
    with FULL.open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "docpipe", *words],
            stdout=full,
            stderr=full if errors else subprocess.PIPE,
            cwd=folder,
            env=environment,
            text=True,
            check=False,
        )
    return ended.returncode, ended.stderr or ""


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("words", WORDS)
def test_a_full_disk(tmp_path: Path, words: tuple[str, ...], unbuffered: bool) -> None:
    """Whether the error comes when a line is printed, or only at the end."""
    status, errors = docpipe(tmp_path, *words, unbuffered=unbuffered)
    assert (status, errors) == (
        1,
        "docpipe: The output cannot be written: No space left on device. Write it elsewhere.\n",
    )


def test_an_error_whose_json_cannot_be_written(tmp_path: Path) -> None:
    """The error itself is reported, with its own status."""
    words = ("convert", "missing.pdf", "--to", "out", "--json")
    status, errors = docpipe(tmp_path, *words, unbuffered=False)
    assert status == 2
    assert errors.startswith("docpipe: There is no file missing.pdf.")
    assert "Traceback" not in errors


def test_errors_that_cannot_be_written(tmp_path: Path) -> None:
    """The status is all that is left to tell."""
    assert docpipe(tmp_path, "docs", unbuffered=False, errors=True)[0] == 1
