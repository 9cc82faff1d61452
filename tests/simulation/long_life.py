"""A service for a day and longer in virtual time: full quota, outages, and what stays in memory and on disk.

python -m tests.simulation.long_life [--hours 24]
"""

import argparse
import asyncio
import gc
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

import fakes
from docpipe import app
from docpipe.app import Docpipe
from docpipe.config.config import Service
from docpipe.config.parsing import Secret
from docpipe.gates.service import _KEEP_OUTAGES, Outage
from docpipe.model import Patient
from docpipe.patients import PatientDatabase
from docpipe.runtime import activity_log
from docpipe.web import server
from docpipe.web.onemachine import OneMachine
from fakes.quota import Rate
from tests import memory, virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of

HOUR_S = 3600.0
PER_HOUR = 600
"""As many patients come in an hour as the quota lets through."""
FAULTS = ("docex.* 503", "tracker.* reset", "docex.status 429", "docex.status 500")
LASTING_S = 600.0


@dataclass(frozen=True)
class Hour:
    """How docpipe stood at the end of an hour."""

    hour: int
    ended: int
    objects: int
    """Of docpipe's own types, tasks and futures, in the whole process; without the waits of past runs, of
    which the service remembers so many and no more."""
    database: int
    """Bytes, with its journal."""
    log: int
    """Bytes of all activity logs."""
    spool: int
    """Files."""
    runs: int
    """In the database."""


async def lived(
    folder: Path, hours: int, keep: float, tell: Callable[[Hour], None], patients: int = PER_HOUR
) -> list[Hour]:
    """Live so long; in every hour as many patients come as the quota lets through, and an outage."""
    plan = Plan(folder, options={"search_seconds": (60.0, 900.0), "empty": frozenset(ids(patients))})
    rng, reported = random.Random(7), []
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        config = replace(
            config, state=replace(config.state, keep=keep), service=Service(port=0, token=Secret("none"))
        )
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(patients)])
        await database.aclose()
        with server.bound(config.service) as sockets:
            async with (
                app.opened(
                    config, clock=virtual.wall_clock, rng=rng, converter=CONVERTER, inline=True
                ) as docpipe,
                server.listening(OneMachine(docpipe), sockets),
            ):
                for hour in range(1, hours + 1):
                    await docpipe.engine.submit(ids(patients))
                    await asyncio.sleep(rng.uniform(0, HOUR_S / 2))
                    running.add_fault(FAULTS[hour % len(FAULTS)])
                    await asyncio.sleep(LASTING_S)
                    running.clear_faults()
                    await docpipe.engine.wait()
                    await asyncio.sleep(60.0)
                    reported.append(await _measured(docpipe, hour, folder))
                    tell(reported[-1])
        assert running.docex.worst_window("docex.search", 60.0) <= Rate(10, 60.0).n
    return reported


async def _measured(docpipe: Docpipe, hour: int, folder: Path) -> Hour:
    gc.collect()
    assert all(len(service.view().past) <= _KEEP_OUTAGES for service in docpipe.services.values())
    state = docpipe.config.state_dir
    counts = await docpipe.checkpoints.listing.counts()
    return Hour(
        hour,
        sum(count for run_state, count in counts.items() if run_state.finished),
        _ours(),
        sum(path.stat().st_size for path in state.glob("checkpoints.db*")),
        sum(path.stat().st_size for path in state.glob("activity_log*")),
        sum(1 for _ in (state / "spool").rglob("*")),
        sum(counts.values()),
    )


def _ours() -> int:
    kinds = Counter(
        type(result).__qualname__
        for result in gc.get_objects()
        if str(type(result).__module__).startswith("docpipe.") or isinstance(result, asyncio.Future)
    )
    # A fixed number of the latest outages is kept, and hours differ in how many they bring.
    return sum(kinds.values()) - kinds[Outage.__qualname__]


def main() -> None:
    """Print a line for each hour."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--keep", type=float, default=2 * HOUR_S, help="seconds; state.keep")
    args = parser.parse_args()
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    activity_log.ROTATE_BYTES = 2**20  # so that a day shows it
    began = time.perf_counter()
    print("hour   ended  objects  database KiB  logs KiB  spool  runs")

    def tell(hour: Hour) -> None:
        print(
            f"{hour.hour:4}  {hour.ended:6}  {hour.objects:7}  {hour.database >> 10:12}  {hour.log >> 10:8}  "
            f"{hour.spool:5}  {hour.runs:4}",
            flush=True,
        )

    with memory.folder() as folder:
        virtual.run(lived(folder, args.hours, args.keep, tell))
    sys.stderr.write(f"{args.hours} virtual hours in {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
