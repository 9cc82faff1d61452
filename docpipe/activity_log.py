"""activity_log.csv: a line at the start and one at the finish of every activity, for people and spreadsheets.

The file is only ever appended to, whole lines at a time, so that readers may follow it. A line that a crash
cut short is taken away at the next start. A finish is written before its checkpoint: every activity that has
a checkpoint has its finish here. A file that has grown large is put aside under the time of that, such as
activity_log-20260131T093000Z.csv, and another is begun.
"""

import asyncio
import contextlib
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import structlog
from aiocsv import AsyncWriter

from docpipe.errors import StateError
from docpipe.model import Clock, Json

log = structlog.get_logger(__name__)

COLUMNS: Final = (
    "timestamp",
    "run_id",
    "patient_id",
    "activity",
    "event",
    "attempt",
    "args",
    "duration_s",
    "outcome",
)
ROTATE_BYTES: Final = 64 * 2**20
"""A file of this size is put aside."""
_RETRY_FULL_S: Final = 5.0
_TAIL_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """Which try of which activity; `args` bears no names and no birth dates."""

    run_id: str
    patient_id: str
    activity: str
    attempt: int
    args: Json


class _Buffer:
    """What aiocsv writes to: lines wait here until they are appended all at once."""

    def __init__(self) -> None:
        self.text: list[str] = []

    async def write(self, text: str) -> int:
        self.text.append(text)
        return len(text)

    def take(self) -> bytes:
        text, self.text = self.text, []
        return "".join(text).encode()


class ActivityLog:
    """The open log. Use as an async context manager."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Open the log of a state folder, and mend its end.

        Raises:
            StateError: if it cannot be opened.
        """
        self._path = folder / "activity_log.csv"
        self._clock = clock
        self._buffer = _Buffer()
        self._rows = AsyncWriter(self._buffer)
        self._thread = ThreadPoolExecutor(1, "activity-log")
        self._task: asyncio.Task[None] | None = None
        self._given_up = asyncio.Event()
        self._over = False
        """A line was given up, and may stand there in part: nothing can follow it."""
        self._size = 0
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = _mend(self._file)
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}.") from error

    async def __aenter__(self) -> Self:
        if not self._size:
            await self._rows.writerow(COLUMNS)
            await self._flush()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give_up()
        await self._flush()
        self._thread.shutdown()
        os.close(self._file)

    def give_up(self) -> None:
        """Wait for room on a full disk no more: lines that cannot be written are lost."""
        self._given_up.set()

    async def start(self, entry: Entry) -> None:
        """Note that an activity begins."""
        await self._row(entry, "start", "", "")
        self._flush_soon()

    async def finish(self, entry: Entry, duration: float, outcome: str) -> None:
        """Note how an activity ended (seconds, a word); handed to the operating system when this returns.

        Raises:
            CancelledError: the disk is full and was given up: there must be no checkpoint without its line.
        """
        await self._row(entry, "finish", f"{duration:.3f}", outcome)
        await self._flush()
        if self._over:
            raise asyncio.CancelledError

    async def _row(self, entry: Entry, event: str, duration: str, outcome: str) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        args = json.dumps(entry.args, separators=(",", ":"))
        patient = entry.patient_id
        if not patient.isprintable():  # a line break would cut the record
            patient = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in patient)
        await self._rows.writerow(
            (
                now,
                entry.run_id,
                patient,
                entry.activity,
                event,
                entry.attempt,
                args,
                duration,
                outcome,
            )
        )

    def _flush_soon(self) -> asyncio.Task[None]:
        """One append serves everybody who wrote a line before it began."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._append_all(), name="activity-log")
        return self._task

    async def _flush(self) -> None:
        while self._buffer.text or (self._task is not None and not self._task.done()):
            await asyncio.shield(self._flush_soon())

    async def _append_all(self) -> None:
        loop = asyncio.get_running_loop()
        told = False
        while (lines := self._buffer.take()) and not self._over:
            while lines:
                try:
                    written = await loop.run_in_executor(self._thread, os.write, self._file, lines)
                except OSError as error:  # a full disk: nothing goes on until the line is written
                    if not told:
                        log.warning("activity_log_not_written", reason=error.strerror)
                    told = True
                    if self._given_up.is_set():
                        self._over = True
                        return
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._given_up.wait(), _RETRY_FULL_S)
                else:
                    lines = lines[written:]
                    self._size += written
            if self._size >= ROTATE_BYTES:
                await loop.run_in_executor(self._thread, self._rotate)

    def _rotate(self) -> None:
        """Put the file aside and begin another; where that cannot be, this one is gone on with."""
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside, new = self._path.with_name(f"activity_log-{stamp}.csv"), self._path.with_suffix(".new")
        self._size = 0  # tried again when as much again is written
        try:
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            try:
                self._size = os.write(file, f"{','.join(COLUMNS)}\r\n".encode())
                self._path.rename(aside)
                new.rename(self._path)
            except OSError:
                os.close(file)
                raise
        except OSError as error:
            log.warning("activity_log_not_rotated", reason=error.strerror)
            return
        os.close(self._file)
        self._file = file

    async def prune(self, before: float) -> int:
        """Remove files that were put aside before then (seconds since the epoch); returns how many."""

        def work() -> int:
            old = [path for path in self._path.parent.glob("activity_log-*.csv") if _age(path) < before]
            for path in old:
                path.unlink(missing_ok=True)
            return len(old)

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _age(path: Path) -> float:
    """When it was put aside, as its name says; never, where it says nothing."""
    try:
        return datetime.strptime(path.stem, "activity_log-%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return math.inf


def _mend(file: int) -> int:
    """Take away a last line that was cut short; returns the size then. No field holds a line break."""
    size = os.fstat(file).st_size
    while size:
        start = max(0, size - _TAIL_BYTES)
        tail = os.pread(file, size - start, start)
        end = tail.rfind(b"\n")
        if end >= 0 or start == 0:
            whole = start + end + 1
            if whole != os.fstat(file).st_size:
                log.warning("activity_log_mended", bytes_removed=os.fstat(file).st_size - whole)
                with contextlib.suppress(OSError):
                    os.ftruncate(file, whole)
            return whole
        size = start
    return 0
