"""Crashes in virtual time: docpipe dies at a failpoint, and another life continues with what it left.

python -m tests.simulation.crashes            every point, once
python -m tests.simulation.crashes --pairs    every point, and every point of each recovery
"""

import argparse
import asyncio
import contextlib
import hashlib
import random
import shutil
import sqlite3
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

import fakes
from docpipe import app
from docpipe.checkpoints import read_runs
from docpipe.config.config import Config, Docex, Patients, State, Storage, Tasktracker
from docpipe.engine.engine import Change, Listener
from docpipe.model import Clock, Patient, Rate
from docpipe.patients import PatientDatabase
from fakes.quota import Rate as FakeRate
from tests import full_disk, memory, virtual
from tests.simulation import invariants
from tests.simulation.lives import POINTS, Life, lived, prepared

CONVERTER = "tests.simulation.crashes:convert"
LETTER = b"Letter: all is well.\n"
PART = b"Part: a note within the chart.\n"
FILES = {"chart.txt": b"Chart\n" + PART, "copy.txt": LETTER, "letter.txt": LETTER, "empty.txt": b""}
SEARCH = Rate(2, 60.0)
SECOND = Rate(2, 1.0)
"""Rates so small that what a crash forgets of them shows."""
RATES = (SEARCH, SECOND)


def convert(job: dict[str, Any]) -> dict[str, Any]:
    """Two outputs; the chart holds two documents, one of which is in the archive besides."""
    folder, content = Path(job["folder"]), Path(job["path"]).read_bytes()
    (folder / "text.md").write_bytes(content)
    POINTS.hit("within a conversion")
    (folder / "document.pdf").write_bytes(b"%PDF " + content)
    embedded = []
    if content.startswith(b"Chart"):
        (folder / "embedded").mkdir()
        for number, (name, data) in enumerate((("part.txt", PART), ("letter.txt", LETTER)), 1):
            (folder / "embedded" / f"{number:03d}").write_bytes(data)
            embedded.append({"name": name, "declared": None})
    return {
        "outcome": "converted",
        "reason": None,
        "media_type": "text/plain",
        "extension": ".txt",
        "outputs": ["text.md", "document.pdf"],
        "metadata": {"media_type": "text/plain", "warnings": []},
        "embedded": embedded,
        "warnings": [],
    }


@dataclass(frozen=True)
class Plan:
    """What happens to which process."""

    patients: tuple[str, ...] = ("P1",)
    kills: tuple[int, ...] = ()
    """At which point each life dies; the one after them lives to its end."""
    gaps: tuple[float, ...] = ()
    """Seconds between a death and the next life."""
    faults: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    """More for the fakes."""
    seed: int = 0
    kind: str = "docex"
    """What the exchange speaks."""
    mode: str = "auto"
    troubles: tuple[tuple[int, int, int], ...] = ()
    """Of the disk, one for each life: the first write that fails, how many fail in a row, and the errno."""
    locks: tuple[tuple[float, float], ...] = ()
    """Of the database, one for each life: after how many seconds somebody else locks it, and for how long."""
    steps: tuple[tuple[float, float], ...] = ()
    """Of the wall clock: after how many seconds of the story, and how far; lives share it."""
    rates: tuple[tuple[float, Rate, Rate], ...] = ()
    """Changes: after how many seconds of the story, the quota of searches, and each other one."""
    docex: tuple[tuple[str, Any], ...] = ()
    """More of the configuration's section."""

    def rates_at(self, seconds: float) -> tuple[Rate, Rate]:
        """The rate of searches and each other one, so many seconds after the story began."""
        return next(((search, other) for at, search, other in reversed(self.rates) if at <= seconds), RATES)

    def clock(self) -> Clock:
        """A wall clock that is set as planned; the story begins now."""
        began = virtual.wall_clock()

        def now() -> float:
            wall = virtual.wall_clock()
            return wall + sum(step for at, step in self.steps if at <= wall - began)

        return now


@dataclass
class Course:
    """What happened."""

    lives: list[list[str]]
    """The points that each life passed."""


def config_of(
    disk: Path, running: fakes.Running, plan: Plan | None = None, rates: tuple[Rate, Rate] = RATES
) -> Config:
    plan, (search, other) = plan or Plan(), rates
    url = running.fhir_url if plan.kind == "fhir" else running.docex_url
    docex = Docex(
        base_url=url,
        kind=plan.kind,
        fhir_mode=plan.mode,
        search_rate=search,
        status_rate=other,
        **dict(plan.docex),
    )
    return Config(
        docex=docex,
        tasktracker=Tasktracker(base_url=running.tracker_url, rate=other),
        patients=Patients(url=f"sqlite:///{disk.parent}/patients.db"),
        storage=Storage(url=str(disk / "storage")),
        state=State(dir=str(disk / "state")),
    )


Around = Sequence[Callable[[app.Docpipe], Coroutine[Any, Any, None]]]


async def _live(
    plan: Plan, config: Config, *listeners: Listener, clock: Clock = virtual.wall_clock, around: Around = ()
) -> None:
    """`around`: what else happens to this process, until it ends."""
    rng = random.Random(plan.seed)
    async with (
        app.opened(config, clock=clock, rng=rng, converter=CONVERTER, inline=True) as docpipe_,
        _beside(*(happens(docpipe_) for happens in around)),
    ):
        docpipe_.engine.listeners.extend(listeners)
        begun = {run.patient_id for run in read_runs(config.state_dir)}
        await docpipe_.engine.resume()
        if new := [patient for patient in plan.patients if patient not in begun]:
            await docpipe_.engine.submit(new)
        await docpipe_.engine.wait()


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [end for end in ends if isinstance(end, Exception)], ends


def _rates_change(plan: Plan, change: Callable[[float], Config], began: float) -> Around:
    """`change`: the configuration so many seconds after the story began, which was `began`."""

    async def changed(docpipe_: app.Docpipe) -> None:
        for at, *_ in plan.rates:
            await asyncio.sleep(max(0.0, began + at - virtual.wall_clock()))
            docpipe_.use_rates(change(at))

    return (changed,)


def _locked(after: float, seconds: float) -> Around:
    """Another program, such as a backup, holds the lock for writing the database."""

    async def locked(docpipe_: app.Docpipe) -> None:
        await asyncio.sleep(after)
        other = sqlite3.connect(docpipe_.config.state_dir / "checkpoints.db", isolation_level=None, timeout=0)
        POINTS.at_death(other.close)
        with contextlib.closing(other), contextlib.suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)

    return (locked,)


@contextlib.contextmanager
def _disk(folder: Path, trouble: tuple[int, int, int] | None) -> Iterator[None]:
    """A disk that refuses some writes; `full_disk.prepared` has to be in place."""
    if trouble is None:
        yield
        return
    first, writes, error = trouble
    with full_disk.watched(full_disk.Disk(folder, full_at=first, seconds=writes, error=error)):
        yield


def _options(plan: Plan, folder: Path) -> fakes.FakeOptions:
    options = {
        "documents": folder / "files",
        "wall_clock": virtual.wall_clock,
        "seed": plan.seed,
        "faults": tuple(fakes.Fault.parse(fault) for fault in plan.faults),
        "search_rate": FakeRate(SEARCH.n, SEARCH.per),
        "status_rate": FakeRate(SECOND.n, SECOND.per),
        "tracker_rate": FakeRate(SECOND.n, SECOND.per),
        "search_seconds": (2.0, 2.0),
    }
    return fakes.FakeOptions(**(options | dict(plan.options)))


async def story(plan: Plan, folder: Path) -> Course:
    """Live every life of the plan, and hold the world after the last one against the invariants."""
    disk, reported, done = folder / "disk", Course([]), []
    async with fakes.serve(_options(plan, folder)) as running:
        clock, began = plan.clock(), virtual.wall_clock()
        gaps, troubles, locks = iter(plan.gaps), iter(plan.troubles), iter(plan.locks)

        def now_config(at: float) -> Config:
            return config_of(disk, running, plan, plan.rates_at(at))

        for kill in (*plan.kills, None):
            life = Life(disk, kill)
            reported.lives.append(life.passed)
            config = now_config(virtual.wall_clock() - began)
            around = _rates_change(plan, now_config, began)
            if (lock := next(locks, None)) is not None:
                around = (*around, *_locked(*lock))
            with _disk(disk, next(troubles, None)):
                await lived(life, _live(plan, config, clock=clock, around=around))
            if not life.dead:
                break
            done.append(invariants.done(config.state_dir))
            await asyncio.sleep(next(gaps, 0.0))
        if plan.kind == "fhir":
            invariants.judge(_of_fhir(plan, config, disk, running, done))
            return reported
        files = {path: hashlib.sha256(data).hexdigest() if data else None for path, data in FILES.items()}
        windows = {"docex.search": SEARCH, "docex.status": SECOND, "tracker.*": SECOND}
        invariants.judge(
            invariants.After(
                config.state_dir,
                disk / "storage",
                running,
                plan.patients,
                files,
                done,
                windows={name: (rate.n, rate.per) for name, rate in windows.items()},
            )
        )
    return reported


def _of_fhir(
    plan: Plan, config: Config, disk: Path, running: fakes.Running, done: list[invariants.Done]
) -> invariants.After:
    """What is to hold of an exchange that speaks FHIR; a search whose answer was lost may be there twice."""
    windows = {"fhir.search": SEARCH, "fhir.status": SECOND, "tracker.*": SECOND}
    sizes = {name: (rate.n, rate.per) for name, rate in windows.items()}
    return invariants.After(
        config.state_dir, disk / "storage", running, plan.patients, {}, done, windows=sizes
    )


@dataclass
class Ended:
    """How a run ended that nothing was expected of."""

    error: str | None
    running: fakes.Running


async def unjudged(
    plan: Plan, folder: Path, listen: Callable[[fakes.Running, Change], None], wait: float = 0.0
) -> Ended:
    """One undisturbed life of one patient, with a listener for all that begins and ends."""
    prepare(folder)
    async with fakes.serve(_options(plan, folder)) as running:
        config = config_of(folder / "disk", running, plan)
        await _live(plan, config, lambda change: listen(running, change))
        await asyncio.sleep(wait)
        (run,) = read_runs(config.state_dir)
        return Ended(run.error, running)


@contextlib.contextmanager
def stage(patients: Sequence[str]) -> Iterator[Path]:
    """A folder in memory where there is one, with what a story needs to begin."""
    with memory.folder() as folder:
        (folder / "files").mkdir()
        for path, data in FILES.items():
            (folder / "files" / path).write_bytes(data)

        async def fill() -> None:
            database = PatientDatabase(f"sqlite:///{folder}/patients.db")
            await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in patients])
            await database.aclose()

        virtual.run(fill())
        yield folder


def prepare(folder: Path) -> None:
    """An empty disk, in a stage that may have been used before."""
    for name in ("disk", "copy"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "disk").mkdir()


def tell(plan: Plan, folder: Path) -> Course:
    """Live a story from its beginning, in a stage that may have been used before."""
    prepare(folder)
    return virtual.run(story(plan, folder))


@dataclass
class Failure:
    """A story that did not end well."""

    kills: tuple[int, ...]
    points: list[str]
    """Where each life died."""
    error: str


def tried(plan: Plan, folder: Path) -> Course | Failure:
    """A story, or what is wrong with its end."""
    POINTS.lives = []
    try:
        return tell(plan, folder)
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is reported with the points
        points = [life.passed[-1] for life in POINTS.lives if life.kill is not None and life.passed]
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        return Failure(plan.kills, points, f"{type(error).__name__} at {where}: {str(error)[:300]}")


def every_point(folder: Path) -> tuple[list[list[str]], list[Failure]]:
    """Die at every point of an undisturbed life. Returns the points of each recovery, and failures."""
    whole = tell(Plan(), folder).lives[0]
    recoveries, failures = [], []
    for number in range(1, len(whole) + 1):
        results = tried(Plan(kills=(number,), gaps=(0.3 * (number % 3),)), folder)
        if isinstance(results, Failure):
            failures.append(results)
            recoveries.append([])
        else:
            recoveries.append(results.lives[1])
    return recoveries, failures


def _print(what: object) -> None:
    print(what, flush=True)  # noqa: T201 -- printing is what a command does


def main() -> int:
    """Run all single points, or all pairs; prints counts, time and failures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pairs", action="store_true", help="a crash, and a crash at each point of its recovery"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth pair")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="begin at this one, to share the work"
    )
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    began = time.monotonic()
    with stage(("P1",)) as folder, prepared():
        recoveries, failures = every_point(folder)
        _print(f"{len(recoveries)} points in {time.monotonic() - began:.1f} s, {len(failures)} failures")
        if args.pairs:
            pairs = [(i, j) for i, points in enumerate(recoveries, 1) for j in range(1, len(points) + 1)]
            began = time.monotonic()
            for number, pair in enumerate(pairs[args.first :: args.every], 1):
                results = tried(Plan(kills=pair, gaps=(0.3 * (number % 3), 0.4 * (number % 2))), folder)
                if isinstance(results, Failure):
                    failures.append(results)
                    _print(results)
                if number % 5000 == 0:
                    _print(f"{number} of {len(pairs)} pairs in {time.monotonic() - began:.0f} s")
            _print(f"{len(pairs[args.first :: args.every])} pairs in {time.monotonic() - began:.0f} s")
    for failure in failures:
        _print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    from tests.simulation import crashes  # this module under the name by which docpipe finds its converter

    sys.exit(crashes.main())
