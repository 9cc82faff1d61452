"""Kill it anywhere, in virtual time: nothing is lost, and nothing is done twice."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation import crashes
from tests.simulation.crashes import Course, Failure, Plan, stage, tell, tried
from tests.simulation.lives import prepared

PAIRS = 400
PATIENTS = ("P1", "P2", "P3")
SITES = {
    "before request: tasktracker",
    "after request: docex.search",
    "within the download",
    "within a transaction: after insert",
    "before the commit",
    "after the commit",
    "within a line of the log",
    "before rename: metadata",
    "after link: original",
    "within clear_spool",
    "after finish_step: TaskTracker_AppendReport",
}
"""Some of the points that must be among those passed, lest a change of names in docpipe disarms the test."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with stage(PATIENTS) as folder, prepared():
        yield folder


def failures(expected: list[Course | Failure]) -> list[Failure]:
    return [one for one in expected if isinstance(one, Failure)]


def test_dead_at_every_point(folder: Path) -> None:
    """A crash at each single point of a run, and one recovery, leave what an undisturbed run leaves."""
    recoveries, failed = crashes.every_point(folder)
    assert not failed
    assert len(recoveries) > 300
    assert set(tell(Plan(), folder).lives[0]) >= SITES


def test_dead_at_points_of_three_patients(folder: Path) -> None:
    """Three patients at once, whose activities share commits and lines: every ninth point, and each search.

    Their searches fill the quota, so that one which is forgotten shows.
    """
    whole = tell(Plan(patients=PATIENTS), folder).lives[0]
    kills = [
        number
        for number, point in enumerate(whole, 1)
        if not number % 9 or "request: docex.search" in point or "granted" in point
    ]
    assert not failures([tried(Plan(patients=PATIENTS, kills=(kill,)), folder) for kill in kills])


def test_dead_again_while_it_recovers(folder: Path) -> None:
    """A sample of all pairs: a crash, a crash during its recovery. The command runs every pair."""
    rng = random.Random(4)
    firsts = len(tell(Plan(), folder).lives[0])
    pairs = [(rng.randint(1, firsts), rng.randint(1, firsts)) for _ in range(PAIRS)]
    assert not failures([tried(Plan(kills=pair, gaps=(0.0, 0.4)), folder) for pair in pairs])


def test_dead_again_and_again(folder: Path) -> None:
    """A process that dies a few points after each start still gets nowhere near a quota, and then through."""
    assert not failures(
        [tried(Plan(kills=(first, *[step] * 12)), folder) for first in (45, 75, 120) for step in (17, 23, 31)]
    )


OPERATIONS = ("docex.search", "docex.status", "docex.link", "docex.archive", "tracker.create", "tracker.find")
OPERATIONS += ("tracker.get", "tracker.update", "tracker.report", "docex.*", "tracker.*", "*")
ANSWERS = (
    "503",
    "503 retry_after=7",
    "429 retry_after=3",
    "html200",
    "empty502",
    "reset",
    "close",
    "hang seconds=40",
    "late seconds=45",
    "delay seconds=45",
    "delay seconds=3",
    "lost",
    "truncate",
    "forget",
)
FAULTS = st.builds(
    "{} {} from={} until={} times={} probability={}".format,
    st.sampled_from(OPERATIONS),
    st.sampled_from(ANSWERS),
    begins := st.integers(0, 40),
    begins.map(lambda begin: begin + 41),
    st.integers(1, 4),
    st.sampled_from((1.0, 0.5)),
)
PLANS = st.builds(
    Plan,
    patients=st.integers(1, 3).map(lambda n: PATIENTS[:n]),
    kills=st.lists(st.integers(1, 700), max_size=4).map(tuple),
    gaps=st.lists(st.sampled_from((0.0, 0.3, 1.0, 5.0, 70.0)), max_size=4).map(tuple),
    faults=st.lists(FAULTS, max_size=4).map(tuple),
    options=st.builds(
        lambda latency, jitter: (("latency", latency), ("jitter", jitter)),
        st.sampled_from((0.0, 0.05, 0.4)),
        st.sampled_from((0.0, 0.3)),
    ),
    seed=st.integers(0, 3),
)


@settings(max_examples=150, derandomize=True)
@given(plan=PLANS)
def test_whatever_happens(folder: Path, plan: Plan) -> None:
    """Outages, 429, latency, lost answers and deaths in any mixture: the same in the end."""
    results = tried(plan, folder)
    assert isinstance(results, Course), results
