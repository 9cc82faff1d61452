"""docpipe with failpoints, as a process that kills itself: `python -m tests.kill_driver [docpipe's words]`.

DOCPIPE_TEST_KILL_AT names the point ("3 before the commit": its third time), DOCPIPE_TEST_POINTS a file to
which every point is written as it is passed.
"""

import os
import signal
import sys
import threading
from collections import Counter

from docpipe.cli import main
from tests import failpoints

_LOCK = threading.Lock()
_PASSED: Counter[str] = Counter()
_KILL_AT = os.environ.get("DOCPIPE_TEST_KILL_AT")
_POINTS = os.environ.get("DOCPIPE_TEST_POINTS")


def hit(name: str) -> None:
    """Die here, if it is here; else note it."""
    with _LOCK:
        _PASSED[name] += 1
        point = f"{_PASSED[name]} {name}"
        if _POINTS is not None:
            with open(_POINTS, "a", encoding="utf-8") as file:  # noqa: PTH123 -- pathlib is under test
                file.write(f"{point}\n")
        if point == _KILL_AT:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with failpoints.installed(hit):
        status = main()
    sys.exit(status)
