"""Checkpoints: the one place that knows SQL."""

from docpipe.checkpoints.schema import Grant, StoredRun, StoredStep, read_runs
from docpipe.checkpoints.store import Checkpoints, open_database

__all__ = ["Checkpoints", "Grant", "StoredRun", "StoredStep", "open_database", "read_runs"]
