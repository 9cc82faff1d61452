"""Opens files that are no links, in a thread: one whose caller is cancelled meanwhile is closed."""

import asyncio
import errno
import hashlib
import os
import stat
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO


async def open_file(path: Path, executor: Executor | None = None) -> BinaryIO:
    """Open a file for reading, unless it is a link.

    Raises:
        OSError: as the system has it.
    """
    opening = asyncio.get_running_loop().run_in_executor(executor, _open, path)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _open(path: Path) -> BinaryIO:
    return open(path, "rb", opener=no_link)


def _close(opening: "asyncio.Future[BinaryIO]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def no_link(path: str, flags: int) -> int:
    """An opener that follows no link: a converter that was taken over could leave one."""
    return os.open(path, flags | os.O_NOFOLLOW)


def size_and_digest(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file; a converter that was taken over could leave a link."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with open(path, "rb", opener=no_link) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return os.fstat(file.fileno()).st_size, digest
