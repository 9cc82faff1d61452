"""Polling: searches are noticed soon after they are ready, and cost few questions."""

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from docpipe.model import RunState
from tests import virtual
from tests.simulation.world import Plan, Story, ids, simulate


def delays(story: Story, seconds: Callable[[float], float]) -> list[float]:
    """From ready to noticed, of each search, as a part of what is allowed for its duration."""
    result = []
    for run in story.runs:
        (search,) = story.running.docex.searches_of(run.patient_id)
        answers = [seen for seen in polls(story) if seen.path.endswith(search.id)]
        noticed = story.running.docex.world.clock.epoch(answers[-1].at)
        result.append((noticed - search.done) / seconds(search.seconds))
    return result


def polls(story: Story) -> list:
    return [seen for seen in story.running.docex.requests if seen.operation == "docex.status"]


@pytest.mark.parametrize("sparse", [False, True], ids=["with hints", "without hints"])
@pytest.mark.parametrize("span", [(1700.0, 1900.0), (60.0, 600.0)], ids=["30 minutes", "minutes"])
def test_three_hundred_searches_in_flight(tmp_path: Path, span: tuple[float, float], *, sparse: bool) -> None:
    """With 10 questions a second for 300 searches, half are noticed within 10% and 2 s, at few polls."""
    options = {"search_seconds": span, "sparse": sparse, "empty": frozenset(ids(300))}
    plan = Plan(tmp_path, patients=300, search_rate=None, tracker_rate=None, options=options)
    story = virtual.run(simulate(plan))
    assert {run.state for run in story.runs} == {RunState.COMPLETED}
    assert story.running.count_429() == 0
    assert statistics.median(delays(story, lambda seconds: 0.1 * seconds + 2)) < 1
    assert len(polls(story)) / 300 < 30


def test_short_searches_are_not_slept_through(tmp_path: Path) -> None:
    """Searches of a few seconds are noticed about as soon as they are ready."""
    options = {"search_seconds": (1.0, 20.0), "empty": frozenset(ids(40))}
    story = virtual.run(simulate(Plan(tmp_path, patients=40, search_rate=None, options=options)))
    assert statistics.median(delays(story, lambda seconds: 0.1 * seconds + 2)) < 1


def test_a_restart_neither_hurries_nor_forgets(tmp_path: Path) -> None:
    """Six restarts in a search of half an hour cost no more questions than the longest waits between them."""
    options = {"search_seconds": (1800.0, 1800.0), "sparse": True, "empty": frozenset(ids(5))}
    counts = []
    for lives in ((), (200.0,) * 6):
        folder = tmp_path / str(len(lives))
        folder.mkdir()
        plan = Plan(folder, patients=5, search_rate=None, options=options, lives=lives)
        story = virtual.run(simulate(plan))
        assert {run.state for run in story.runs} == {RunState.COMPLETED}
        assert len(story.running.docex.searches) == 5
        counts.append(len(polls(story)) / 5)
    assert counts[1] <= counts[0] + 1
