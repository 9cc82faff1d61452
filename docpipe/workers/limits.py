"""Irrevocable limits on what a worker and its children may use.

Sources: setrlimit(2), capabilities(7), core(5), prctl(2); numbers are of <linux/prctl.h> and
<linux/capability.h>.
"""

import contextlib
import ctypes
import resource
import struct
from typing import Final

FILE_BYTES: Final = 2**30
"""Of one file that a worker writes, and so of one output, where nothing else is configured."""
SPARE_BYTES: Final = 16 * 2**20
"""Of memory beyond the limit of a job: to answer when the job had all of it."""
SPARE_PROCESSES: Final = 1024
"""The kernel counts processes and threads by user, and the user's other programs come and go."""
_DESCRIPTORS: Final = 256
_SET_DUMPABLE: Final = 4
_DROP_BOUND: Final = 24
_AMBIENT: Final = (47, 4)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL
_CAPABILITIES: Final = 64
_VERSION_3: Final = 0x20080522
_DAC_OVERRIDE: Final = 1
"""The one right of root that stays: its files may belong to others."""


def set_limits(memory: int, processes: int, file: int) -> None:
    """Set every limit of a worker, soft and hard.

    Args:
        memory: RLIMIT_DATA in bytes: heap and private mappings. (RLIMIT_AS breaks onnxruntime.)
        processes: RLIMIT_NPROC; 0 where it is not known how many the user has.
        file: RLIMIT_FSIZE in bytes: the largest file that may be written.
    """
    _limit(resource.RLIMIT_DATA, memory, memory + SPARE_BYTES)
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold a document
    _limit(resource.RLIMIT_FSIZE, file)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    if processes and hasattr(resource, "RLIMIT_NPROC"):
        _limit(resource.RLIMIT_NPROC, processes)


def use_spare_memory() -> None:
    """Raise the limit a little above that of a job, so that the worker can report that it was reached."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    wanted = soft if hard is None else hard
    before = resource.getrlimit(what)[1]
    hard = wanted if before == resource.RLIM_INFINITY else min(wanted, before)
    resource.setrlimit(what, (min(soft, hard), hard))


def set_dumpable(*, dumpable: bool) -> None:
    """Whether others of the same user may look into this process, and whether it leaves a core."""
    _prctl(_SET_DUMPABLE, int(dumpable))


def drop_capabilities() -> None:
    """Drop the capabilities of root, which could raise limits again; other users have none."""
    for number in range(_CAPABILITIES):
        _prctl(_DROP_BOUND, number)
    _prctl(*_AMBIENT)
    header = struct.pack("=Ii", _VERSION_3, 0)
    held = ctypes.create_string_buffer(24)  # effective, permitted, inheritable of 0 to 31; again of 32 to 63
    with contextlib.suppress(AttributeError):  # not Linux
        library = ctypes.CDLL(None)
        if library.capget(header, held):
            return
        kept = struct.unpack("=6I", held.raw)[1] & 1 << _DAC_OVERRIDE
        library.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
