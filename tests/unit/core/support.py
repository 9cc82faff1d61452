"""A run in memory, and activities that answer from data: the pipeline without engine, disk or network."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from docpipe.model import Activity


@dataclass
class MemoryRun:
    """Runs each activity once and remembers which; results of earlier attempts come from `past`."""

    id: str = "R1"
    patient_id: str = "P1"
    repeated: tuple[Activity, ...] = ()
    past: dict[Activity, dict[str, Any]] = field(default_factory=dict)
    started: tuple[Activity, ...] = ()
    done: list[tuple[Activity, str]] = field(default_factory=list)

    async def do(self, activity, work, *args, item="", about=None, valid=None):
        self.done.append((activity, item))
        return await work(None, *args)

    def is_repeating(self, activity):
        return activity in self.repeated

    def results(self, activity):
        return self.past.get(activity, {})

    def may_have_started(self, activity):
        return activity in self.started

    def history(self):
        return {"started": "2026-01-01T00:00:00Z", "timeline": [], "waits": []}

    def times(self, activity):
        """How often an activity was done."""
        return sum(1 for done, _ in self.done if done is activity)


def member(path, outcome=None, **more):
    """A file of an archive; `becomes` is what its conversion makes of it."""
    sha256 = hashlib.sha256(path.encode()).hexdigest()
    return {
        "path": path,
        "id": sha256[:16],
        "size": 1,
        "sha256": sha256,
        "file": None if outcome == "refused" else f"files/{path}",
        "outcome": outcome,
        "reason": None,
        "told": {},
        **more,
    }


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
        return {"id": patient_id}

    async def create_task(self, step, run_id, patient_id):
        return {"task_id": "T1"}

    async def search(self, step, patient):
        self.searched += 1
        return {"search_id": f"S{self.searched}"}

    async def wait_until_ready(self, step, search, patient):
        self.expired -= 1
        return {"state": "expired" if self.expired >= 0 else "ready"}

    async def download_and_extract(self, step, run_id, search, ready):
        self.lost -= 1
        if self.lost >= 0:
            return {"state": "expired"}
        return {"state": "ready", "size": 1, "sha256": "", "members": self.members}

    def extracted(self, run_id):
        return lambda done: True

    def converted(self, run_id, item):
        return lambda done: True

    async def convert(self, step, place, member, siblings):
        return {
            "outcome": member.get("becomes", "converted"),
            "reason": None,
            "media_type": "text/plain",
            "extension": ".txt",
            "outputs": [],
            "metadata": {},
            "embedded": member.get("embedded", []),
            "reused": False,
        }

    async def store(self, step, place, member, done):
        return {"key": member["id"]}

    async def update_status(self, step, task_id, state, note):
        self.updates.append((str(state), note))
        return {"status": state, "problem": self.status_problem}

    async def report(self, step, facts):
        self.facts = facts
        return {"digest": "", "link": ""}

    async def append_report(self, step, task_id, made, again):
        self.appended.append(again)
        return {"appended": True, "problem": self.append_problem}

    async def release(self, run_id, search):
        self.released.append(search)
