"""A clock that jumps forwards is noticed; slow answers, drift and a clock set back are no jump."""

import pytest

from docpipe.gates.shared.clock import ClockWatch

WALL = 1.8e9


def readings(*, jump: float = 0.0, took: float = 0.001, drift: float = 0.0, every: float = 3.0) -> list[bool]:
    """What five readings say, of which the last is after a jump; each took so long, its answer being late."""
    watch, results = ClockWatch(), []
    for number in range(5):
        sent = number * every
        reading = WALL + sent * (1 + drift) + (jump if number == 4 else 0.0)
        results.append(watch.jumped(reading, sent, sent + took))
    return results


def test_a_jump_is_noticed_once():
    """Half a second is enough."""
    assert readings(jump=0.5) == [False, False, False, False, True]


@pytest.mark.parametrize(
    "how", [{"took": 2.0}, {"drift": 1e-4, "every": 100.0}, {"jump": -5.0}, {"jump": 0.1}]
)
def test_what_is_no_jump(how):
    """Latency, what NTP lets clocks differ by, and steps backwards, which the scripts see."""
    assert not any(readings(**how))


def test_a_jump_that_hides_behind_a_slow_answer_is_noticed_by_the_next_one():
    """Bounds that are known stay as tight as they are."""
    watch = ClockWatch()
    assert not watch.jumped(WALL, 0.0, 0.001)
    assert not watch.jumped(WALL + 1.0 + 1.5, 1.0, 3.0)  # it jumped by 1.5 s, or the request was slow
    assert watch.jumped(WALL + 4.0 + 1.5, 4.0, 4.001)


def test_after_a_jump_the_new_time_counts():
    """It is reported once, not at each reading after it."""
    watch = ClockWatch()
    events = [
        watch.jumped(WALL + jump, at, at) for at, jump in ((0.0, 0.0), (0.0, 9.0), (0.0, 9.0), (0.0, 18.0))
    ]
    assert events == [False, True, False, True]
