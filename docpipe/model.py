"""The domain: activities, outcomes, states of runs, waits, tickets, patients and rates."""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from msgspec import Struct

Json = Any
"""A value that `json.dumps` takes."""

_S = TypeVar("_S", bound="Struct")

Clock = Callable[[], float]
"""Seconds since the epoch. `time.time` in production; tests pass in a virtual one."""


class Activity(StrEnum):
    """A unit of work that touches the world, by the name it has everywhere."""

    GET_PATIENT = "GetPatientFromDB"
    CREATE_TASK = "TaskTracker_Create"
    SEARCH = "DocEx_Search"
    CHECK_STATUS = "DocEx_CheckStatus"
    DOWNLOAD = "DocEx_DownloadAndExtract"
    CONVERT = "ConvertFile"
    STORE = "PutToStorage"
    UPDATE_STATUS = "TaskTracker_UpdateStatus"
    REPORT = "GenerateReport"
    APPEND_REPORT = "TaskTracker_AppendReport"


class Outcome(StrEnum):
    """The result for a file of the archive; every file has exactly one."""

    CONVERTED = "converted"  # readable forms were made and stored beside the original
    STORED = "stored"  # stored without a conversion: there is no reader for its type
    FAILED = "failed"  # stored without a conversion if it could be extracted; has a reason
    DUPLICATE = "duplicate"  # the same bytes as an earlier file of the archive
    IGNORED = "ignored"  # empty, or a by-product of an operating system
    REFUSED = "refused"  # unsafe to unpack


OUTCOMES: Final = {
    Outcome.CONVERTED: "readable",
    Outcome.STORED: "kept as it is",
    Outcome.FAILED: "could not be read",
    Outcome.REFUSED: "refused as unsafe",
    Outcome.DUPLICATE: "the same as another",
    Outcome.IGNORED: "left out",
}
"""What people read of an outcome, on the terminal, in reports and on the page; a test compares."""


class RunState(StrEnum):
    """The state of a run."""

    QUEUED = "queued"  # accepted, not started
    RUNNING = "running"  # started, not finished; also after a crash, until resumed
    COMPLETED = "completed"  # every file is converted, stored, duplicate or ignored
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # done, but some files failed or were refused
    FAILED = "failed"  # an error stopped the whole run
    CANCELLING = "cancelling"  # being cancelled; the task is not updated yet, also after a crash
    CANCELLED = "cancelled"  # cancelled, and the task updated

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self not in (RunState.QUEUED, RunState.RUNNING, RunState.CANCELLING)


class WaitKind(StrEnum):
    """What a run can wait for."""

    ADMISSION = "admission"  # its turn to start
    QUOTA = "quota"  # a place under an endpoint's quota
    OUTAGE = "outage"  # a service that is down
    RETRY = "retry"  # the pause before its own request is tried again
    POLL = "poll"  # the next poll of its search
    DOWNLOAD = "download"  # a place among the downloads
    CONVERSION = "conversion"  # a free worker
    DISK = "disk"  # free space on the disk
    LOCAL = "local"  # the end of another trouble of this machine, such as a mount without its server
    TOKEN = "token"  # noqa: S105 -- a token of a service, which somebody else is getting
    QUOTA_STORE = "quota_store"  # the Redis that counts the quotas of several processes
    PAUSE = "pause"  # a person has paused docpipe or a service


class WaitWords(NamedTuple):
    """The words for a kind of wait. `{what}` is replaced by the endpoint, service or place."""

    state: str
    """As a predicate: "waits for the quota of docex.search"."""
    subject: str
    """After "for": "the quota of docex.search"."""
    noun: str
    """The same in a legend, without `{what}`: "a quota"."""


WAITS: Final = {
    WaitKind.ADMISSION: WaitWords("waits for its turn to begin", "its turn to begin", "its turn"),
    WaitKind.QUOTA: WaitWords("waits for the quota of {what}", "the quota of {what}", "a quota"),
    WaitKind.OUTAGE: WaitWords("{what} is down", "{what} to be up again", "an outage"),
    WaitKind.RETRY: WaitWords("tries {what} again", "another try at {what}", "another try"),
    WaitKind.POLL: WaitWords("waits for the search", "the search", "the search"),
    WaitKind.DOWNLOAD: WaitWords(
        "waits for a place among the downloads", "a place among the downloads", "a download place"
    ),
    WaitKind.CONVERSION: WaitWords("waits for a free converter", "a free converter", "a free converter"),
    WaitKind.DISK: WaitWords(
        "the disk is full ({what}): make room, and docpipe continues", "room on the disk", "room on the disk"
    ),
    WaitKind.LOCAL: WaitWords("{what}", "this machine ({what})", "this machine"),
    WaitKind.TOKEN: WaitWords("waits for a token ({what})", "a token ({what})", "a token"),
    WaitKind.QUOTA_STORE: WaitWords(
        "the quota store at {what} is down: start it, and docpipe continues",
        "the quota store to be up again",
        "the quota store",
    ),
    WaitKind.PAUSE: WaitWords("{what} is paused", "the end of a pause", "a pause"),
}


def describe_wait(kind: str, what: str, place: int | None = None) -> str:
    """Describe a wait as a sentence without its full stop; accepts kinds of a newer docpipe."""
    words = WAITS[WaitKind(kind)].state if kind in list(WaitKind) else "waits ({what})"
    text = words.format(what=what or "docpipe")
    return text if not place else f"{text}, place {place} in line"


def describe_subject(kind: str, what: str) -> str:
    """Describe a wait in words that follow "for"."""
    return WAITS[WaitKind(kind)].subject.format(what=what or "docpipe")


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for. Times are seconds since the epoch, by the clock of the gate."""

    kind: WaitKind
    what: str
    """The endpoint or service, such as `docex.search`; empty if the kind is enough."""
    since: float
    until: float | None = None
    """When the wait should end, if that is known."""
    place: int | None = None
    """Place in line, 1 for the next."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a download is."""

    received: int
    """Bytes, with those of earlier attempts."""
    size: int | None
    """Of the whole, None where the server does not say."""
    rate: float
    """Bytes a second, over the last ten seconds."""


def describe_transfer(transfer: Transfer) -> str:
    """Describe a download in a few words: `312 MB of 1.2 GB, 3.4 MB/s`."""
    whole = "" if transfer.size is None else f" of {describe_bytes(transfer.size)}"
    return f"{describe_bytes(transfer.received)}{whole}, {describe_bytes(transfer.rate)}/s"


def describe_bytes(size: float) -> str:
    """Describe a size: `312 MB`."""
    for unit, worth in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= worth:
            return f"{size / worth:.{0 if size >= 10 * worth else 1}f} {unit}"
    return f"{size:.0f} bytes"


def count_of(count: int, one: str) -> str:
    """A count with its word: `1 document`, `1,200 documents`."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"


PRIORITY_WORTH_S: Final = 3600.0
"""Seconds of waiting that equal one level of priority, at every line: a caller that has waited an hour
longer than one of the next higher priority goes first. No caller starves, and a line never changes order."""


@dataclass(slots=True, eq=False)
class Ticket:
    """Identifies a waiting activity to gates, slots and workers, which set `wait` while it waits."""

    run_id: str = ""
    priority: int = 0
    """Higher goes first."""
    wait: Wait | None = None
    transfer: Transfer | None = None
    """Set while a body arrives."""

    def urgency(self, now: float) -> float:
        """The key that lines are sorted by, smallest first, for a caller that arrives at `now`."""
        return now - self.priority * PRIORITY_WORTH_S


class Step(Protocol):
    """One attempt at an activity, as the activity sees it; supplied by the engine."""

    @property
    def key(self) -> str:
        """An idempotency key: the same at every attempt, also after a crash."""

    @property
    def ticket(self) -> Ticket:
        """Identifies the run to gates and slots."""

    def saved(self, kind: type[_S]) -> _S | None:
        """The state that this attempt or an earlier one saved, None if there is none."""

    async def save(self, state: "Struct") -> None:
        """Save `state` for later attempts; durable when this returns."""

    def note(self, state: "Struct") -> None:
        """Save `state` for later attempts soon; a crash may lose it."""

    async def until(self, when: float, wait: Wait) -> None:
        """Wait for a time, in seconds since the epoch; at once where it is past.

        An engine may end the attempt instead, and begin another one then with the state that was noted.

        Args:
            when: the time.
            wait: what the run waits for meanwhile.
        """


class Spool(Protocol):
    """Where the files of runs are that are not stored yet: a folder of this machine, which others may share.

    Names are relative to the folder of a run.
    """

    def path(self, run_id: str) -> Path:
        """The folder of a run on this machine; it may not exist yet."""

    async def keep(self, run_id: str, names: Iterable[str]) -> None:
        """Let every machine have these files, which were written here; durable when this returns."""

    async def need(self, run_id: str, names: Iterable[str]) -> None:
        """Bring these files here, where they are not.

        Raises:
            SpoolLostError: if one is nowhere any more.
        """

    async def drop(self, run_id: str) -> None:
        """Remove the files of a run everywhere; without an error where there are none."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A row of the patients database. Dates are ISO 8601."""

    id: str
    given: str
    family: str
    birth_date: str
    sex: str = "unknown"
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `n` in any window of `per` seconds."""

    n: int
    per: float

    def __str__(self) -> str:
        units = {1.0: "sec", 60.0: "min", 3600.0: "hour"}
        return f"{self.n}/{units.get(self.per, f'{self.per:g} s')}"


_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID, _OF_TIME = 26, 10
"""Letters of an id, and of the time in it."""
_PAIRS: Final = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)


def time_of(run_id: str) -> float | None:
    """When a ULID was made, in seconds since the epoch; None where it is none."""
    if len(run_id) != _ULID or not set(run_id) <= set(_CROCKFORD):
        return None
    millis = 0
    for letter in run_id[:_OF_TIME]:
        millis = millis << 5 | _CROCKFORD.index(letter)
    return millis / 1000


@dataclass(slots=True)
class RunIds:
    """Makes ULIDs (https://github.com/ulid/spec) that sort by time, from a clock and a seedable source.

    Args:
        clock: the wall clock. Where it was set back, new ids follow the last one all the same.
        rng: the source of randomness.
        after: the last id of an earlier process; new ids are larger.
    """

    clock: Clock = time.time
    rng: random.Random = field(default_factory=random.SystemRandom)
    after: str = ""
    _last: int = 0

    def __post_init__(self) -> None:
        for letter in self.after:
            self._last = self._last << 5 | _CROCKFORD.index(letter)

    def new(self) -> str:
        """A new id of 26 characters, larger than every one made before it here."""
        value = (int(self.clock() * 1000) << 80) | self.rng.getrandbits(80)
        self._last = value = max(value, self._last + 1)
        return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -10, -10)])
