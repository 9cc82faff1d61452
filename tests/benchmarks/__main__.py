"""`python -m tests.benchmarks`: what docpipe costs, each figure beside a yardstick of the same run.

Others on the machine disturb figures by the clock; those by CPU stay within a tenth or two. Compare with an
earlier run: `--json before.json`, then `--against before.json`.

What was decided by these figures (2 cores of an AMD EPYC, Python 3.11, other work beside):

* No uvloop: a patient took 46.1 ms of CPU on asyncio and 42.8 ms on uvloop, a bare client 4.4 and 4.1. The
  rest is files and fsyncs, so that a tenth at best is not worth a second event loop to test.
* msgspec for checkpoints and the log: 0.6 us for what json encodes in 4.5 us; orjson 0.5, but it knows no
  keys that are enumerations.
* The activity log's lines are put together by hand: 1 us a line, 4.6 us with aiocsv.
* A checkpoint costs the engine about what a bare loop needs for a future and a row for each activity
  (`activities`: "rate of a bare loop", 45,000 to 55,000/s). With 1,000 runs at work an activity takes
  1,000 / rate on average: a p99 below 50 ms needs more than 20,000/s, and a machine that does not stall.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.activities import activities
from tests.benchmarks.archives import archives
from tests.benchmarks.chart import chart
from tests.benchmarks.checkpoints import checkpoints
from tests.benchmarks.conversion import conversion
from tests.benchmarks.documents import FOLDER, TIKA, documents
from tests.benchmarks.figures import Benchmark, machine, read, table, written
from tests.benchmarks.fleet import fleet, large
from tests.benchmarks.growth import growth
from tests.benchmarks.makespan import makespan
from tests.benchmarks.ocr import ocr
from tests.benchmarks.patients import overhead
from tests.benchmarks.plan import plan
from tests.benchmarks.resume import resume
from tests.benchmarks.search import search
from tests.benchmarks.shared import shared
from tests.benchmarks.starts import first_request, starts
from tests.benchmarks.waiting import waiting
from tests.benchmarks.walls import walls
from tests.benchmarks.web import web

BENCHMARKS: dict[str, Benchmark] = {
    "overhead": overhead,
    "activities": activities,
    "checkpoints": checkpoints,
    "waiting": waiting,
    "resume": resume,
    "growth": growth,
    "makespan": makespan,
    "archives": archives,
    "conversion": conversion,
    "documents": documents,
    "ocr": ocr,
    "walls": walls,
    "plan": plan,
    "web": web,
    "search": search,
    "shared quota": shared,
    "fleet": fleet,
    "fleet large": large,
    "chart": chart,
    "start": starts,
    "first request": first_request,
}


def main() -> int:
    """Run them, each in a process of its own, and print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="one of them (may be repeated)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--against", type=Path, metavar="FILE", help="show what has changed since that run")
    parser.add_argument("--folder", type=Path, help="documents: convert the files in it, not the samples")
    parser.add_argument("--tika", type=Path, metavar="JAR", help="documents: Tika's server, to compare with")
    parser.add_argument("--here", choices=BENCHMARKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    before = read(args.against) if args.against else []
    if args.here:
        args.json.write_text(json.dumps(written({args.here: BENCHMARKS[args.here]()})))
        return 0
    for name, given in ((FOLDER, args.folder), (TIKA, args.tika)):
        if given:
            os.environ[name] = str(given.resolve(strict=True))
    here, rows = machine(), []
    for name in args.only or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += _apart(name)
    print("  ".join(f"{word} {value}" for word, value in here.items()))
    print(table(rows, before))
    if args.json:
        args.json.write_text(json.dumps({"machine": here, "figures": rows}, indent=1))
    return int(any(row["met"] is False for row in rows))


def _apart(name: str) -> list[dict[str, object]]:
    """What one leaves behind in a process, memory above all, must not show in the next one's figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        words = (sys.executable, "-m", "tests.benchmarks", "--here", name, "--json", str(file))
        subprocess.run(words, check=True)
        return list(json.loads(file.read_text()))


if __name__ == "__main__":
    sys.exit(main())
