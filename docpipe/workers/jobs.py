"""The kinds of jobs: how files reach a worker and come back, and the sentences for their errors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from docpipe.model import WaitKind
from docpipe.workers.answers import Conversion, any_value, take_converted
from docpipe.workers.rooms import Room


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of errors, or their parts; {} is a time, an amount or a cause."""

    worker: str
    """The subject of a sentence."""
    time: str
    memory: str
    transfer: str
    """Its files could not be brought to a worker and back."""


class Returned(Protocol):
    """An answer whose files are still in the worker's room."""

    @property
    def alive(self) -> bool:
        """Whether the worker may live while they are taken."""

    def take(self) -> tuple[Any, bool]:
        """Take the files; returns what the caller gets, and whether the room is fit for another job.

        Raises:
            MisfitError: the files are not those of the answer.
            OSError: the disk is full or broken.
        """


class JobKind(Protocol):
    """A kind of job."""

    words: Words
    wait: WaitKind
    """What a caller in line waits for."""
    programs: bool
    """Whether workers may start processes and threads."""

    def has_files(self, job: Any) -> bool:
        """Whether anything is to be brought."""

    def put(self, room: Room, job: Any) -> Any:
        """Bring the files; returns the job as the worker gets it, as JSON.

        Raises:
            OSError: a file is not there, or the disk is full.
        """

    def answered(self, value: msgspec.Raw, room: Room, job: Any) -> Returned:
        """Read an answer.

        Raises:
            MisfitError: it does not fit.
        """


@dataclass(frozen=True, slots=True)
class _Converted:
    value: msgspec.Raw
    room: Room
    job: Any
    alive: bool = True

    def take(self) -> tuple[Conversion, bool]:
        return take_converted(self.value, self.room, Path(self.job["folder"]))


@dataclass(frozen=True, slots=True)
class _Value:
    """Of a job without files."""

    value: Any
    alive: bool = True

    def take(self) -> tuple[Any, bool]:
        return self.value, True


class Conversions:
    """Documents to convert; a job without a folder has no files."""

    words = Words(
        worker="The converter",
        time="The conversion took longer than {}.",
        memory="The document needs more than {} of memory.",
        transfer="The document could not be brought to its converter and back ({}).",
    )
    wait = WaitKind.CONVERSION
    programs = True

    def has_files(self, job: Any) -> bool:
        """As of `JobKind`."""
        return isinstance(job, dict) and "folder" in job

    def put(self, room: Room, job: Any) -> Any:
        """As of `JobKind`."""
        return room.put(job)

    def answered(self, value: msgspec.Raw, room: Room, job: Any) -> Returned:
        """As of `JobKind`."""
        return _Converted(value, room, job) if self.has_files(job) else _Value(any_value(value))
