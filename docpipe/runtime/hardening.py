"""Keeps tokens and patients' data out of core dumps and other processes."""

import contextlib
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # <linux/prctl.h>


def keep_memory_private() -> None:
    """Write no core file, and refuse access to the memory to other processes of the same user.

    The limit alone would not do: the kernel ignores it where cores are piped to a program (core(5)).
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    import ctypes  # noqa: PLC0415 -- not needed for --help

    with contextlib.suppress(AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
