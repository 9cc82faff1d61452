"""Checkpoints: the database from which runs are resumed. Imports `gates`, `model`, `errors` and `util`."""

from docpipe.checkpoints.agenda import StoredSchedule, read_schedules
from docpipe.checkpoints.forgetting import forget_patient
from docpipe.checkpoints.inspect import (
    completed_runs,
    integrity,
    is_held,
    last_alive,
    outdated,
    unfinished_runs,
)
from docpipe.checkpoints.outbox import RunEnd, waiting_notifications
from docpipe.checkpoints.packedsteps import PackedSteps, Results
from docpipe.checkpoints.position import Position, Span
from docpipe.checkpoints.progress import read_with_progress
from docpipe.checkpoints.pruning import believed, prune
from docpipe.checkpoints.redaction import is_redacted
from docpipe.checkpoints.schema import Grant, StoredRun, StoredStep, read_runs, read_steps
from docpipe.checkpoints.store import Checkpoints, open_database
from docpipe.checkpoints.writer import Statement

__all__ = [
    "Checkpoints",
    "Grant",
    "PackedSteps",
    "Position",
    "Results",
    "RunEnd",
    "Span",
    "Statement",
    "StoredRun",
    "StoredSchedule",
    "StoredStep",
    "believed",
    "completed_runs",
    "forget_patient",
    "integrity",
    "is_held",
    "is_redacted",
    "last_alive",
    "open_database",
    "outdated",
    "prune",
    "read_runs",
    "read_schedules",
    "read_steps",
    "read_with_progress",
    "unfinished_runs",
    "waiting_notifications",
]
