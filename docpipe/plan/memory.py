"""Checkpoints of a simulated process: unfinished runs to start with, and nothing is stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from docpipe.checkpoints import Grant, PackedSteps, Statement, StoredRun, StoredStep
from docpipe.model import Activity, Clock, RunState
from docpipe.plan.setup import Before
from docpipe.runtime.activity_log import Entry


class PlannedLedger:
    """See checkpoints.ledger.GrantLedger. What is spent in a plan is not written down."""

    def __init__(self, before: Before, clock: Clock) -> None:
        self._before = before
        self.now = clock
        self._start = clock()

    async def grants(self, quota: str, since: float) -> list[Grant]:
        """What was spent before."""
        return [
            Grant(self._start - grant.at, None if grant.answered is None else self._start - grant.answered)
            for name, grant in self._before.grants
            if name == quota and self._start - grant.at >= since
        ]

    async def last_alive(self) -> float | None:
        """When the last real process was alive."""
        return None if self._before.alive is None else self._start - self._before.alive

    async def granted(self, quota: str, at: float) -> int:  # noqa: ARG002 -- as the real one
        """Is not written down; nor is anything below."""
        return 0

    def answered(self, quota: str, grant: int, at: float) -> None:
        """Nothing."""

    def spent(self, quota: str, at: float) -> None:
        """Nothing."""

    def settled(self, quota: str, at: float) -> None:
        """Nothing."""

    async def begin_life(self) -> None:
        """Nothing."""

    def end_life(self) -> None:
        """Nothing."""

    def note_alive(self) -> None:
        """Nothing."""


class PlannedCheckpoints:
    """See checkpoints.Checkpoints. A simulated process never dies, so that nothing has to be kept."""

    def __init__(self, before: Before, clock: Clock, runs: Mapping[str, Sequence[StoredStep]]) -> None:
        """`runs`: run id (which is the patient's as well) to what it has done already."""
        self._clock = clock
        self._runs = runs
        self.ledger = PlannedLedger(before, clock)

    async def create_runs(
        self,
        run_ids: Mapping[str, str],
        priority: int,
        note: Statement | None = None,  # noqa: ARG002 -- as the real one
    ) -> list[StoredRun]:
        """Queued runs."""
        return [self._queued(run_id, patient, priority) for patient, run_id in run_ids.items()]

    def _queued(self, run_id: str, patient: str, priority: int = 0) -> StoredRun:
        now = self._clock()
        return StoredRun(run_id, patient, priority, RunState.QUEUED, now, None, None, None, None, {}, None)

    async def unfinished(self) -> list[StoredRun]:
        """The runs that were there before."""
        return [
            replace(self._queued(run_id, run_id), started_at=self._clock() if steps else None)
            for run_id, steps in self._runs.items()
        ]

    async def packed_steps(self, run_id: str) -> PackedSteps:
        """What such a run has done."""
        return PackedSteps(self._runs.get(run_id, ()))

    async def pauses(self) -> dict[str, float]:
        """Nothing is paused in a plan."""
        return {}

    def start_run(self, run_id: str) -> None:
        """Nothing."""

    async def finish_run(self, *_: Any) -> None:
        """Nothing."""

    async def cancel_run(self, run_id: str) -> None:
        """Nothing."""

    async def retry_run(self, run: StoredRun, activity: Activity) -> None:
        """Nothing."""

    def note_doing(self, run_id: str, doing: object) -> None:
        """Nothing."""

    def begin_step(self, run_id: str, activity: str, item: str) -> None:
        """Nothing."""

    async def save_step(self, run_id: str, activity: str, item: str, state: object) -> None:
        """Nothing."""

    def note_step(self, run_id: str, activity: str, item: str, state: object) -> None:
        """Nothing."""

    async def finish_step(self, run_id: str, activity: str, item: str, result: object) -> None:
        """Nothing."""

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:  # noqa: ARG002 -- as the real one
        """Nothing."""
        return []

    def before_commit(self, work: Callable[[], None]) -> None:
        """Nothing."""

    def give_up(self) -> None:
        """Nothing."""


class NoLog:
    """See activity_log.ActivityLog; nothing is written."""

    def start(self, entry: Entry) -> None:
        """Nothing."""

    def finish(self, entry: Entry, duration: float, outcome: str) -> None:
        """Nothing."""

    def write(self) -> None:
        """Nothing."""

    async def flush(self) -> None:
        """Nothing."""

    def give_up(self) -> None:
        """Nothing."""
