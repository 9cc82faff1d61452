"""Settings of Python for processes with many runs: garbage collection and thread switching."""

import contextlib
import gc
import resource
import sys
from typing import Final

_YOUNG: Final = 10_000
_MIDDLE: Final = 5
_OLD: Final = 200
_SWITCH_S: Final = 0.0005


def allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one.

    The soft one is low for the sake of programs that use `select`, which docpipe does not: see
    https://0pointer.net/blog/file-descriptor-limits.html.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit that it does not report
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tune_interpreter() -> None:
    """Exempt loaded objects from collection, collect old ones rarely, and switch threads sooner.

    As Python comes, it looks at all objects each time that they have grown by a quarter: while 100,000 runs
    are read, a dozen times, and nothing else runs for 100 ms each. Young garbage is collected as before;
    what is no longer young is looked at in portions that take 10 ms.

    A thread that comes back from SQLite or the disk waits for the interpreter until the event loop has had it
    for 5 ms, as Python comes, and a transaction comes back several times.
    """
    allow_many_files()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    sys.setswitchinterval(_SWITCH_S)
