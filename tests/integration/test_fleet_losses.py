"""Workers killed with their disks or standing still, Temporal killed, lost answers: nothing is missed."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from docpipe.model import Activity, RunState
from docpipe.storage import folder_name
from tests.fleet_support import PATIENTS, BareWorker, Machines, machines

DOCUMENTS = 4
BOTH = {"converted": 2 * DOCUMENTS}
"""Each document has another one in it."""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Machines]:
    async with machines(tmp_path, key_seconds=0.5, latency=0.05, jitter=0.1) as made:
        yield made


def judge(made: Machines, patients: list[str]) -> None:
    """Nothing is lost, nothing is doubled, no quota is broken, the spool is empty."""
    tasks = made.tasks()
    assert len(tasks) == len(patients)
    assert {task.status for task in tasks} == {"completed"}
    reports = made.services.tracker.reports
    assert {len(reports[task.id]) for task in tasks} == {1}
    assert made.services.count_429() == 0
    for quota in ("docex.search", "docex.status"):
        assert made.services.docex.worst_window(quota, 1.0) <= 10
    for patient in patients:
        folder = made.folder / "storage" / folder_name(patient)
        kept = [path for path in folder.iterdir() if path.name != "runs"]
        assert len(kept) == 2 * DOCUMENTS
    assert not list((made.folder / "storage" / ".fleet" / "spool").glob("*/*"))


async def test_nothing_is_lost_or_doubled(fleet: Machines) -> None:
    """A worker dies with its disk in the middle of conversions, another stands still until others have done
    its work, Temporal is killed, answers are lost and keys forgotten: every patient completes once.
    """
    patients = PATIENTS[:10]
    fleet.services.add_fault("tracker.create|tracker.report|docex.status lost probability=0.3")
    hold = fleet.folder / "hold"
    hold.touch()
    one, two, three = await asyncio.gather(
        *(BareWorker.started(fleet, name, DOCPIPE_TEST_HEARTBEAT_S="8") for name in ("one", "two", "three"))
    )
    try:
        async with fleet.runs() as runs:
            submitted = await runs.submit(patients)
            while not (one.box.folder / "holding").exists():  # in the middle of a conversion
                await asyncio.sleep(0.1)
            await one.killed()
            shutil.rmtree(one.box.folder / "state")
            two.send(signal.SIGSTOP)
            hold.unlink()
            fleet.temporal.kill()
            fleet.temporal.start()
            some: list[object] = []
            waiting = asyncio.create_task(runs.wait(submitted, some.append))
            while not some:  # what the second one had is done by the third
                await asyncio.sleep(0.1)
            two.send(signal.SIGCONT)
            ended = await waiting
            steps = [step for run in await runs.runs() for step in await runs.steps(run)]
    finally:
        for worker in (one, two, three):
            await worker.killed()
    assert {run.state for run in ended} == {RunState.COMPLETED}, [run.error for run in ended]
    assert all(run.counts == BOTH for run in ended)
    assert any(step.attempts > 1 for step in steps if step.activity == Activity.CONVERT)
    judge(fleet, patients)


async def test_killed_between_an_effect_and_its_answer(fleet: Machines) -> None:
    """The next try has what the first one saved before it asked, looks the task up, and makes no other."""
    patients = PATIENTS[:2]
    fleet.services.add_fault("tracker.create late seconds=30 times=2")
    one = await BareWorker.started(fleet, "one", DOCPIPE_TEST_HEARTBEAT_S="8")
    two = None
    try:
        async with fleet.runs() as runs:
            submitted = await runs.submit(patients)
            while len(fleet.tasks()) < len(patients):
                await asyncio.sleep(0.05)
            await one.killed()
            two = await BareWorker.started(fleet, "two", DOCPIPE_TEST_HEARTBEAT_S="8")
            ended = await runs.wait(submitted)
            steps = [step for run in await runs.runs() for step in await runs.steps(run)]
    finally:
        for worker in filter(None, (one, two)):
            await worker.killed()
    assert {run.state for run in ended} == {RunState.COMPLETED}, [run.error for run in ended]
    assert {step.attempts for step in steps if step.activity == Activity.CREATE_TASK} == {2}
    assert len(fleet.services.tracker.ledger.of("tracker.find")) >= len(patients)
    judge(fleet, patients)
