"""How a process that holds many runs is set."""

import asyncio
import resource
import signal
import subprocess
import sys

import pytest

from docpipe.cli import phrases
from docpipe.cli.run import stopping

RAISED = """
import asyncio
import resource
from docpipe.runtime.interpreter import allow_many_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
allow_many_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_of_open_files_is_raised():
    """To the hard one, in a process of its own, whose limits nobody else has."""
    done = subprocess.run([sys.executable, "-c", RAISED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["512", "512"]


@pytest.mark.parametrize("command", ["run", "retry", "serve"])
def test_each_command_that_runs_patients_raises_it(command, monkeypatch, tmp_path):
    """Before anything is opened."""
    from docpipe import cli  # noqa: PLC0415 -- after the limit is watched

    raised = []
    monkeypatch.setattr(sys, "setswitchinterval", lambda _: None)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 512))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    monkeypatch.setattr(
        "docpipe.runtime.interpreter.gc",
        type("Gc", (), dict.fromkeys(("collect", "freeze", "set_threshold"), staticmethod(lambda *_: None))),
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(
        '[docex]\nbase_url = "fake"\n[tasktracker]\nbase_url = "fake"\n[state]\ndir = "state"\n'
    )
    monkeypatch.setattr("asyncio.run", lambda work, **_: work.close() or 0)
    words_of = {"run": ["--patient", "P1"], "retry": ["P1"], "serve": []}
    cli.main([command, *words_of[command]])
    assert (512, 512) in raised


async def test_a_signal_stops_although_nobody_reads_what_is_said(monkeypatch):
    """The reader of standard error may be gone, as after `2>&1 | head`: the stop begins all the same."""

    class Gone:
        def write(self, _):
            raise BrokenPipeError

        flush = write

    class Engine:
        stopped = False

        async def stop(self):
            self.stopped = True

    monkeypatch.setattr(phrases.sys, "stderr", Gone())
    engine = Engine()
    async with stopping(engine) as seen:
        signal.raise_signal(signal.SIGTERM)
        while not engine.stopped:
            await asyncio.sleep(0.002)
    assert seen == [signal.SIGTERM]
