"""What proxies, firewalls and default backends say is an outage of the service, and nothing final."""

from pathlib import Path

import pytest

from docpipe.config.parsing import Secret
from docpipe.model import RunState
from tests import virtual
from tests.simulation.world import Plan, Story, ids, simulate

WORDS = (
    *("plain404", "html404", "html403", "plain410", "empty404", "away302", "away303", "away307"),
    *("html200", "html201", "empty200", "empty201", "empty204"),
)
SECONDS = {"search_seconds": (5.0, 20.0)}


def completed(story: Story, patients: int) -> Story:
    """Everybody is through, with one search, one task and one report each."""
    running = story.running
    assert [(run.state, run.error) for run in story.runs] == [(RunState.COMPLETED, None)] * patients
    for run in story.runs:
        assert len(running.docex.searches_of(run.patient_id)) == 1
        (task,) = running.tracker.tasks_of(run.run_id)
        assert task.history == ("in_progress", "completed")
        assert len(running.tracker.reports[task.id]) == 1
    return story


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("operations", ["docex.search|docex.status", "tracker.*"])
def test_a_strangers_word_is_an_outage(tmp_path: Path, operations: str, word: str) -> None:
    """Half an hour of it ends nothing, and costs a request a probe."""
    plan = Plan(tmp_path, patients=12, faults=[f"{operations} {word} from=8 until=1800"], options=SECONDS)
    story = completed(virtual.run(simulate(plan)), 12)
    seen = [one for server in (story.running.docex, story.running.tracker) for one in server.requests]
    assert 3 <= sum(1 for one in seen if one.fault) < 80


@pytest.mark.parametrize("word", ["plain404", "html403", "410", "400"])
@pytest.mark.parametrize("operation", ["docex.link", "docex.archive"])
def test_refused_links_do_not_use_up_fresh_ones_at_once(tmp_path: Path, operation: str, word: str) -> None:
    """Archives cannot be fetched for half a minute, as in a deployment; then all are, by one search each."""
    plan = Plan(tmp_path, patients=6, faults=[f"{operation} {word} from=8 until=40"], options=SECONDS)
    completed(virtual.run(simulate(plan)), 6)


@pytest.mark.parametrize("status", [404, 405, 410])
@pytest.mark.parametrize("operation", ["docex.search", "tracker.create|tracker.find"])
def test_a_service_that_is_not_there_is_never_final(tmp_path: Path, operation: str, status: int) -> None:
    """New searches and tasks cannot be gone: however well-formed, that is an outage."""
    options = {"search_seconds": (600.0, 1200.0)}  # others are polled meanwhile, and answered
    faults = [f"{operation} {status} from=0.5 until=1500", "tracker.create lost until=1"]
    story = virtual.run(simulate(Plan(tmp_path, patients=14, faults=faults, options=options)))
    completed(story, 14)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("operation", ["docex.status", "tracker.get", "tracker.update", "tracker.report"])
def test_a_404_is_believed_the_second_time(tmp_path: Path, operation: str, status: int) -> None:
    """One well-formed 404 or 410 gives up neither a search nor a task."""
    plan = Plan(tmp_path, patients=3, faults=[f"{operation} {status} times=1"], options=SECONDS)
    completed(virtual.run(simulate(plan)), 3)


def test_a_search_that_is_gone_is_asked_for_twice(tmp_path: Path) -> None:
    """The second 404 is believed: another search, and no third question."""
    plan = Plan(tmp_path, patients=1, faults=["docex.status 404 times=2"], options=SECONDS)
    story = virtual.run(simulate(plan))
    assert [run.state for run in story.runs] == [RunState.COMPLETED]
    assert len(story.running.docex.searches_of(ids(1)[0])) == 2
    first, second = [seen.at for seen in story.running.docex.requests if seen.status == 404]
    assert 5.0 <= second - first < 30.0


def test_the_doubt_survives_a_restart(tmp_path: Path) -> None:
    """A process that stops between the two questions does not begin to count anew, nor believe at once."""
    plan = Plan(tmp_path, patients=1, faults=["docex.status 404 times=2"], options=SECONDS, lives=(3.0,))
    story = virtual.run(simulate(plan))
    assert [run.state for run in story.runs] == [RunState.COMPLETED]
    assert sum(1 for seen in story.running.docex.requests if seen.status == 404) == 2


def test_a_wrong_token_is_final(tmp_path: Path) -> None:
    """What the service itself says of a token is believed: runs fail and say what to check."""
    plan = Plan(
        tmp_path, patients=1, docex={"token": Secret("old")}, options=SECONDS | {"docex_token": "new"}
    )
    (run,) = virtual.run(simulate(plan)).runs
    assert run.state is RunState.FAILED
    assert "docex.token" in (run.error or "")


def test_an_archive_that_is_made_again_is_waited_for(tmp_path: Path) -> None:
    """The link is over and the search runs once more: it is polled on, and no other one begun."""
    plan = Plan(tmp_path, patients=1, faults=["docex.link remake times=1 seconds=60"], options=SECONDS)
    story = completed(virtual.run(simulate(plan)), 1)
    assert story.seconds > 60.0
