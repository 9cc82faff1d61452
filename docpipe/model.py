"""The words everything else is said in: activities, outcomes, states, patients, and who waits for what."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

Json = Any
"""A value that `json.dumps` takes: what activities take and return, and what checkpoints hold."""

Clock = Callable[[], float]
"""Seconds since the epoch. `time.time` in production; tests hand in a virtual one."""


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
    """What became of one file of the archive; every file has exactly one."""

    CONVERTED = "converted"  # readable forms were made and stored beside the original
    STORED = "stored"  # kept as it is: there is no converter for its type
    FAILED = "failed"  # kept as it is where it could be read at all; the reason says why
    DUPLICATE = "duplicate"  # the same bytes came before in this archive
    IGNORED = "ignored"  # empty, or the litter of an operating system
    REFUSED = "refused"  # unsafe to unpack


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"  # accepted, not begun
    RUNNING = "running"  # begun, not finished; also after a crash, until resumed
    COMPLETED = "completed"  # every file is converted, stored, duplicate or ignored
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # done, but some files failed or were refused
    FAILED = "failed"  # something stopped the whole patient
    CANCELLING = "cancelling"  # given up; the tracker has yet to be told, also after a crash
    CANCELLED = "cancelled"  # given up, and the tracker told

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the run by itself."""
        return self not in (RunState.QUEUED, RunState.RUNNING, RunState.CANCELLING)


class WaitKind(StrEnum):
    """What a run can wait for."""

    ADMISSION = "admission"  # its turn to begin
    QUOTA = "quota"  # a place under an endpoint's quota
    OUTAGE = "outage"  # a service that is down
    RETRY = "retry"  # the pause before its own request is tried again
    POLL = "poll"  # the next question after its search
    DOWNLOAD = "download"  # a place among the downloads
    CONVERSION = "conversion"  # a free worker
    DISK = "disk"  # room on the disk
    TOKEN = "token"  # noqa: S105 -- a token of a service, which somebody else is getting
    PAUSE = "pause"  # somebody has told docpipe to pause, or to leave a service alone


@dataclass(frozen=True, slots=True)
class Wait:
    """What somebody waits for. Times are of the clock that the gate uses (seconds since the epoch)."""

    kind: WaitKind
    what: str
    """The endpoint or service, such as `docex.search`; empty where the kind says it all."""
    since: float
    until: float | None = None
    """When it should go on, as far as is known."""
    place: int | None = None
    """Place in line, 1 for the next."""


PRIORITY_WORTH_S: Final = 3600.0
"""A level of priority is worth this much waiting, at every line: who has waited an hour longer than a
caller of the next higher priority goes first, so nobody starves, and the order of a line never changes."""


@dataclass(slots=True, eq=False)
class Ticket:
    """Who asks at a gate: one activity of one run. Gates write `wait` while the holder waits."""

    run_id: str = ""
    priority: int = 0
    """Higher goes first."""
    wait: Wait | None = None

    def urgency(self, now: float) -> float:
        """The key by which lines are sorted, smallest first, for a caller that arrives at `now`."""
        return now - self.priority * PRIORITY_WORTH_S


class Step(Protocol):
    """What an activity knows of the try it runs in; whichever engine runs it supplies this."""

    @property
    def key(self) -> str:
        """An idempotency key: the same at every try, after crashes too."""

    @property
    def ticket(self) -> Ticket:
        """Who asks, for gates."""

    @property
    def state(self) -> Json | None:
        """What an earlier try saved, None at the first."""

    async def save(self, state: Json) -> None:
        """Keep `state` for later tries; durable when this returns."""

    def note(self, state: Json) -> None:
        """Keep `state` for later tries, soon: what a crash may lose without harm."""


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
_PAIRS: Final = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)


@dataclass(slots=True)
class RunIds:
    """Makes ULIDs (https://github.com/ulid/spec) that sort by time, from a clock and a seedable source."""

    clock: Clock = time.time
    rng: random.Random = field(default_factory=random.SystemRandom)
    _last: int = 0

    def new(self) -> str:
        """A new id of 26 characters, larger than every one made before it here."""
        value = (int(self.clock() * 1000) << 80) | self.rng.getrandbits(80)
        self._last = value = max(value, self._last + 1)
        return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -10, -10)])
