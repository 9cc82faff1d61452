"""The forecast of `docpipe plan` against a real run: 200 patients, scaled quotas, in real time.

docpipe runs as a process with its real client, checkpoints and workers, against fakes in another process. The
forecast knows the rates, and of the rest what a smaller run before that left in the state folder. It is made
before the real run.
"""

import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tests.benchmarks.figures import ROOT, Figure

DISK = "/var/tmp"  # noqa: S108 -- what is made there has a name by chance
"""Not in memory, as /tmp may be."""
PATIENTS, BEFORE = 200, 40
SEARCH_S = (2.0, 8.0)
_RATES = {"search": "150/min", "status": "100/sec", "tracker": "100/sec"}


@contextlib.contextmanager
def _fakes() -> Iterator[dict[str, str]]:
    options = [word for name, rate in _RATES.items() for word in (f"--{name}-rate", rate)]
    words = ("-m", "fakes", "--mix", "tiny", "--search-seconds", "-".join(f"{value:g}" for value in SEARCH_S))
    with subprocess.Popen((sys.executable, *words, *options), cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _docpipe(folder: Path, urls: dict[str, str], *words: str) -> str:
    env = {
        "DOCPIPE_DOCEX__BASE_URL": urls["docex_url"],
        "DOCPIPE_DOCEX__SEARCH_RATE": _RATES["search"],
        "DOCPIPE_DOCEX__STATUS_RATE": _RATES["status"],
        "DOCPIPE_TASKTRACKER__BASE_URL": urls["tracker_url"],
        "DOCPIPE_TASKTRACKER__RATE": _RATES["tracker"],
        "DOCPIPE_STATE__DIR": f"{folder}/state",
        "DOCPIPE_STORAGE__URL": f"{folder}/storage",
        "DOCPIPE_PATIENTS__URL": f"sqlite:///{folder}/patients.db",
    }
    words = (sys.executable, "-m", "docpipe", *words)
    made = subprocess.run(
        words, env=os.environ | env, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return made.stdout.decode()


def _people(file: Path, prefix: str, number: int) -> str:
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["id", "given", "family", "birth_date", "sex", "postal_code"])
        rows.writerows([f"{prefix}{n}", "Ann", "Lee", "1957-03-31", "female", "1234"] for n in range(number))
    return str(file)


def plan() -> list[Figure]:
    """Seconds that the run took, against those that were forecast; the start of the process is left out."""
    with tempfile.TemporaryDirectory(dir=DISK) as name, _fakes() as urls:
        folder = Path(name)
        first, second = (
            _people(folder / "first.csv", "A", BEFORE),
            _people(folder / "second.csv", "B", PATIENTS),
        )
        for file in (first, second):
            _docpipe(folder, urls, "patients", "import", file)
        _docpipe(folder, urls, "run", "--patients", first, "--json")
        began = time.perf_counter()
        told = json.loads(_docpipe(folder, urls, "plan", "--patients", str(PATIENTS), "--json"))
        took = time.perf_counter() - began
        _docpipe(folder, urls, "run", "--patients", second, "--json")
        with (folder / "state" / "activity_log.csv").open(encoding="utf-8", newline="") as file:
            times = [row["timestamp"] for row in csv.DictReader(file) if row["patient_id"].startswith("B")]
    seconds = _seconds(max(times)) - _seconds(min(times))
    within = abs(told["done_s"] / seconds - 1)
    return [
        Figure(f"{PATIENTS} patients", told["done_s"], "s", "the real run", seconds),
        Figure("forecast is off by", 100 * within, "%", goal="<= 5"),
        Figure("forecast took", took, "s"),
    ]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
