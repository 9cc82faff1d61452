"""The forecast of `docpipe plan` against real runs: 200 patients, scaled quotas, in real time.

docpipe runs as a process with its real client, checkpoints and workers, against fakes in another process. The
forecast knows the rates, and of the rest what a smaller run before that left in the state folder; it is made
before the real run. Two kinds, several times each:

* `quota`: the search quota paces it, and is scaled so that it takes about a minute.
* `conversion`: eight workers pace it, whose converter sleeps: what a conversion takes does not depend on what
  else the machine does.

Neither needs much CPU, so that others on the machine disturb it little. A forecast takes a free machine for
granted: where there is work for more CPUs than there are, real runs are slower. The start of the workers and
handing documents to them then take longer than the forecast says.
"""

import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.benchmarks.figures import DISK, ROOT, Figure

PATIENTS, BEFORE = 200, 40
TIMES = 3
SETTLE_S = 6.0
"""After the run before: for so long a new process waits out what that one may have spent of short quotas."""


@dataclass(frozen=True)
class Kind:
    """What paces a run."""

    name: str
    rates: Mapping[str, str]
    search_s: str
    program: tuple[str, ...] = ("-m", "docpipe")
    workers: int = 2


KINDS = (
    Kind("quota", {"search": "200/min", "status": "100/sec", "tracker": "100/sec"}, "2-8"),
    Kind(
        "conversion",
        {"search": "600/min", "status": "100/sec", "tracker": "100/sec"},
        "2-8",
        ("-m", "tests.benchmarks.sleeping", "0.6"),
        workers=8,
    ),
)


@contextlib.contextmanager
def _fakes(kind: Kind) -> Iterator[dict[str, str]]:
    options = [word for name, rate in kind.rates.items() for word in (f"--{name}-rate", rate)]
    words = ("-m", "fakes", "--mix", "tiny", "--search-seconds", kind.search_s)
    with subprocess.Popen((sys.executable, *words, *options), cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _docpipe(folder: Path, urls: dict[str, str], kind: Kind, *words: str) -> str:
    env = {
        "DOCPIPE_DOCEX__BASE_URL": urls["docex_url"],
        "DOCPIPE_DOCEX__SEARCH_RATE": kind.rates["search"],
        "DOCPIPE_DOCEX__STATUS_RATE": kind.rates["status"],
        "DOCPIPE_TASKTRACKER__BASE_URL": urls["tracker_url"],
        "DOCPIPE_TASKTRACKER__RATE": kind.rates["tracker"],
        "DOCPIPE_STATE__DIR": f"{folder}/state",
        "DOCPIPE_STORAGE__URL": f"{folder}/storage",
        "DOCPIPE_PATIENTS__URL": f"sqlite:///{folder}/patients.db",
        "DOCPIPE_CONVERT__WORKERS": str(kind.workers),
    }
    words = (sys.executable, *kind.program, *words)
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


@dataclass(frozen=True)
class Once:
    """One forecast, and what came of it."""

    forecast_s: float
    real_s: float
    """The start of the process is left out."""
    took_s: float
    """The forecast itself."""

    @property
    def off(self) -> float:
        """By what part the forecast was wrong."""
        return self.forecast_s / self.real_s - 1


def once(kind: Kind, folder: Path) -> Once:
    """Run some, forecast many, run them."""
    first = _people(folder / "first.csv", "A", BEFORE)
    second = _people(folder / "second.csv", "B", PATIENTS)
    with _fakes(kind) as urls:
        for file in (first, second):
            _docpipe(folder, urls, kind, "patients", "import", file)
        _docpipe(folder, urls, kind, "run", "--patients", first, "--json")
        time.sleep(SETTLE_S)
        began = time.perf_counter()
        body = json.loads(_docpipe(folder, urls, kind, "plan", "--patients", str(PATIENTS), "--json"))
        took = time.perf_counter() - began
        _docpipe(folder, urls, kind, "run", "--patients", second, "--json")
    with (folder / "state" / "activity_log.csv").open(encoding="utf-8", newline="") as file:
        times = [row["timestamp"] for row in csv.DictReader(file) if row["patient_id"].startswith("B")]
    return Once(body["done_s"], _seconds(max(times)) - _seconds(min(times)), took)


def plan() -> list[Figure]:
    """Each forecast beside the run that it was of, and the worst of each kind."""
    figures = []
    for kind in KINDS:
        result = []
        for number in range(1, TIMES + 1):
            with tempfile.TemporaryDirectory(dir=DISK) as folder:
                result.append(once(kind, Path(folder)))
            figures.append(
                Figure(f"{kind.name} {number}", result[-1].forecast_s, "s", "the real run", result[-1].real_s)
            )
        worst = max(abs(one.off) for one in result)
        figures.append(Figure(f"{kind.name}: off by at most", 100 * worst, "%", goal="<= 5"))
    figures.append(Figure("a forecast takes", result[-1].took_s, "s"))
    return figures


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
