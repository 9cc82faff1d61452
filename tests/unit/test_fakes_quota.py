"""The quotas of the fakes judge docpipe's; so they are held against their plain definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.quota import Quotas, Rate, parse_rate, worst_window

STEPS = st.lists(st.integers(0, 40), max_size=60).map(
    lambda gaps: [sum(gaps[: i + 1]) / 8 for i in range(len(gaps))]
)


@given(STEPS, st.integers(1, 6))
def test_refuses_exactly_what_is_over_quota(times, n):
    """A request is refused exactly when n others, refused ones too, arrived in the window before it."""
    quotas = Quotas({"docex.search": Rate(n, 5.0)})
    for i, now in enumerate(times):
        before = sum(1 for earlier in times[:i] if now - earlier < 5.0)
        assert (quotas.charge("docex.search", "", now) > 0) == (before >= n)


@given(STEPS, st.integers(1, 6))
def test_retry_after_is_true(times, n):
    """A client that waits for the Retry-After is admitted; a moment earlier is too early."""
    quotas = Quotas({"docex.search": Rate(n, 5.0)})
    wait = 0.0
    for now in times:
        wait = quotas.charge("docex.search", "", now)
    if wait > 0:
        early = Quotas({"docex.search": Rate(n, 5.0)})
        early.restore("docex.search", "", quotas.arrivals("docex.search", ""))
        assert early.charge("docex.search", "", times[-1] + wait - 0.01) > 0
        assert quotas.charge("docex.search", "", times[-1] + wait) == 0


@given(STEPS, st.sampled_from([0.5, 1.0, 5.0]))
def test_worst_window(times, per):
    """The worst window is the largest count of arrivals in any half-open window."""
    brute = max((sum(1 for t in times if start <= t < start + per) for start in times), default=0)
    assert worst_window(times, per) == brute


def test_callers_and_endpoints_are_counted_apart():
    """Each caller has a quota of its own, and each endpoint."""
    quotas = Quotas({"docex.search": Rate(1, 60.0), "tracker.*": Rate(1, 1.0), "docex.status": None})
    assert quotas.charge("docex.search", "a", 0.0) == 0
    assert quotas.charge("docex.search", "b", 0.0) == 0
    assert quotas.charge("docex.search", "a", 1.0) == 60.0  # the refused one counts, too
    assert quotas.endpoint("tracker.report") == "tracker.*"
    assert quotas.endpoint("docex.status") is None


@pytest.mark.parametrize("text", ["", "10", "0/sec", "10/day", "-1/sec", "10 per sec"])
def test_bad_rates(text):
    """What is no rate is refused."""
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


def test_good_rates():
    """Rates read as docpipe's configuration writes them."""
    assert parse_rate("10/min") == Rate(10, 60.0)
    assert parse_rate("600 / hour") == Rate(600, 3600.0)
    assert parse_rate("none") is None
