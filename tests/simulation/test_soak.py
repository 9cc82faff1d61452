"""The first worlds of a soak; `python -m tests.soak --hours 2` goes through thousands."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from docpipe.model import RunState
from tests import soak
from tests.simulation import invariants

WORLDS = 60


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of lines of the log are not worth their time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def test_random_worlds_keep_the_invariants() -> None:
    """Outages, lost answers, crashes and disks that refuse writes, in any mixture."""
    *_, figures = soak.soak(7, iter(range(WORLDS)))
    assert figures.failures == []
    assert figures.worlds == WORLDS
    assert min(figures.kinds["docex"], figures.kinds["fhir"]) > 10
    assert figures.lives > 1.5 * WORLDS, "most worlds see a crash"


def test_a_broken_world_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its seed and number, which make it again."""

    def judge(after: invariants.After) -> None:
        assert after.ends is RunState.FAILED, "not as it was to be"

    monkeypatch.setattr(invariants, "judge", judge)
    (figures,) = soak.soak(7, iter((3,)))
    (failure,) = figures.failures
    assert failure.startswith("FAILED --seed 7 --world 3: AssertionError")
