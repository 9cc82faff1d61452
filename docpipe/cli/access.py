"""The message for a file or folder that cannot be used, the same in every command."""

import errno
import os
import pwd
from pathlib import Path
from typing import Final

_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_CURES: Final = {
    errno.EROFS: "its disk is read-only; name a folder on another disk",
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room on its disk, or ask for a larger quota",
    errno.ENOTDIR: "part of this path is not a folder; check the configuration",
    errno.EISDIR: "it is a folder, and a file is needed",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter one",
    errno.ELOOP: "its symbolic links form a loop; correct them",
    errno.EIO: "its disk reports errors; check it",
    errno.ESTALE: "its network share is gone; mount it again",
    errno.ENOTCONN: "its network share is gone; mount it again",
}


def sentence_of(error: BaseException) -> str | None:
    """Cause and cure of an error of the file system, also one of several tasks; None of any other error."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(sentence_of, error.exceptions)), None)
    if not isinstance(error, OSError) or not isinstance(error.filename, str | bytes | os.PathLike):
        return None
    path = Path(os.fsdecode(error.filename))
    if error.errno in _FORBIDDEN:
        path, owner = _barrier(path.absolute())
        return f"{path} cannot be used ({error.strerror}): {_by(owner)}."
    cure = _CURES.get(error.errno or 0)
    return cure and f"{path} cannot be used ({error.strerror}): {cure}."


def _barrier(path: Path) -> tuple[Path, int | None]:
    """The file, or the folder above it that may not be entered, with its owner where that can be known."""
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            return folder, _owner(folder)
    return path, _owner(path)


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _by(owner: int | None) -> str:
    """Who owns it, and what to do."""
    if owner is None or owner == os.geteuid():
        return "correct its permissions, or name another one in the configuration"
    who = _name(owner)
    return f"it belongs to the user {who}. Run docpipe as {who}, or name another one in the configuration"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
