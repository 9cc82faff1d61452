"""How long 500 patients take at real quotas, against the least that quotas, searches and workers allow.

The real client against the real fakes, in virtual time; only workers are made up: so many places, and a time
for each document. The bound knows everything beforehand and loses nothing:

* The server lets n searches through in any window, so that of patients in a line the i-th is searched at
  floor(i / n) windows at the earliest, and its documents are there when its search is over.
* A document is converted in one of the workers, from then on; each patient's last document is followed by the
  tracker's answer to two requests, and preceded by one: as many latencies.
* The workers do all the work there is, from the moment on when the first documents can be there.
"""

import asyncio
import logging
import random
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import structlog

from docpipe.gates.line import Slots
from docpipe.model import Clock, Json, Ticket, Wait, WaitKind
from docpipe.workers.answers import Answer, Conversion
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import PoolState
from tests import virtual
from tests.benchmarks.figures import Figure
from tests.simulation.world import CONVERTER, PER_MINUTE, Plan, Story, ids, simulate

PATIENTS = 500
DOCUMENTS = 4
"""What the fakes' mix `tiny` holds."""
WORKERS = 2
CONVERT_S = (0.5, 3.0)
SEARCH_S = (120.0, 1800.0)
LATENCY_S = 0.1


class TimedWorkers(InlineWorkers):
    """Workers in virtual time: each document takes its own time, drawn from a seed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(CONVERTER, clock=clock)
        self._slots = Slots(WORKERS, clock)
        self._rng = random.Random(0)
        self.seconds: list[float] = []

    def snapshot(self) -> PoolState:
        return PoolState(WORKERS, self._slots.held, len(self._slots.line))

    async def execute(self, job: Json, ticket: Ticket) -> Answer:
        async with self._slots.hold(ticket, Wait(WaitKind.CONVERSION, "", self._clock())):
            self.seconds.append(self._rng.uniform(*CONVERT_S))
            await asyncio.sleep(self.seconds[-1])
            return Answer(msgspec.convert(self._target(job), Conversion), seconds=self.seconds[-1])


def bound(searches: list[float], convert_s: list[float]) -> float:
    """The least time, in seconds.

    Args:
        searches: how long each patient's search takes, in the order of the line.
        convert_s: how long each document takes.
    """
    shortest = min(convert_s)
    ready = [(i // PER_MINUTE.n) * PER_MINUTE.per + seconds for i, seconds in enumerate(searches)]
    one_patient = (
        max(ready) + shortest + 4 * LATENCY_S
    )  # task, search, and after the documents status, report
    all_work = min(ready) + sum(convert_s) / WORKERS
    return max(one_patient, all_work)


def measured(folder: Path, seed: int = 0) -> dict[str, Any]:
    """One run: how long it took, the bound, and what was lost where."""
    made: list[TimedWorkers] = []

    def workers(_config: object, clock: Clock, *_: object, **__: object) -> TimedWorkers:
        made.append(TimedWorkers(clock))
        return made[-1]

    options = {"search_seconds": SEARCH_S, "latency": LATENCY_S}
    plan = Plan(folder, seed, PATIENTS, options=options)
    with mock.patch("docpipe.app.make_workers", workers):
        story: Story = virtual.run(simulate(plan))
    docex = story.running.docex
    searches = [docex.searches_of(patient)[0] for patient in ids(PATIENTS)]
    late = [_noticed(story, search.id) - search.done for search in searches]
    return {
        "seconds": story.seconds,
        "bound": bound([search.seconds for search in searches], made[0].seconds),
        "last_search_s": max(search.began for search in searches) - virtual.EPOCH_S,
        "late_s": sum(late) / len(late),
        "polls": sum(seen.operation == "docex.status" for seen in docex.requests) / PATIENTS,
        "refused": story.running.count_429(),
    }


def _noticed(story: Story, search_id: str) -> float:
    docex = story.running.docex
    asked = [seen.at for seen in docex.requests if seen.path.endswith(search_id)]
    return docex.world.clock.epoch(asked[-1])


def makespan() -> list[Figure]:
    """In seconds of virtual time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        result = measured(Path(folder))
    last = (PATIENTS - 1) // PER_MINUTE.n * PER_MINUTE.per
    return [
        Figure(f"{PATIENTS} patients", result["seconds"], "s", "lower bound", result["bound"], "<= 1.02 x"),
        Figure("last search sent", result["last_search_s"], "s", "at full bursts", last),
        Figure("search found ready late", result["late_s"], "s"),
        Figure("questions a search", result["polls"]),
        Figure("answers 429", result["refused"], goal="<= 0"),
    ]
