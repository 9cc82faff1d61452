"""Lives: docpipe as a process that can die in virtual time, as hard as SIGKILL.

At the moment of death the disk is copied, and the next life finds that copy, so that nothing which the dying
one still does on its way out can count; what it would still send is refused.
"""

import asyncio
import contextlib
import contextvars
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docpipe.app
from tests import failpoints


class Crash(BaseException):
    """The process is dead."""


_LIFE: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


@dataclass(eq=False)
class Life:
    """One process, from its start to its end or death."""

    disk: Path
    kill: int | None
    """The number of the point at which it dies, from 1."""
    passed: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    opened: list[Callable[[], None]] = field(default_factory=list)
    """Closes what its death left open in this process."""
    dead: bool = False

    @property
    def copy(self) -> Path:
        return self.disk.with_name("copy")

    def hit(self, name: str) -> None:
        """Pass a point, or die at it."""
        if self.dead:
            raise Crash
        self.passed.append(name)
        if len(self.passed) == self.kill:
            self.die()
            raise Crash

    def die(self) -> None:
        """Nothing that happens from now on matters."""
        copied(self.disk, self.copy)
        self.dead = True
        for task in self.tasks:
            task.cancel()

    async def note_exit(self) -> None:
        """Let its tasks end, close what they left open, put the disk of the moment of its death in place."""
        for _ in range(100):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            await asyncio.wait(left, timeout=1)
            for task in left:
                task.cancel()
        else:
            raise AssertionError(f"tasks that do not end: {left}")
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for close in self.opened:
            close()
        shutil.rmtree(self.disk)
        self.copy.rename(self.disk)


@dataclass
class _Points:
    life: Life | None = None
    lives: list[Life] = field(default_factory=list)

    def hit(self, name: str) -> None:
        """Tell the life that is lived now."""
        if self.life is not None:
            self.life.hit(name)

    def at_death(self, close: Callable[[], None]) -> None:
        """Close this when the life that is lived now has died."""
        if self.life is not None:
            self.life.opened.append(close)


POINTS = _Points()


def copied(source: Path, target: Path) -> None:
    """Copy a folder; files with two names still have both."""
    names: dict[int, Path] = {}
    for folder, _folders, files in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir()
        for name in files:
            path = Path(folder, name)
            inode = path.stat().st_ino
            if inode in names:
                (there / name).hardlink_to(names[inode])
            else:
                shutil.copyfile(path, there / name)
                names[inode] = there / name


def _tracked(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **more)
    context = more.get("context")
    if (life := _LIFE.get() if context is None else context.get(_LIFE)) is not None:
        life.tasks.append(task)
        if life.dead:
            task.cancel()
    return task


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """The failpoints in place, and every file that a life opens noted, to be closed after its death."""

    def note(close: Callable[[], Any]) -> None:
        def quietly() -> None:
            with contextlib.suppress(OSError):
                close()

        if POINTS.life is not None:
            POINTS.life.opened.append(quietly)

    def open_database(*args: Any) -> Any:
        checkpoints = real_open(*args)
        checkpoints._db.execute("PRAGMA busy_timeout = 0")  # SQLite would wait for a lock in real time
        note(checkpoints._db.close)
        note(checkpoints._reader.close)
        return checkpoints

    class ActivityLog(docpipe.app.ActivityLog):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self._closed = False
            note(self._close)

        def _close(self) -> None:
            if not self._closed:
                os.close(self._file)

        async def __aexit__(self, *error: object) -> None:
            await super().__aexit__(*error)
            self._closed = True

    real_open, real_log = docpipe.app.open_database, docpipe.app.ActivityLog
    docpipe.app.open_database, docpipe.app.ActivityLog = open_database, ActivityLog
    try:
        with failpoints.installed(POINTS.hit):
            yield
    finally:
        docpipe.app.open_database, docpipe.app.ActivityLog = real_open, real_log


async def lived(life: Life, work: Coroutine[Any, Any, None]) -> None:
    """Live a life to its end; after a death the disk is as it was at that moment."""
    context = contextvars.copy_context()
    context.run(_LIFE.set, life)
    asyncio.get_running_loop().set_task_factory(_tracked)
    POINTS.life = life
    POINTS.lives.append(life)
    try:
        whole = asyncio.create_task(work, context=context)
        await asyncio.wait((whole,))
    finally:
        POINTS.life = None
    if life.dead:
        await life.note_exit()
    else:
        await whole
