"""The health of a service: a pure state machine, given a list of events."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.gates import Health, Turn


def health(**more) -> Health:
    return Health(random.Random(1), **more)


def test_goes_down_after_failures_in_a_row():
    """Two failures are bad luck, three in a row are an outage."""
    service = health()
    assert [service.failed(at, "status 503") for at in (1, 2, 3)] == [None, None, Turn.DOWN]
    assert not service.up
    assert service.down_since == 3
    assert service.reason == "status 503"
    assert 3 + 3.75 <= service.probe_at <= 3 + 5


def test_an_answer_in_between_begins_the_count_anew():
    """Failures count only in a row."""
    service = health()
    turns = [service.failed(1, "x"), service.failed(2, "x"), service.answered()]
    turns += [service.failed(3, "x"), service.failed(4, "x")]
    assert turns == [None] * 5
    assert service.up


def test_probe_intervals_grow_to_the_longest():
    """Probes come after about 5, 10, 20, 40, 60, 60 s, never later."""
    service, at, gaps = health(trip_after=1), 100.0, []
    service.failed(at, "x")
    for _ in range(8):
        gaps.append(service.probe_at - at)
        at = service.probe_at
        assert service.probe_failed(at, at, "x") is Turn.STILL_DOWN
    for gap, longest in zip(gaps, [5, 10, 20, 40, 60, 60, 60, 60], strict=True):
        assert 0.75 * longest <= gap <= longest
    assert service.probes == 8


def test_probe_that_times_out_does_not_delay_the_next():
    """Intervals are counted from when a probe was sent, but some pause is always made."""
    service = health(trip_after=1)
    service.failed(0, "x")
    for _ in range(6):
        service.probe_failed(1000, 1030, "no answer in time")
    assert 1045 <= service.probe_at <= 1060
    service = health(trip_after=1)
    service.failed(0, "x")
    service.probe_failed(1000, 1030, "no answer in time")
    assert service.probe_at >= 1033.75


def test_retry_after_puts_the_next_probe_off():
    """A 503 that says when to come again is obeyed."""
    service = health(trip_after=1)
    service.failed(0, "status 503", retry_after=120)
    assert service.probe_at == 120
    service.probe_failed(120, 121, "status 503", retry_after=300)
    assert service.probe_at == 421


def test_up_again_and_down_again_from_the_start():
    """After an answer the next outage begins with short intervals again."""
    service = health(trip_after=1)
    service.failed(0, "x")
    for at in range(10, 100, 10):
        service.probe_failed(at, at, "x")
    assert service.answered() is Turn.UP
    assert service.answered() is None
    assert service.failed(200, "x") is Turn.DOWN
    assert service.probe_at <= 205
    assert service.probes == 0


def test_stragglers_change_nothing():
    """Failures of requests sent before the service went down do not move the probe."""
    service = health(trip_after=1)
    service.failed(0, "x")
    before = service.probe_at
    assert service.failed(1, "y") is None
    assert service.probe_at == before


@given(st.lists(st.sampled_from(["fail", "answer", "probe"])), st.integers(1, 5))
def test_every_down_has_its_up(events, trip_after):
    """DOWN and UP alternate, STILL_DOWN comes only between them, and `up` always says which it is."""
    service, now, turns = health(trip_after=trip_after), 0.0, []
    for event in events:
        now += 1
        if event == "answer":
            turns.append(service.answered())
        elif event == "probe" and not service.up:
            turns.append(service.probe_failed(now, now, "x"))
        elif event == "fail":
            turns.append(service.failed(now, "x"))
        assert service.up == ([turn for turn in turns if turn][-1:] in ([], [Turn.UP]))
    edges = [turn for turn in turns if turn in (Turn.DOWN, Turn.UP)]
    assert edges[:1] in ([], [Turn.DOWN])
    assert all(one is not other for one, other in itertools.pairwise(edges))


@pytest.mark.parametrize("seed", range(20))
def test_jitter_is_seeded(seed):
    """The same seed gives the same probe times."""
    one, other = (Health(random.Random(seed), trip_after=1) for _ in range(2))
    for service in (one, other):
        service.failed(0, "x")
    assert one.probe_at == other.probe_at
