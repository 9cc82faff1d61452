"""activity_log.csv: a line at the start and one at the finish of every activity, for people and spreadsheets.

The file is only ever appended to, whole lines at a time, so that readers may follow it. A line that a crash
cut short is removed at the next start. Lines wait until the thread that commits checkpoints calls `write`
before a transaction: every activity that has a checkpoint has its finish here. A file that has grown large is
renamed to the time of that, such as activity_log-20260131T093000Z.csv, and another is begun.
"""

import asyncio
import contextlib
import math
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

import structlog

from docpipe.errors import StateError
from docpipe.model import Clock, Json
from docpipe.util.fsync import sync_folder, write_all
from docpipe.util.json import to_json

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
CURRENT: Final = "activity_log.csv"
"""The file that is written; others are rotated."""
_HEAD: Final = ",".join(COLUMNS) + "\r\n"
ROTATE_BYTES: Final = 64 * 2**20
"""A file of this size is rotated."""
_RETRY_FULL_S: Final = 5.0
_FORMULA: Final = (
    "=",
    "+",
    "-",
    "@",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
"""What spreadsheets take for the beginning of a formula; behind an apostrophe it is text."""
_TAIL_BYTES: Final = 64 * 1024


class Entry:
    """Which try of which activity; `args` holds no names and no birth dates."""

    __slots__ = ("activity", "args", "attempt", "patient", "run_id")

    def __init__(self, run_id: str, patient_id: str, activity: str, attempt: int, args: Json) -> None:
        self.run_id = run_id
        self.activity = activity
        self.attempt = attempt
        if not patient_id.isprintable():  # a line break would cut the record
            patient_id = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in patient_id)
        self.patient = _quoted(f"'{patient_id}" if patient_id.startswith(_FORMULA) else patient_id)
        self.args = _quoted(to_json(args)) if args else "{}"


def _quoted(text: str) -> str:
    """A field of CSV (RFC 4180); what is printed here has no line breaks."""
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().removesuffix("+00:00")


@lru_cache(maxsize=1)  # of a thousand runs at work, many write in the same millisecond
def _timestamp(millis: int) -> str:
    return f"{_second(millis // 1000)}.{millis % 1000:03d}+00:00"


class ActivityLog:
    """The open log. Use as an async context manager."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Open the log of a state folder, and mend its end.

        Raises:
            StateError: if it cannot be opened.
        """
        self._path = folder / CURRENT
        self._clock = clock
        self._lines: list[str] = []
        self._rest = b""
        """What a full disk has not taken yet."""
        self._writing = threading.Lock()
        self._given_up = asyncio.Event()
        self._size = 0
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = _mend(self._file)
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}.") from error

    async def __aenter__(self) -> Self:
        if not self._size:
            self._lines.append(_HEAD)
            await self.flush()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give_up()
        await self.flush()
        os.close(self._file)

    def give_up(self) -> None:
        """Stop waiting for a full disk: lines that cannot be written are lost."""
        self._given_up.set()

    def start(self, entry: Entry) -> None:
        """Note that an activity begins."""
        self._line(entry, "start", "", "")

    def finish(self, entry: Entry, duration: float, outcome: str) -> None:
        """Note how an activity ended (seconds, a word)."""
        self._line(entry, "finish", f"{duration:.3f}", outcome)

    def _line(self, entry: Entry, event: str, duration: str, outcome: str) -> None:
        at = _timestamp(int(self._clock() * 1000))
        self._lines.append(
            f"{at},{entry.run_id},{entry.patient},{entry.activity},{event},"
            f"{entry.attempt},{entry.args},{duration},{outcome}\r\n"
        )

    def write(self) -> None:
        """Hand all lines until now to the operating system. Runs in any thread.

        Raises:
            OSError: the disk is full; what it has not taken is tried again the next time, before all else.
        """
        with self._writing:
            lines = self._lines[:]
            del self._lines[: len(lines)]  # others may be added meanwhile
            self._rest += "".join(lines).encode()
            while self._rest:
                written = os.write(self._file, self._rest)
                self._rest = self._rest[written:]
                self._size += written
            if self._size >= ROTATE_BYTES:
                self._rotate()

    async def flush(self) -> None:
        """Return when all lines until now are handed to the operating system, or were given up."""
        warned = False
        while True:
            try:
                return await asyncio.to_thread(self.write)
            except OSError as error:
                if not warned:
                    log.warning("activity_log_not_written", reason=error.strerror)
                warned = True
                if self._given_up.is_set():
                    return None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._given_up.wait(), _RETRY_FULL_S)

    def _rotate(self) -> None:
        """Rename the file and begin another; if that fails, this one stays in use."""
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside, new = self._path.with_name(f"activity_log-{stamp}.csv"), self._path.with_suffix(".new")
        self._size = 0  # tried again when as much again is written
        try:
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            try:
                self._size = os.write(file, _HEAD.encode())
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

    async def remove(self, is_about: Callable[[bytes], bool]) -> int:
        """Write the file anew without some lines, durably; returns how many they were.

        Raises:
            OSError: the disk is full or broken; the file is as it was.
        """

        def work() -> int:
            self.write()
            with self._writing:
                lines = self._path.read_bytes().splitlines(keepends=True)
                kept = [line for line in lines if not is_about(line)]
                self._path.with_suffix(".new").unlink(missing_ok=True)  # a crash may have left lines in it
                if len(kept) < len(lines):
                    self._replace(b"".join(kept))
                return len(lines) - len(kept)

        return await asyncio.to_thread(work)

    def _replace(self, content: bytes) -> None:
        new = self._path.with_suffix(".new")
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            write_all(file, content)
            os.fsync(file)
            new.rename(self._path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self._size = file, len(content)
        sync_folder(self._path.parent)

    async def prune(self, before: float) -> int:
        """Remove files rotated before then (seconds since the epoch); returns how many."""

        def work() -> int:
            old = [path for path in self._path.parent.glob("activity_log-*.csv") if _age(path) < before]
            for path in old:
                path.unlink(missing_ok=True)
            return len(old)

        return await asyncio.to_thread(work)


def _age(path: Path) -> float:
    """When the file was rotated, from its name; infinity for other names."""
    try:
        return datetime.strptime(path.stem, "activity_log-%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return math.inf


def _mend(file: int) -> int:
    """Remove an incomplete last line; returns the size after it. No field holds a line break."""
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
