"""Folders in memory, for tests that make thousands of fsyncs in a second of the clock or in none."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SHARED: Final = Path("/dev/shm")  # noqa: S108 -- the kernel's, not a shared name
_ROOM: Final = 2**30
"""Bytes. Containers may give less than tests need."""


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is removed in the end: in memory where there is room, else on the disk."""
    roomy = os.access(_SHARED, os.W_OK) and shutil.disk_usage(_SHARED).free >= _ROOM
    with tempfile.TemporaryDirectory(prefix="docpipe-test-", dir=_SHARED if roomy else None) as name:
        yield Path(name).resolve()
