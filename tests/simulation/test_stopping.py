"""Stopping in virtual time: within ten seconds whatever is under way, and nothing is lost by it."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import fakes
from docpipe import app
from docpipe.checkpoints import read_runs
from docpipe.model import Patient, RunState
from docpipe.patients import PatientDatabase
from tests import virtual
from tests.simulation.world import CONVERTER, Plan, config_of, ids, options_of
from tests.worker_support import alive, until

LONGEST_S = 10.0


async def stopped_and_resumed(plan: Plan, after: float, operation: str) -> float:
    """Stop after so many seconds, in which such a request was made, then resume; how long the stop took."""
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(plan.patients)])
        await database.aclose()
        options: dict[str, Any] = {"clock": virtual.wall_clock, "converter": CONVERTER, "inline": True}
        async with app.opened(config, rng=random.Random(0), **options) as docpipe:
            await docpipe.engine.submit(ids(plan.patients))
            await asyncio.sleep(after)
            servers = (running.docex, running.tracker, running.archive)
            assert any(seen.operation == operation for server in servers for seen in server.requests)
            began = virtual.wall_clock()
            await docpipe.engine.stop()
        took = virtual.wall_clock() - began
        assert all(not run.state.finished for run in read_runs(config.state_dir))
        async with app.opened(config, rng=random.Random(1), **options) as docpipe:
            await docpipe.engine.resume()
            await docpipe.engine.wait()
        runs = read_runs(config.state_dir)
        assert [run.state for run in runs] == [RunState.COMPLETED] * plan.patients
        for run in runs:
            assert len(running.tracker.tasks_of(run.run_id)) == 1
            assert len(running.docex.searches_of(run.patient_id)) == 1
        return took


@pytest.mark.parametrize(
    ("fault", "after", "operation"),
    [
        ("docex.* 503 until=300", 100, "docex.search"),
        ("docex.search hang until=60", 10, "docex.search"),
        ("docex.status hang until=60", 20, "docex.status"),
        ("docex.archive hang until=60", 30, "docex.archive"),
        ("docex.archive slow seconds=3600 until=60", 50, "docex.archive"),
        ("tracker.create hang until=60", 5, "tracker.create"),
        ("tracker.create late seconds=20 until=60", 5, "tracker.create"),
        ("tracker.report hang until=60", 50, "tracker.report"),
        ("docex.search 429 retry_after=200 until=100", 50, "docex.search"),
    ],
)
def test_a_stop_takes_no_more_than_ten_seconds(
    tmp_path: Path, fault: str, after: float, operation: str
) -> None:
    """In outages, in answers that do not come, in downloads that trickle, in lines and pauses."""
    plan = Plan(tmp_path, patients=3, faults=[fault], options={"search_seconds": (1.0, 2.0)})
    assert virtual.run(stopped_and_resumed(plan, after, operation)) <= LONGEST_S


def hang(job: dict[str, Any]) -> dict[str, Any]:
    """A converter that does not come back, and listens to nobody."""
    part = Path(job["folder"], "pid.part")
    part.write_text(str(os.getpid()), "ascii")
    part.rename(part.with_suffix(""))  # never seen half written
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(1)


async def test_a_stop_in_the_middle_of_a_conversion(tmp_path: Path) -> None:
    """A conversion that hangs in a real worker is given the time that there is, then killed; it resumes."""
    plan = Plan(tmp_path, patients=1, options={"search_seconds": (0.0, 0.0), "wall_clock": time.time})
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(ids(1)[0], "Ann", "Lee", "1957-03-31")])
        await database.aclose()
        async with app.opened(config, converter=f"{__name__}:hang") as docpipe:
            (run,) = await docpipe.engine.submit(ids(1))
            spool = config.state_dir / "spool"
            await until(lambda: list(spool.glob(".worker-*/own/out/pid")))
            pids = [int(file.read_text("ascii")) for file in spool.glob(".worker-*/own/out/pid")]
            await docpipe.engine.stop(grace=0.1)
        assert not any(map(alive, pids))
        assert [path.name for path in spool.iterdir()] == [run.run_id]
        async with app.opened(config, converter=CONVERTER, inline=True) as docpipe:
            await docpipe.engine.resume()
            await docpipe.engine.wait()
        assert [run.state for run in read_runs(config.state_dir)] == [RunState.COMPLETED]
