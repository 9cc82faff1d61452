"""Retry-After as servers really send it."""

from email.utils import formatdate

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from docpipe.http import retry_after

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("1800000060", 300.0),  # an epoch in seconds
        ("1800000060000", 300.0),  # and in milliseconds
        ("99999999999999999999", 300.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 9000, usegmt=True), 300.0),
        ("soon", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        ("١٢", None),
        ("Wed, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_reads_seconds_and_dates_and_caps_the_absurd(text, seconds):
    """Seconds or a date, never below zero or above the cap; what says nothing counts as not sent."""
    assert retry_after({"Retry-After": text}, NOW, 300.0) == seconds


def test_no_header():
    """Without the header there is nothing to obey."""
    assert retry_after({}, NOW, 300.0) is None


def test_date_is_read_against_the_servers_own_clock():
    """A server whose clock is an hour off still gets the wait that it asks for."""
    headers = {
        "Retry-After": formatdate(NOW + 3630, usegmt=True),
        "Date": formatdate(NOW + 3600, usegmt=True),
    }
    assert retry_after(headers, NOW, 300.0) == 30.0


def test_absurd_values_are_reported():
    """What is not obeyed is said in the log."""
    with structlog.testing.capture_logs() as logs:
        retry_after({"Retry-After": "1800000060"}, NOW, 300.0)
        retry_after({"Retry-After": "20"}, NOW, 300.0)
    assert [(entry["event"], entry["asked_s"], entry["obeyed_s"]) for entry in logs] == [
        ("retry_after_capped", 1800000060.0, 300.0)
    ]


@given(st.text())
def test_no_text_escapes(text):
    """Whatever stands there, the result is usable."""
    seconds = retry_after({"Retry-After": text}, NOW, 300.0)
    assert seconds is None or 0 <= seconds <= 300
