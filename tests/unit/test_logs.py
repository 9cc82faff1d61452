"""What logs say of errors, and where they cannot say it."""

import os
import sys

import pytest
import structlog

from docpipe.runtime import logs


def fail_with(private):
    row = {"given": private}
    raise ValueError(f"bad row of {len(row)} columns")


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("debug", [True, False])
def test_values_of_variables_are_never_shown(capsys, plain, debug):
    """A traceback, which only --debug shows, has code and the error's text, and no values."""
    logs.configure(debug=debug, plain=plain)
    try:
        fail_with("Nils" + "-" * 3)
    except ValueError:
        structlog.get_logger("t").exception("run_broken")
    output = capsys.readouterr().err
    assert "run_broken" in output
    assert "Nils---" not in output
    assert ("bad row of 1 columns" in output) == debug
    assert ("Traceback" in output) == debug


@pytest.mark.parametrize("closed", [True, False])
def test_logs_that_nobody_reads_stop_nothing(monkeypatch, closed):
    """The stream is closed, or its reader has gone away: what was to be reported continues."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure()
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
        stream.close()
    structlog.get_logger("t").warning("service_down")
    if not closed:
        with pytest.raises(BrokenPipeError):
            stream.close()
