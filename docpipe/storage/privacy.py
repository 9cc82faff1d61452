"""Whether other users of this machine can read a folder; docpipe makes its own folders private."""

import stat
from pathlib import Path
from typing import Final

_OTHERS: Final = 0o007


def mode_for_others(folder: Path) -> int | None:
    """The mode of a folder that everybody on this machine can list or enter; None where nobody else gets in.

    A group may have been given its rights on purpose. A folder above that nobody else can enter closes it.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        entered = all(above.stat().st_mode & stat.S_IXOTH for above in folder.resolve().parents)
    except OSError:
        return None
    return mode if mode & _OTHERS and entered else None


def closed(mode: int) -> int:
    """The same mode without rights for everybody."""
    return mode & ~_OTHERS
