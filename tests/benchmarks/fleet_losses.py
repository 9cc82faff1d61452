"""How soon the runs of a fleet go on after something was killed, stopped or emptied."""

import asyncio
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from docpipe.fleet.client import FleetRuns
from docpipe.model import RunState
from tests.benchmarks.figures import Figure
from tests.fleet_support import BareWorker, Machines, machines
from tests.memory import folder as memory_folder

_PATIENTS = 3
_AWAY_S = 5.0


@dataclass
class Scene:
    """A worker holds conversions of some runs, and another one is there to take over."""

    made: Machines
    first: BareWorker
    second: BareWorker


async def _nothing(_: Scene) -> None:
    """For comparison."""


async def _killed(scene: Scene) -> None:
    await scene.first.killed()


async def _burnt(scene: Scene) -> None:
    await scene.first.killed()
    shutil.rmtree(scene.first.box.folder / "state")


async def _stopped(scene: Scene) -> None:
    scene.first.send(signal.SIGTERM)


async def _still(scene: Scene) -> None:
    scene.first.send(signal.SIGSTOP)


async def _temporal_killed(scene: Scene) -> None:
    scene.made.temporal.kill()
    scene.made.temporal.start()


async def _temporal_away(scene: Scene) -> None:
    scene.made.temporal.kill()
    await asyncio.sleep(_AWAY_S)
    scene.made.temporal.start()


async def _store_killed(scene: Scene) -> None:
    scene.made.store.kill()
    scene.made.store.start()


async def _store_emptied(scene: Scene) -> None:
    scene.made.store.empty()


async def _store_away(scene: Scene) -> None:
    scene.made.store.kill()
    await asyncio.sleep(_AWAY_S)
    scene.made.store.start()


LOSSES: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "nothing lost": _nothing,
    "worker killed": _killed,
    "worker killed, its disk lost": _burnt,
    "worker ended by SIGTERM": _stopped,
    "worker stands still (SIGSTOP)": _still,
    "Temporal killed and started": _temporal_killed,
    f"Temporal killed, back after {_AWAY_S:.0f} s": _temporal_away,
    "Redis killed and started, empty": _store_killed,
    "Redis emptied": _store_emptied,
    f"Redis killed, back after {_AWAY_S:.0f} s": _store_away,
}


async def losses() -> list[Figure]:
    """Seconds from the end of each loss until the runs that it met have ended, quotas of 10 per 1 s."""
    return [Figure(f"done after: {name}", await _once(cause), "s") for name, cause in LOSSES.items()]


async def _once(cause: Callable[[Scene], Awaitable[None]]) -> float:
    patients = [f"P{100 + number}" for number in range(_PATIENTS)]
    with memory_folder() as folder:
        async with machines(folder) as made, made.runs() as runs:
            hold = folder / "hold"
            hold.touch()
            workers = [await BareWorker.started(made, "one")]
            try:
                submitted = await runs.submit(patients)
                while len(list((workers[0].box.folder / "state" / "spool").glob("*/out/*"))) < _PATIENTS - 1:
                    await asyncio.sleep(0.05)
                workers.append(await BareWorker.started(made, "two"))
                await cause(Scene(made, *workers))
                began = time.perf_counter()
                hold.unlink()
                await _all_completed(runs, submitted)
                return time.perf_counter() - began
            finally:
                for worker in workers:
                    await worker.killed()


async def _all_completed(runs: FleetRuns, submitted: list) -> None:
    ended = await runs.wait(submitted)
    assert {run.state for run in ended} == {RunState.COMPLETED}, [run.error for run in ended]
