"""The messages between workflow, activities and clients of a fleet. Times are seconds since the epoch.

Histories of earlier releases hold these values: a new member has a default, and none is renamed.
"""

from typing import Any

from msgspec import Struct

from docpipe.checkpoints import RunEnd, Span, StoredStep
from docpipe.model import Activity, RunState, Wait

State = dict[str, Any]
"""What an activity saved, as JSON; see `results.states`."""


class Start(Struct, kw_only=True, omit_defaults=True):
    """What a workflow begins with: a new run, one that continues in a new history, or a retry."""

    run_id: str
    patient_id: str
    prefix: str
    """Of the fleet; see `config.fleet.prefix`."""
    pipeline: int = 1
    """Of the release that began the run; see `queues.PIPELINE`."""
    priority: int = 0
    created_at: float
    started_at: float = 0.0
    retries: int = 0
    retried_from: Activity | None = None
    """The first activity that a retry repeats."""
    steps: list[StoredStep] = []
    """What is done; it is not done again."""
    stored: dict[str, Any] = {}
    """Results of PutToStorage that came with their conversions, by item."""
    waits: list[Span] = []
    begun: list[Activity] = []
    """Activities that may have had their effect."""
    losses: int = 0
    """How often files of the run were missing from the spool."""
    longest: int = 0
    """Events after which a new history begins, where that is fewer than the server says; for tests."""
    notify: bool = False
    """Whether a receiver is notified of the end."""


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one try of an activity is given."""

    run_id: str
    patient_id: str
    priority: int = 0
    item: str = ""
    retries: int = 0
    tries: int = 0
    """Tries before this one that ended with `Answer.later`."""
    about: dict[str, Any] | None = None
    args: list[Any] = []
    state: State | None = None
    """What those tries noted."""


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a try of an activity ends with, unless it failed."""

    result: Any = None
    stored: Any = None
    """The result of PutToStorage, or its error, where a conversion stored its document at once."""
    later: float | None = None
    """Nothing is to be done before then; the workflow waits."""
    wait: Wait | None = None
    """What for; None where no worker had it yet, and it is to come forward in line."""
    state: State | None = None
    """What the next try is given then."""
    broken: str | None = None
    """How docpipe itself failed."""
    attempts: int = 1
    waits: list[Span] = []


class Beat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the server keeps of a try that is under way: the next one has it if this one is lost."""

    state: State | None = None
    wait: Wait | None = None
    since: float = 0.0
    """When the try began."""


class Card(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run in a list, as the memo of its workflow has it."""

    run_id: str
    patient_id: str
    priority: int = 0
    created_at: float = 0.0
    retries: int = 0
    retried_from: Activity | None = None
    state: RunState = RunState.RUNNING
    started_at: float | None = None
    finished_at: float | None = None
    task_id: str | None = None
    error: str | None = None
    counts: dict[str, int] = {}


class Notice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of a run that a receiver is notified of."""

    end: RunEnd
    queue: str
    """Of the workers that send it."""


class Ended(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a workflow returns."""

    card: Card
    steps: list[StoredStep] = []
    begun: list[Activity] = []


class Active(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An activity under way."""

    activity: Activity
    item: str = ""
    since: float
    wait: Wait | None = None
    """What it waits for."""
    begun: bool = True
    """Whether a worker has it, or has had it."""
    progress: float | None = None
    """The part of a search that is done, from 0 to 1."""


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a workflow answers about itself in brief, however many documents there are."""

    active: list[Active] = []
    started_at: float = 0.0
    cancelling: bool = False
    priority: int = 0
    begun: bool = False
    """Whether an activity is done."""
    task_id: str | None = None
    counts: dict[str, int] = {}
    """Files by outcome so far."""
    files: int | None = None
    """The number of all files, None while that is unknown."""
    waits: list[Span] = []


class Doing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a workflow answers about itself."""

    steps: list[StoredStep] = []
    active: list[Active] = []
    started_at: float = 0.0
    cancelling: bool = False
    priority: int = 0
