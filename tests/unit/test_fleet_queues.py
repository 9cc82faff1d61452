"""Which task of a fleet a worker is given first."""

import itertools

import pytest

from docpipe.fleet.queues import next_key_in, priority_key
from docpipe.model import PRIORITY_WORTH_S as HOUR
from docpipe.model import Activity

PRIORITIES = range(-9, 10)


@pytest.mark.parametrize("activity", Activity)
def test_a_higher_priority_goes_first(activity: Activity) -> None:
    """And its key is one that Temporal has."""
    keys = [priority_key(priority, activity) for priority in PRIORITIES]
    assert keys == sorted(keys, reverse=True)
    assert set(keys) <= {1, 2, 3, 4, 5}
    assert keys[0] > keys[9] > keys[10] or activity is Activity.SEARCH


@pytest.mark.parametrize(("priority", "activity"), list(itertools.product(PRIORITIES, Activity)))
def test_who_waits_comes_forward(priority: int, activity: Activity) -> None:
    """An hour is worth a level, until it has the key of the most urgent runs: behind those it is in line."""
    waited = 0.0
    while (seconds := next_key_in(priority, activity, waited)) is not None:
        before = priority_key(priority, activity, waited)
        assert priority_key(priority, activity, waited + seconds - 1) == before
        waited += seconds
        assert priority_key(priority, activity, waited) < before
    assert priority_key(priority, activity, waited) == priority_key(9, activity)
    assert waited <= (5 - min(priority, 5)) * HOUR


def test_an_hour_is_worth_a_level() -> None:
    """As at every line of one machine."""
    assert priority_key(0, Activity.CONVERT, HOUR) == priority_key(1, Activity.CONVERT)
    assert priority_key(0, Activity.CONVERT, HOUR - 1) == priority_key(0, Activity.CONVERT)
    assert priority_key(-9, Activity.CONVERT, 9 * HOUR) == priority_key(0, Activity.CONVERT)
