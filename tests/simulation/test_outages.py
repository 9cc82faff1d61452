"""Outages in virtual time: no run fails, hardly a request is sent meanwhile, all runs continue after."""

from pathlib import Path

import pytest

from docpipe.model import Rate, RunState
from tests import virtual
from tests.simulation.world import Plan, Story, ids, simulate

OUTAGE_S = 7200.0


def kept(story: Story) -> Story:
    """What holds whatever happens: quotas, one task and one report each, nobody failed."""
    docex, tracker = story.running.docex, story.running.tracker
    assert story.running.count_429() == 0
    assert docex.worst_window("docex.search", 60.0) <= 10
    assert docex.worst_window("docex.status", 1.0) <= 10
    assert tracker.worst_window("tracker.*", 1.0) <= 10
    for run in story.runs:
        assert run.state is RunState.COMPLETED, run
        (task,) = tracker.tasks_of(run.run_id)
        assert task.history == ("in_progress", "completed")
        assert len(tracker.reports[task.id]) == 1
        assert len(docex.searches_of(run.patient_id)) == 1
    return story


def into_outage(story: Story) -> int:
    servers = (story.running.docex, story.running.tracker, story.running.archive)
    return sum(1 for server in servers for seen in server.requests if seen.fault is not None)


def test_a_thousand_patients_and_two_hours_of_outage(tmp_path: Path) -> None:
    """Two hours of 503 cost a request per probe; the last patient ends when quota and outage allow."""
    plan = Plan(
        tmp_path,
        patients=1000,
        faults=["docex.* 503 from=600 until=7800"],
        options={"search_seconds": (30.0, 120.0), "empty": frozenset(ids(1000))},
    )
    story = kept(virtual.run(simulate(plan)))
    # The trip, what was under way, then a probe each 45 to 60 s.
    assert into_outage(story) <= 3 + 12 + OUTAGE_S / 45
    ideal = 1000 * 6.0 + 120.0
    assert story.seconds <= OUTAGE_S + ideal + 60.0


@pytest.mark.parametrize(
    "faults",
    [
        ["docex.* 503 until=600"],
        ["tracker.* 503 from=30 until=600"],
        ["* reset from=60 until=900"],
        ["docex.* html200 from=60 until=900"],
        ["tracker.create|tracker.report lost from=20 until=200"],
        ["docex.search lost from=20 until=200"],
        ["docex.archive truncate from=20 until=300", "docex.link 502 from=99 until=200"],
        [f"* 503 from={begin} until={begin + 40}" for begin in range(30, 600, 80)],
        ["docex.status hang from=60 until=300"],
        [
            "docex.s* 429 retry_after=epoch_ms:30 from=60 until=90",
            "tracker.* 429 retry_after=date:20 times=3",
        ],
    ],
    ids=[
        "at the start",
        "tracker",
        "all",
        "html",
        "lost",
        "lost search",
        "archives",
        "flapping",
        "hang",
        "429",
    ],
)
def test_forty_patients_through(tmp_path: Path, faults: list[str]) -> None:
    """Whatever a service does for a while, everybody completes, once."""
    plan = Plan(tmp_path, patients=40, faults=faults, options={"search_seconds": (5.0, 40.0)})
    story = virtual.run(simulate(plan))
    if any("429" in fault for fault in faults):
        assert {run.state for run in story.runs} == {RunState.COMPLETED}
    else:
        kept(story)
    assert into_outage(story) > 0


def test_restarts_in_the_middle_of_an_outage(tmp_path: Path) -> None:
    """Stopped and started again during an outage, everybody completes, once, within the quotas."""
    faults = ["docex.* 503 from=60 until=600", "tracker.* reset from=300 until=700"]
    options = {"search_seconds": (5.0, 90.0)}
    kept(
        virtual.run(
            simulate(Plan(tmp_path, patients=40, faults=faults, options=options, lives=(45, 100, 200)))
        )
    )


def test_one_poisoned_patient_fails_alone(tmp_path: Path) -> None:
    """Requests that fail for one patient only end that patient, with the reason, and hold nobody up."""
    calm = Plan(tmp_path / "calm", patients=30, options={"search_seconds": (5.0, 40.0)})
    (tmp_path / "calm").mkdir()
    usual = virtual.run(simulate(calm)).seconds
    faults = ["docex.search 500 patient=S00003"]
    story = virtual.run(simulate(Plan(tmp_path, patients=30, faults=faults, options=calm.options)))
    states = {run.patient_id: run.state for run in story.runs}
    assert states.pop("S00003") is RunState.FAILED
    assert set(states.values()) == {RunState.COMPLETED}
    (poisoned,) = (run for run in story.runs if run.patient_id == "S00003")
    assert "for this request alone" in (poisoned.error or "")
    others = max(end for patient, end in story.ended.items() if patient != "S00003")
    assert others <= usual + 90.0


def test_the_same_seed_is_the_same_story(tmp_path: Path) -> None:
    """A seed replays a run to the millisecond; another seed is another run."""
    digests = []
    for number, seed in enumerate((1, 1, 2)):
        place = tmp_path / str(number)
        place.mkdir()
        options = {"latency": 0.05, "jitter": 0.2, "search_seconds": (5.0, 40.0)}
        faults = ["* 503 probability=0.05 from=10 until=200"]
        plan = Plan(place, seed=seed, patients=20, faults=faults, options=options, status_rate=Rate(5, 1.0))
        digests.append(virtual.run(simulate(plan)).digest())
    assert digests[0] == digests[1] != digests[2]
