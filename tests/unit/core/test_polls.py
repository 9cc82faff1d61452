"""The state of polls: what an exchange reports is bounded, and so is what a clock that was set can cost."""

from dataclasses import dataclass, field

import pytest

from docpipe.model import Wait, WaitKind
from docpipe.results.search import Search
from docpipe.sources.polling import Polls, sleep_until


@dataclass
class WaitingStep:
    """A step that only notes how long it waits."""

    waits: list[tuple[float, Wait]] = field(default_factory=list)

    async def until(self, when, wait):
        self.waits.append((when, wait))


@pytest.mark.parametrize(("reported", "taken"), [(1.7, 1.0), (-0.5, 0.0), (0.25, 0.25)])
def test_progress_is_between_none_and_all(reported, taken):
    """An exchange that reports 170% or less than nothing does not bend the time of the next poll."""
    search = Search(search_id="S1", at=100.0)
    polls = Polls.none(search).unfinished(search, 130.0, None, reported)
    assert polls.first == (30.0, taken)
    assert (polls.polls, polls.times) == (1, [30.0])


@pytest.mark.parametrize(("when", "slept"), [(105.0, 5.0), (10_000.0, 300.0), (99.0, None), (100.0, None)])
async def test_no_wait_is_longer_than_the_longest(when, slept):
    """Where the clock was set back, the next poll seems far away; it is made after `longest` seconds."""
    step = WaitingStep()
    await sleep_until(step, when, lambda: 100.0, 300.0)
    wait = Wait(WaitKind.POLL, "docex.status", 100.0, when)
    assert step.waits == ([] if slept is None else [(100.0 + slept, wait)])


@pytest.mark.parametrize(("asks", "first"), [(None, 101.0), (0.0, 100.0), (30.0, 130.0)])
def test_the_first_poll_comes_when_the_exchange_asks_for_it(asks, first):
    """At once where it says so, after a second where it says nothing."""
    assert Polls.none(Search(search_id="S1", at=100.0, ask_after=asks)).next == first


def test_the_latest_polls_are_kept():
    """A search of days has thousands; their number is exact, the times are those of the latest 200."""
    search, polls = Search(search_id="S1", at=0.0), Polls()
    for when in range(1, 251):
        polls = polls.counted(search, float(when))
    assert (polls.polls, len(polls.times), polls.times[0], polls.times[-1]) == (250, 200, 51.0, 250.0)


def test_an_answer_takes_doubts_back():
    """Doubts are counted in a row: an answer that the search continues begins anew."""
    polls = Polls(gone=True, doubts=2, unreadable=4)
    after = polls.unfinished(Search(search_id="S1", at=0.0), 5.0, None, None)
    assert (after.gone, after.doubts, after.unreadable) == (False, 0, 0)


@pytest.mark.parametrize(("before", "pause"), [(0.98, 4.84), (0.99, 11.0), (1.0, 11.0)])
def test_only_progress_that_grows_brings_the_end_near(before, pause):
    """A search that stands at 99% is polled at the usual pace, not every few seconds."""
    polls = Polls(progress=before, first=(10.0, 0.5))
    after = polls.unfinished(Search(search_id="S1", at=0.0), 100.0, None, 0.99)
    assert after.next - 100.0 == pytest.approx(pause, abs=0.01)
