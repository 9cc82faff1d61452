"""What the API sends: the service encodes these values, its description lists them, the client decodes them.

Members that a newer service adds are ignored; one that an older service lacks has its default. Words such as
states are texts here, so that a client reads new ones; the description lists today's. Times are in UTC.
"""

import functools
from datetime import UTC, datetime
from typing import Annotated, Any, Final, overload

from msgspec import Meta, Struct, field

from docpipe.api.facts import StepFacts
from docpipe.api.machines import Disk, Fleet
from docpipe.api.transfer import Transfer
from docpipe.model import Activity, Outcome, RunState, WaitKind


def _one_of(words: Any) -> Meta:
    return Meta(extra_json_schema={"enum": list(words)})


def _counts(words: Any) -> Meta:
    each = {str(word): {"type": "integer", "minimum": 0} for word in words}
    return Meta(extra_json_schema={"properties": each, "required": list(each), "additionalProperties": False})


RunId = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"})]
DocumentId = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{16}$"})]
Cursor = Annotated[str, Meta(extra_json_schema={"pattern": "^-?[0-9]-[0-9A-HJKMNP-TV-Z]{26}$"})]
State = Annotated[str, _one_of(RunState)]
ActivityName = Annotated[str, _one_of(Activity)]
Kind = Annotated[str, _one_of(WaitKind)]
Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Number = Annotated[int, Meta(extra_json_schema={"minimum": 1})]
Time = Annotated[datetime, Meta(tz=True)]
Priority = Annotated[int, Meta(extra_json_schema={"minimum": -9, "maximum": 9})]
FINISHED: Final = frozenset(state.value for state in RunState if state.finished)


@overload
def moment(when: float) -> datetime: ...
@overload
def moment(when: float | None) -> datetime | None: ...
def moment(when: float | None) -> datetime | None:
    """A POSIX time as UTC with milliseconds, None as None."""
    return None if when is None else _moment(when)


@functools.lru_cache(4096)  # the same times are sent again and again
def _moment(when: float) -> datetime:
    return datetime.fromtimestamp(round(when, 3), UTC)


class Shape(Struct, frozen=True):
    """A value of the API."""


class Wait(Shape, frozen=True, kw_only=True):
    """What a run waits for."""

    kind: Kind
    """Such as `quota`, `outage` or `poll`."""
    what: str
    since: Time
    until: Time | None = None
    place: Number | None = None
    """In line, 1 for the next."""
    sentence: str = field(name="told", default="")
    """For people."""


class Doing(Shape, frozen=True, kw_only=True):
    """The current activity of a run."""

    activity: ActivityName
    since: Time
    progress: Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 1})] | None = None
    """Of the search."""
    wait: Wait | None = None
    transfer: Transfer | None = None


class Run(Shape, frozen=True, kw_only=True):
    """A run, also one that was just accepted."""

    run_id: RunId
    patient_id: str
    priority: Priority = 0
    state: State
    created_at: Time | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    task_id: str | None = None
    error: str | None = None
    retries: Count = 0
    documents: Annotated[dict[str, int], _counts(Outcome)] = {}
    """How many files by outcome, so far."""
    files: Count | None = None
    """The number of all files, None while that is unknown."""
    doing: Doing | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in FINISHED

    @property
    def activity(self) -> str | None:
        """The name of the current activity."""
        return self.doing.activity if self.doing else None

    @property
    def progress(self) -> float | None:
        """Of the search, 0 to 1."""
        return self.doing.progress if self.doing else None

    @property
    def wait(self) -> Wait | None:
        """What it waits for."""
        return self.doing.wait if self.doing else None


class Runs(Shape, frozen=True, kw_only=True):
    """A page of runs; `next` is the cursor of the one after it, `total` the number of all that match."""

    runs: list[Run]
    next: Cursor | None = None
    total: Count = 0
    more: bool = False
    """Whether more match than `total`, at which counting was stopped."""


class Step(Shape, frozen=True, kw_only=True):
    """An activity of a run: `attempts` tries, and what came of the last."""

    activity: ActivityName
    item: str
    attempts: Number
    started_at: Time
    finished_at: Time | None
    outcome: Annotated[str, _one_of(["ok", "failed"])] | None
    error: str | None
    polls: Count | None
    about: StepFacts = StepFacts()
    poll_times: list[float] = field(name="asked")
    """When a search was polled, in seconds since it was sent."""


class PastWait(Shape, frozen=True, kw_only=True):
    """What a run waited for."""

    activity: ActivityName
    kind: Kind
    what: str
    noun: str = ""
    """A noun for people, which follows "waited for"."""
    since: Time
    until: Time | None


class OneRun(Run, frozen=True, kw_only=True):
    """A run with its activities and its latest waits.

    `task_url` is where people open its task, `temporal_url` its course on a fleet, where that is configured.
    """

    activities: list[Step]
    waits: list[PastWait]
    task_url: str | None = None
    temporal_url: str | None = None


class Finding(Shape, frozen=True, kw_only=True):
    """What is wrong with a document: the converter's words, a sentence for people, and what to do."""

    reason: str
    plain: str
    advice: str


class Document(Shape, frozen=True, kw_only=True):
    """One file of the archive, and what became of it."""

    path: str
    document_id: DocumentId | None = None
    outcome: Annotated[str, _one_of(Outcome)] | None = None
    """None while it is still to be converted."""
    reason: str | None = None
    media_type: str | None = None
    title: str | None = None
    author: str | None = None
    date: str | None = None
    pages: Count | None = None
    words: Count | None = None
    ocr: bool = False
    """Whether its text was read from pictures."""
    warnings: list[str] = []
    derived_from: str | None = None
    duplicate_of: str | None = None
    size: Count | None = None
    """Of the original, in bytes."""
    custodian: str | None = None
    """The organisation that it comes from."""
    kind: str | None = None
    """Such as "Discharge summary", as the source says."""
    format: str = ""
    """The media type for people, such as "Word document"."""
    attention: Annotated[str, _one_of(["problem", "not_read", "to_check"])] | None = None
    """Why a person should look at it, as in the report; None if nobody needs to."""
    findings: list[Finding] = []
    """What to look at."""
    files: Annotated[
        dict[str, str],
        Meta(
            extra_json_schema={
                "propertyNames": {
                    "enum": ["original", "document.pdf", "text.md", "thumbnail.png", "metadata.json"]
                }
            }
        ),
    ] = {}
    """Addresses by name, for `Client.download`."""


class Documents(Shape, frozen=True, kw_only=True):
    """Every file of a run's archive."""

    documents: list[Document]


class PatientDocument(Document, frozen=True, kw_only=True):
    """A document in the list of a patient."""

    run_id: RunId
    """The latest run that has it."""
    retrieved_at: Time
    """When the first run that has it was submitted."""
    new: bool
    """Whether the latest retrieval brought it."""
    gone: bool
    """Whether the exchange no longer has it; the stored document stays."""


class Person(Shape, frozen=True, kw_only=True):
    """A row of the patients database."""

    given: str
    family: str
    birth_date: str
    sex: str


class Identity(Shape, frozen=True, kw_only=True):
    """The demographics of a patient."""

    patient_id: str
    person: Person | None
    """As the database has it now; None if it does not, or cannot be reached."""
    problem: str | None
    """Why the person is missing, None if the database does not have the patient."""


class OnePatient(Identity, frozen=True, kw_only=True):
    """A patient with all runs, newest first, and all documents of all runs."""

    runs: list[Run]
    documents: list[PatientDocument]


class Forgotten(Shape, frozen=True, kw_only=True):
    """What was removed of a patient; `bytes` are those in the storage."""

    patient_id: str
    documents: Count
    files: Count
    bytes: Count
    runs: list[RunId]
    tasks: list[str]
    beyond_reach: list[str]
    """What may still hold data of the patient, and who has to remove it."""


class AcceptedRun(Shape, frozen=True, kw_only=True):
    """A run for a patient; `created` is true for a new one."""

    run_id: RunId
    patient_id: str
    state: State
    created: bool = True


class Refused(Shape, frozen=True, kw_only=True):
    """An id that cannot be used; `line` is its number in JSON."""

    line: Number
    reason: str


class CheckedPatients(Shape, frozen=True, kw_only=True):
    """What a submission of these ids would do."""

    patients: list[str]
    """The ids that can be submitted, each once."""
    unknown: list[str]
    """The ids that the patients database does not have."""
    unchecked: Count
    """How many of `patients` were not looked up: too many, or the database cannot be reached."""
    refused: list[Refused]


class Accepted(Shape, frozen=True, kw_only=True):
    """The answer to a submission."""

    runs: list[AcceptedRun]
    refused: list[Refused]


class Quota(Shape, frozen=True, kw_only=True):
    """An endpoint's quota: `used` of `of` places, and how many wait for one."""

    name: str
    rate: str | None
    used: Count
    of: Number | None
    waiting: Count
    next_at: Time | None


class PastOutage(Shape, frozen=True, kw_only=True):
    """An outage; `until` is None while it lasts."""

    since: Time
    until: Time | None
    reason: str


class Service(Shape, frozen=True, kw_only=True):
    """A service, with its latest outages."""

    name: str
    state: Annotated[str, _one_of(["up", "down", "paused"])]
    since: Time | None
    failures: Count
    next_probe: Time | None
    paused: Time | None
    quotas: list[Quota]
    outages: list[PastOutage]


class Workers(Shape, frozen=True, kw_only=True):
    """The converters."""

    size: Count
    busy: Count
    waiting: Count


class CheckpointDatabase(Shape, frozen=True, kw_only=True):
    """Since when checkpoints cannot be written, and why."""

    full_since: Time | None
    trouble: str | None
    trouble_since: Time | None


class Services(Shape, frozen=True, kw_only=True):
    """How services, converters and disks stand; `fleet` is None on one machine."""

    paused: Time | None
    services: list[Service]
    workers: Workers
    checkpoints: CheckpointDatabase
    disk: Disk | None = None
    fleet: Fleet | None = None


class Hour(Shape, frozen=True, kw_only=True):
    """What ended within an hour."""

    hour: Time
    finished: Count
    documents: Count


class Summary(Shape, frozen=True, kw_only=True):
    """Counts of runs, throughput by the hour, and when all should be done."""

    counts: Annotated[dict[str, int], _counts(RunState)]
    throughput: list[Hour]
    expected_end: Time | None
    bottleneck: str | None


SHAPES: Final = (
    *(Accepted, Runs, OneRun, Documents, OnePatient, Identity, CheckedPatients, Forgotten),
    *(Services, Summary),
)
"""From which every other is reached."""
