"""When a run ends, demographics and signed links leave its checkpoints; a retry does without them."""

import json

import pytest

from docpipe.model import Activity, RunState
from docpipe.results.search import ArchiveLink, ListedDocument, Ready
from tests.unit.core.support import MemoryActivities, engine_of, member


class Exchange(MemoryActivities):
    """An exchange that hands out signed links."""

    looked_up = 0
    polled = 0

    async def get_patient(self, step, patient_id):
        self.looked_up += 1
        return await super().get_patient(step, patient_id)

    def extracted(self, run_id):
        return lambda done: False  # the spool was cleared

    async def wait_until_ready(self, step, search, patient):
        self.polled += 1
        link = ArchiveLink(url="https://exchange.example/a.zip?signature=canary", size=1)
        listed = [ListedDocument(title="canary")]
        return Ready(state="ready", archive=link, documents=listed, poll_times=[1.0])

    async def clear_spool(self, run_id):
        """There is none."""


async def ended(checkpoints, activities, work):
    """What a run became that an engine was given to do."""
    async with engine_of(checkpoints, activities) as engine:
        run_id = await work(engine)
        await engine.wait()
    (run,) = await checkpoints.runs([run_id])
    return run


async def submitted(engine):
    return (await engine.submit(["P1"]))[0].run_id


async def steps_of(checkpoints, run):
    return {step.activity: step.result for step in await checkpoints.steps(run.run_id)}


async def test_an_ended_run_keeps_no_demographics_and_no_link(checkpoints):
    """Name, birth date, the link and the exchange's list are gone; state and poll times stay."""
    run = await ended(checkpoints, Exchange([member("a.txt")]), submitted)
    results = await steps_of(checkpoints, run)
    kept = json.dumps([results[Activity.GET_PATIENT], results[Activity.CHECK_STATUS]])
    assert not any(word in kept for word in ("Zoë", "Zo\\u00eb", "Lee", "1957", "canary"))
    assert results[Activity.CHECK_STATUS]["state"] == "ready"
    assert results[Activity.CHECK_STATUS]["asked"] == [1.0]


@pytest.mark.parametrize("finish", [RunState.FAILED, RunState.CANCELLED, RunState.COMPLETED_WITH_ERRORS])
async def test_however_it_ends(checkpoints, finish):
    """The end of a run removes the data, whatever the end is."""
    await checkpoints.create_runs({"P1": "R1", "P2": "R2"}, 0)
    for run_id in ("R1", "R2"):
        patient = {"given": "Zoë", "birth_date": "1957-03-31"}
        await checkpoints.finish_step(run_id, Activity.GET_PATIENT, "", patient)
    await checkpoints.finish_run("R1", finish, {}, None, None)
    (step,), (other,) = await checkpoints.steps("R1"), await checkpoints.steps("R2")
    assert (step.result, other.result["given"]) == ({"removed!": True}, "Zoë")


@pytest.mark.parametrize(
    ("first", "polls"), [(Activity.DOWNLOAD, 2), (Activity.CONVERT, 2), (Activity.UPDATE_STATUS, 1)]
)
async def test_a_retry_asks_again_for_what_was_removed(checkpoints, first, polls):
    """The patient is looked up again, and the search polled again where its archive is needed."""
    activities = Exchange([member("a.txt")])
    run = await ended(checkpoints, activities, submitted)

    async def retried(engine):
        return (await engine.retry(run.run_id, first)).run_id

    again = await ended(checkpoints, activities, retried)
    assert (again.state, again.counts) == (RunState.COMPLETED, {"converted": 1})
    assert (activities.looked_up, activities.polled, activities.searched) == (2, polls, 1)
    assert "1957" not in json.dumps(await steps_of(checkpoints, again))
