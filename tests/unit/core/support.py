"""A run in memory, and activities that answer from data: the pipeline without engine, disk or network."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from docpipe.engine.engine import Engine
from docpipe.model import Activity, Patient, RunIds
from docpipe.results.files import (
    Appended,
    Archive,
    Converted,
    Digest,
    Member,
    Stored,
    Task,
    Updated,
)
from docpipe.results.report import History
from docpipe.results.search import Ready, Search


@dataclass
class MemoryRun:
    """Runs each activity and remembers which; its results, and those of earlier attempts, are in `past`."""

    id: str = "R1"
    patient_id: str = "P1"
    repeated: tuple[Activity, ...] = ()
    past: dict[Activity, dict[str, Any]] = field(default_factory=dict)
    started: tuple[Activity, ...] = ()
    done: list[tuple[Activity, str]] = field(default_factory=list)

    async def do(self, activity, work, *args, kind, item="", about=None, valid=None):
        self.done.append((activity, item))
        result = await work(None, *args)
        assert isinstance(result, kind)
        self.past.setdefault(activity, {})[item] = msgspec.to_builtins(result)
        return result

    def is_repeating(self, activity):
        return activity in self.repeated

    def results(self, activity):
        return self.past.get(activity, {})

    def may_have_started(self, activity):
        return activity in self.started

    def history(self):
        return History(started="2026-01-01T00:00:00Z", timeline=[], waits=[])

    def times(self, activity):
        """How often an activity was done."""
        return sum(1 for done, _ in self.done if done is activity)


class PlainMember(Member, frozen=True, kw_only=True):
    """A file of an archive; `becomes` is what its conversion makes of it, with what is embedded."""

    becomes: str = "converted"
    embedded: list[Member] = msgspec.field(default_factory=list)


def done(embedded):
    """What a conversion returned."""
    return Converted(
        outcome="converted",
        reason=None,
        media_type="text/plain",
        extension=".txt",
        outputs=[],
        metadata={},
        embedded=embedded,
    )


def checkpoint(embedded):
    """The same as a checkpoint holds it."""
    return msgspec.to_builtins(done(embedded))


def member(path, outcome=None, **more):
    """A file of an archive; `becomes` is what its conversion makes of it."""
    sha256 = hashlib.sha256(path.encode()).hexdigest()
    known = {"id": sha256[:16], "size": 1, "sha256": sha256, "outcome": outcome}
    known["file"] = None if outcome == "refused" else f"files/{path}"
    return PlainMember(path=path, **{**known, **more})


@dataclass
class MemoryActivities:
    """Answers of the ten activities, as data."""

    members: list[dict[str, Any]] = field(default_factory=list)
    expired: int = 0
    """How many searches expire before one is ready."""
    lost: int = 0
    """How many archives expire after their search was ready."""
    status_problem: str | None = None
    append_problem: str | None = None
    updates: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    appended: list[bool] = field(default_factory=list)
    released: list[Any] = field(default_factory=list)
    searched: int = 0

    async def get_patient(self, step, patient_id):
        return Patient(patient_id, "Zoë", "Lee", "1957-03-31")

    async def create_task(self, step, run_id, patient_id):
        return Task("T1")

    async def search(self, step, patient):
        self.searched += 1
        return Search(search_id=f"S{self.searched}")

    async def wait_until_ready(self, step, search, patient):
        self.expired -= 1
        return Ready(state="expired" if self.expired >= 0 else "ready")

    async def download_and_extract(self, step, run_id, search, ready):
        self.lost -= 1
        if self.lost >= 0:
            return Archive(state="expired")
        address = f"/status/{search.search_id}"
        return Archive(state="ready", size=1, sha256="", members=list(self.members), release=address)

    def extracted(self, run_id):
        return lambda done: True

    def converted(self, run_id, item):
        return lambda done: True

    async def convert(self, step, place, member, patient=None):
        return Converted(
            outcome=member.becomes,
            reason=None,
            media_type="text/plain",
            extension=".txt",
            outputs=[],
            metadata={},
            embedded=member.embedded,
        )

    async def store(self, step, place, member, done):
        return Stored(member.id)

    async def update_status(self, step, task_id, state, note):
        self.updates.append((str(state), note))
        return Updated(state, self.status_problem)

    async def report(self, step, facts):
        self.facts = facts
        return Digest("", "")

    async def append_report(self, step, task_id, made, again):
        self.appended.append(again)
        return Appended(appended=True, problem=self.append_problem)

    async def release(self, run_id, address):
        self.released.append(address)


class SilentLog:
    """An activity log that keeps nothing."""

    def start(self, entry):
        """Ignore the line."""

    def finish(self, entry, duration, outcome):
        """Ignore the line."""

    def write(self):
        """Write nothing."""

    async def flush(self):
        """Write nothing."""

    def give_up(self):
        """Wait for nothing."""


def engine_of(checkpoints, activities):
    return Engine(
        checkpoints=checkpoints,
        activity_log=SilentLog(),
        activities=activities,
        clock=time.time,
        ids=RunIds(),
    )
