"""Work in a process of its own: what it returns, and that its death is survived."""

import subprocess
import sys

SCRIPT = """
import os, signal
from docpipe.convert.core.apart import ApartError, apart

def died(work):
    try:
        apart(work)
    except ApartError:
        return True
    return False

assert apart(lambda: b"x" * 3_000_000) == b"x" * 3_000_000
assert died(os.abort)
assert died(lambda: os.kill(os.getpid(), signal.SIGKILL))
assert died(lambda: 1 / 0)
assert apart(lambda: b"") == b""
"""


def test_a_death_is_survived():
    """An abort, a signal or an exception of the work is reported, and nothing else of it is seen."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ZeroDivisionError" not in done.stdout
