"""Many documents, many patients and priorities in a fleet with one worker, by real servers."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import pytest_asyncio
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from docpipe.config.config import Config, Convert
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.flow import RetrievePatient
from docpipe.fleet.queues import PIPELINE, Queue
from docpipe.fleet.spool import BucketSpool
from docpipe.fleet.views import FleetRun
from docpipe.fleet.worker import FleetWorker, working
from docpipe.model import Activity, RunState, WaitKind
from tests.fleet_support import Machines, machines
from tests.fleet_worker import CONVERTER, OPEN

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
DOCUMENTS = 40
AT_ONCE = 32
LARGE = 2048
"""Bytes from which on a value lies in the storage; of tens of documents, none has the usual 16 KiB."""
LONG = {f"P{number}": 3600.0 for number in range(140, 152)}
"""Patients whose searches take an hour."""


class World:
    """A fleet with one worker in this process."""

    def __init__(self, made: Machines, worker: FleetWorker, runs: FleetRuns) -> None:
        self.machines = made
        self.worker = worker
        self.runs = runs


def config_of(made: Machines, name: str) -> Config:
    return replace(made.config(name), convert=Convert(workers=AT_ONCE, ocr=False, libreoffice=False))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("fleet")
    documents = folder / "documents"
    documents.mkdir()
    for number in range(DOCUMENTS):
        (documents / f"{number:03}.txt").write_text(f"document {number}")
    with mock.patch("docpipe.fleet.payloads.LARGE", LARGE):
        async with (
            machines(folder, documents=documents, patient_seconds=LONG) as made,
            working(config_of(made, "worker"), converter=CONVERTER, inline=True) as worker,
            made.runs() as runs,
        ):
            yield World(made, worker, runs)


@pytest.fixture
def held() -> Iterator[None]:
    """No conversion ends before the test opens them."""
    OPEN.clear()
    yield
    OPEN.set()


def payloads(folder: Path) -> list[Path]:
    return [path for path in (folder / "storage" / ".fleet" / "payloads").rglob("*") if path.is_file()]


@pytest.mark.usefixtures("held")
async def test_cancelled_with_thirty_conversions_under_way(world: World) -> None:
    """All end, the task is cancelled, and the history is replayed to the same decisions."""
    (run,) = await world.runs.submit(["P100"])
    await converting(world)
    assert payloads(world.machines.folder), "what the archive holds is in the storage, by its name"
    await world.runs.cancel(run)
    OPEN.set()
    (ended,) = await world.runs.wait([run])
    assert (ended.state, ended.error) == (RunState.CANCELLED, None)
    (task,) = world.machines.tasks()
    assert task.status == "cancelled"
    await replayed(world, run)


@pytest.mark.usefixtures("held")
async def test_docpipe_itself_fails_with_thirty_conversions_under_way(world: World) -> None:
    """The others are ended before the run is: nothing works on unnoticed, and the task says failed."""
    fails, calls, need = asyncio.Event(), itertools.count(), BucketSpool.need

    async def failing(spool: BucketSpool, run_id: str, names: Collection[str]) -> None:
        if next(calls) == 5:
            await fails.wait()
            raise RuntimeError("a fault of docpipe")
        await need(spool, run_id, names)

    before = len(world.machines.tasks())
    with mock.patch.object(BucketSpool, "need", failing):
        (run,) = await world.runs.submit(["P102"])
        await converting(world)
        fails.set()
        while not all(step.cancelled for step in world.worker.fleet_activities.under_way):
            await asyncio.sleep(0.1)
        (stand,) = await world.runs.with_progress([run])
        assert not stand.state.finished  # it waits for them
        OPEN.set()
        (ended,) = await world.runs.wait([run])
    assert ended.state is RunState.FAILED
    assert "RuntimeError" in (ended.error or "")
    assert Activity.CONVERT not in world.worker.fleet_activities.under_way.values()
    assert [task.status for task in world.machines.tasks()[before:]] == ["failed"]
    await replayed(world, run)


async def converting(world: World) -> None:
    """Wait until as many conversions are under way as there can be."""
    while list(world.worker.fleet_activities.under_way.values()).count(Activity.CONVERT) < AT_ONCE:
        await asyncio.sleep(0.1)


async def replayed(world: World, run: FleetRun) -> None:
    """The history leads to the same decisions again."""
    client = world.runs.client
    history = await client.get_workflow_handle(run.workflow).fetch_history()
    replayer = Replayer(
        workflows=[RetrievePatient],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=client.data_converter,
    )
    await replayer.replay_workflow(history)


async def test_many_documents_in_several_histories(world: World) -> None:
    """What is carried from one to the next is too large for them, and each document is converted once."""
    async with world.machines.runs(longest=150) as runs:
        (run,) = await runs.submit(["P101"])
        (ended,) = await runs.wait([run])
        assert (ended.state, ended.counts) == (RunState.COMPLETED, {"converted": 2 * DOCUMENTS})
        carried = [path for path in payloads(world.machines.folder) if run.workflow in path.parts]
        assert len(carried) > 1
        steps = await runs.steps((await runs.runs("P101"))[0])
    converted = [step for step in steps if step.activity == Activity.CONVERT]
    assert {(len(converted), step.attempts) for step in converted} == {(2 * DOCUMENTS, 1)}


async def test_patients_that_wait_hold_no_slot(world: World) -> None:
    """Between two questions about a search nothing of a run is on any worker."""
    with mock.patch("fakes.docex.whole_seconds", return_value="300"):
        submitted = await world.runs.submit(LONG)
        waits: list[object] = []
        while len(waits) < len(LONG):
            await asyncio.sleep(0.2)
            stand = await world.runs.with_progress(submitted)
            active = [one for run in stand if run.doing is not None for one in [run.doing]]
            waits = [one.wait for one in active if one.wait is not None and one.wait.kind is WaitKind.POLL]
        assert not world.worker.fleet_activities.under_way
    await asyncio.gather(*(world.runs.cancel(run) for run in submitted))
    ended = await world.runs.wait(submitted)
    assert {run.state for run in ended} == {RunState.CANCELLED}


async def test_urgent_runs_pass_those_before_them(world: World) -> None:
    """Whoever is more urgent is begun first, though many wait; all are done in the end."""
    later, begun = PIPELINE + 3, [f"P{number}" for number in range(110, 126)]
    urgent = ["P135", "P136"]
    docex = world.machines.services.docex
    before = len(docex.ledger.of("docex.search"))
    async with world.machines.runs(pipeline=later) as runs:
        submitted = await runs.submit(begun)
        submitted += await runs.submit(urgent, priority=7)
        async with working(
            config_of(world.machines, "later"),
            [Queue.BEGIN],
            converter=CONVERTER,
            inline=True,
            pipeline=later,
        ) as worker:
            while len(docex.ledger.of("docex.search")) < before + len(submitted):
                await asyncio.sleep(0.1)
            for run in submitted:
                await runs.client.get_workflow_handle(run.workflow).terminate()
            log = (worker.config.state_dir / "activity_log.csv").read_text()
    order = [line.split(",")[2] for line in log.splitlines() if ",DocEx_Search,start," in line]
    assert sorted(order) == sorted(begun + urgent)
    assert max(map(order.index, urgent)) < len(begun) / 2
