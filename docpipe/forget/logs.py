"""The lines of a patient in the activity log and in the rotated logs."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from docpipe.runtime.activity_log import CURRENT, Entry
from docpipe.util.fsync import sync_file, sync_folder

_PART = ".part"
_DRAFTS = ("activity_log*.csv.part", "activity_log.new")
"""What a crash leaves while a log is written anew: lines of anybody."""


def count_lines(state: Path, patient_id: str, run_ids: Collection[str]) -> int:
    """Count the lines about a patient."""
    return sum(
        is_about(line, patient_id, run_ids)
        for path in _logs(state)
        for line in path.read_bytes().splitlines(keepends=True)
    )


def remove_lines(state: Path, patient_id: str, run_ids: Collection[str], *, put_aside: bool = False) -> int:
    """Rewrite the logs without the lines about a patient; returns how many were removed.

    Each log is replaced by a copy once that is durable, so that a crash loses no line of other patients.
    `put_aside`: only the rotated logs, since a process writes to the other.

    Raises:
        OSError: if a log cannot be rewritten.
    """
    removed = 0
    for pattern in _DRAFTS[:1] if put_aside else _DRAFTS:  # the process that writes has the other for its own
        for draft in state.glob(pattern):
            draft.unlink(missing_ok=True)
    for path in _logs(state):
        if put_aside and path.name == CURRENT:
            continue
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not is_about(line, patient_id, run_ids)]
        if len(kept) == len(lines):
            continue
        part = path.with_name(path.name + _PART)
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.writelines(kept)
        sync_file(part)
        part.replace(path)
        removed += len(lines) - len(kept)
    sync_folder(state)
    return removed


def _logs(state: Path) -> Iterator[Path]:
    yield from sorted(state.glob("activity_log*.csv"))


def is_about(line: bytes, patient_id: str, run_ids: Collection[str]) -> bool:
    """Whether a line is about one of some runs or, in runs that are no longer known, the patient."""
    run_id, _, rest = line.partition(b",")[2].partition(b",")
    patient = Entry("", patient_id, "", 0, None).patient
    return run_id.decode(errors="replace") in run_ids or rest.startswith(f"{patient},".encode())
