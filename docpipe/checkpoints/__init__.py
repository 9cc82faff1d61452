"""Checkpoints: the one place that knows SQL."""

from docpipe.checkpoints.inspect import completed_runs, integrity, outdated, unfinished_runs
from docpipe.checkpoints.pruning import prune
from docpipe.checkpoints.schema import Grant, StoredRun, StoredStep, read_runs, read_steps
from docpipe.checkpoints.store import Checkpoints, open_database

__all__ = [
    "Checkpoints",
    "Grant",
    "StoredRun",
    "StoredStep",
    "completed_runs",
    "integrity",
    "open_database",
    "outdated",
    "prune",
    "read_runs",
    "read_steps",
    "unfinished_runs",
]
