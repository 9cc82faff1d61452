"""Ctrl-C while docpipe is still being imported: no traceback, and the exit status of every other stop."""

import signal
import subprocess
import sys

import pytest

from docpipe import __main__

INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "docpipe.cli.options":
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except BaseException:
                pass  # as imports of others do
        return None

sys.meta_path.insert(0, Finder())
from docpipe.__main__ import main
sys.argv = ["docpipe", "docs"]
sys.exit(main())
"""


def test_interrupted_while_it_is_imported() -> None:
    """Nothing is printed, and it ends, whatever is under way."""
    ended = subprocess.run(
        [sys.executable, "-c", f"import signal\nsignal.signal(2, signal.default_int_handler)\n{INTERRUPTED}"],
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN])
def test_a_command_begins_with_the_handler_that_was_there(
    monkeypatch: pytest.MonkeyPatch, before: signal.Handlers
) -> None:
    """Commands stop in their own way; a job that ignores Ctrl-C goes on ignoring it."""
    known = signal.getsignal(signal.SIGINT)
    seen = []

    def command(args: object) -> int:
        seen.append(signal.getsignal(signal.SIGINT))
        return 0

    monkeypatch.setattr("docpipe.cli.docs.docs", command)
    monkeypatch.setattr(sys, "argv", ["docpipe", "docs"])
    monkeypatch.delitem(sys.modules, "temporalio.bridge", raising=False)  # with it the process would end
    signal.signal(signal.SIGINT, before)
    try:
        assert __main__.main() == 0
    finally:
        signal.signal(signal.SIGINT, known)
    assert seen == [before]
