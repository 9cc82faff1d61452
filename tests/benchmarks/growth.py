"""Whether a patient costs the same with 10, 1,000 and 100,000 finished runs in the database."""

import contextlib
import json
import sqlite3
import tempfile
import time
from pathlib import Path

from docpipe.model import RunIds
from tests.benchmarks.figures import DISK, Figure
from tests.benchmarks.filled import empty
from tests.benchmarks.patients import apart, fakes_apart
from tests.benchmarks.resume import results

SIZES = (10, 1000, 100_000)
PATIENTS = 60
ROUNDS = 2
"""The least of so many is taken: others use the machine, too."""


def fill(folder: Path, runs: int) -> None:
    """A state folder in which so many runs are finished, each with its steps."""
    database = empty(folder)
    ids, now = RunIds(), time.time() - 86400
    counts = json.dumps({"converted": 1})
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        for number in range(runs):
            run = ids.new()
            db.execute(
                "INSERT INTO runs (run_id, patient_id, priority, state, created_at, started_at, finished_at, "
                "task_id, counts) VALUES (?, ?, 0, 'completed', ?, ?, ?, ?, ?)",
                (run, f"OLD{number}", now, now, now, f"t-{number}", counts),
            )
            steps = results(run, f"OLD{number}", f"t-{number}").items()
            db.executemany(
                "INSERT INTO steps VALUES (?, ?, '', 1, ?, ?, NULL, ?)",
                [(run, activity, now, now, json.dumps(result)) for activity, result in steps],
            )


def growth() -> list[Figure]:
    """CPU ms a patient; the yardstick is the smallest database."""
    least = dict.fromkeys(SIZES, float("inf"))
    with tempfile.TemporaryDirectory(dir=DISK) as name, fakes_apart() as urls:
        for size in SIZES:
            (Path(name) / str(size)).mkdir()
            fill(Path(name) / str(size), size)
        for number in range(ROUNDS):
            for size in SIZES:
                actual = apart("durable", urls, Path(name) / str(size), PATIENTS, f"{number}-{size}-")
                least[size] = min(least[size], 1000 * actual["cpu_s"] / PATIENTS)
    return [
        Figure(f"{size:,} runs", least[size], "ms", f"{SIZES[0]} runs", least[SIZES[0]], goal="<= 1.1 x")
        for size in SIZES[1:]
    ]
