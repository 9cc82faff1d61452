"""Opens files in a thread; a file whose caller is cancelled meanwhile is closed."""

import asyncio
import os
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
