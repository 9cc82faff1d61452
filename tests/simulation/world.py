"""A whole world in virtual time: the real docpipe against the real fakes, in one process over loopback.

What cannot run in virtual time is left out: worker processes (documents pass through a converter of three
lines), and nothing else. The same seed gives the same run.
"""

import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakes
from docpipe import app
from docpipe.checkpoints import StoredRun, read_runs
from docpipe.config.config import Config, Docex, Patients, State, Storage, Tasktracker
from docpipe.engine.engine import Change
from docpipe.model import Patient, Rate
from docpipe.patients import PatientDatabase
from fakes.quota import Rate as FakeRate
from tests import virtual

PER_MINUTE = Rate(10, 60.0)
PER_SECOND = Rate(10, 1.0)
CONVERTER = "tests.simulation.world:pass_through"


def pass_through(job: dict[str, Any]) -> dict[str, Any]:
    """Convert by copying the bytes: the cheapest conversion that still has an output."""
    Path(job["folder"], "text.md").write_bytes(Path(job["path"]).read_bytes())
    metadata = {"media_type": "text/plain", "warnings": []}
    done = {"outcome": "converted", "reason": None, "media_type": "text/plain", "extension": ".txt"}
    return {**done, "outputs": ["text.md"], "metadata": metadata, "embedded": [], "warnings": []}


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    folder: Path
    seed: int = 0
    patients: int = 10
    faults: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    """More for the fakes."""
    search_rate: Rate | None = PER_MINUTE
    status_rate: Rate | None = PER_SECOND
    tracker_rate: Rate | None = PER_SECOND
    kind: str = "docex"
    """What the exchange speaks."""
    docex: dict[str, Any] = field(default_factory=dict)
    """More of the configuration's section."""
    lives: Sequence[float] = ()
    """Seconds after which docpipe is stopped and started again; the last life is as long as it takes."""
    adapt: Callable[[Config, fakes.Running], Config] = lambda config, _: config
    """Changes the configuration."""
    meanwhile: Callable[[fakes.Running], Coroutine[Any, Any, None]] | None = None
    """What somebody does while docpipe is at work."""


@dataclass
class Story:
    """What happened."""

    runs: list[StoredRun]
    seconds: float
    ended: dict[str, float]
    """Patient id to when the run ended, in virtual seconds since the start."""
    running: fakes.Running

    def digest(self) -> str:
        """The same for two runs in which the same happened at the same times."""
        requests = [
            (round(seen.at, 3), seen.operation, seen.status)
            for server in (self.running.docex, self.running.fhir, self.running.tracker)
            for seen in server.requests
        ]
        ends = [(run.patient_id, run.state, run.counts) for run in self.runs]
        return hashlib.sha256(json.dumps([requests, ends, self.ended]).encode()).hexdigest()


def ids(n: int) -> list[str]:
    return [f"S{number:05d}" for number in range(n)]


def options_of(plan: Plan) -> fakes.FakeOptions:
    def rate(given: Rate | None) -> FakeRate | None:
        return None if given is None else FakeRate(given.n, given.per)

    given = {
        "seed": plan.seed,
        "mix": "tiny",
        "wall_clock": virtual.wall_clock,
        "faults": tuple(fakes.Fault.parse(fault) for fault in plan.faults),
        "search_rate": rate(plan.search_rate),
        "status_rate": rate(plan.status_rate),
        "tracker_rate": rate(plan.tracker_rate),
    }
    return fakes.FakeOptions(**(given | plan.options))


def config_of(plan: Plan, running: fakes.Running) -> Config:
    return Config(
        docex=Docex(
            base_url=running.fhir_url if plan.kind == "fhir" else running.docex_url,
            kind=plan.kind,
            search_rate=plan.search_rate,
            status_rate=plan.status_rate,
            **plan.docex,
        ),
        tasktracker=Tasktracker(base_url=running.tracker_url, rate=plan.tracker_rate),
        patients=Patients(url=f"sqlite:///{plan.folder}/patients.db"),
        storage=Storage(url=str(plan.folder / "storage")),
        state=State(dir=str(plan.folder / "state")),
    )


async def simulate(plan: Plan) -> Story:
    """Run the plan's patients to their end, through stops and restarts where the plan has some."""
    async with fakes.serve(options_of(plan)) as running:
        config = plan.adapt(config_of(plan, running), running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids(plan.patients)])
        await database.aclose()
        began = virtual.wall_clock()
        ended: dict[str, float] = {}
        rng = random.Random(plan.seed)

        def note(change: Change) -> None:
            if change.activity is None:
                ended[change.patient_id] = virtual.wall_clock() - began

        beside = None if plan.meanwhile is None else asyncio.create_task(plan.meanwhile(running))
        for life in (*plan.lives, None):
            async with app.opened(
                config, clock=virtual.wall_clock, rng=rng, converter=CONVERTER, inline=True
            ) as docpipe:
                docpipe.engine.listeners.append(note)
                await docpipe.engine.submit(id_ for id_ in ids(plan.patients) if id_ not in ended)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(docpipe.engine.wait(), life)
        if beside is not None:
            await beside
        runs = read_runs(config.state_dir, latest=10 * plan.patients)
        return Story(runs, virtual.wall_clock() - began, ended, running)
