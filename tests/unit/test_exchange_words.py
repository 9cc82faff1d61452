"""When to ask again, and what may be repeated of what a service wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.http.verdicts import scrubbed
from docpipe.model import Patient
from docpipe.sources.polling import next_poll

ANN = Patient("P1", "Ann Marie", "O'Neil", "1957-03-31")


PROGRESS = st.none() | st.tuples(st.floats(0, 1e6), st.floats(0, 1))


@given(st.floats(0, 1e6), PROGRESS, PROGRESS)
def test_polls_stay_between_their_bounds(waited: float, first, last) -> None:
    """Never sooner than 1 s, never later than 5 min, whatever the exchange claims."""
    assert 1.0 <= next_poll(waited, None, first, last) <= 300.0


def test_polls_follow_time_progress_and_retry_after() -> None:
    """A part of the time waited; half of what seems to remain; not sooner than the exchange asks for."""
    assert next_poll(0.0, None, None, None) == 2.0
    assert next_poll(200.0, None, None, None) == 38.0
    assert next_poll(200.0, None, (10.0, 0.1), (200.0, 0.5)) == 190.0 / 0.4 * 0.5 * 0.5
    near = next_poll(200.0, None, (10.0, 0.1), (200.0, 0.99))
    assert near == pytest.approx(190.0 / 0.89 * 0.01 + 2.0 + 2.0)
    assert next_poll(200.0, None, (10.0, 0.1), (200.0, 0.99), moves=False) == 20.0
    assert next_poll(200.0, 30.0, (10.0, 0.1), (200.0, 0.99)) == 30.0
    assert next_poll(200.0, None, (10.0, 0.1), (200.0, 0.1)) == 38.0
    assert next_poll(200.0, 3.0, None, None) == 38.0
    assert next_poll(200.0, 120.0, None, None) == 120.0


def test_reasons_lose_names_and_dates() -> None:
    """What names the patient is taken out, in any case and in any order of the date; the rest stays."""
    text = "No match for ANN Marie o'neil born 1957-03-31 (03/31/1957, 19570331):\n consent is missing. "
    told = scrubbed(text, ANN)
    assert not any(private in told.lower() for private in ("ann", "marie", "o'neil", "1957", "0331"))
    assert told.endswith("consent is missing")
    assert "\n" not in told
    assert scrubbed(None, ANN) == scrubbed(" ", ANN) == "it gave no reason"


@given(st.text())
def test_reasons_stay_short(text: str) -> None:
    """Whatever is written there becomes one printable line of bounded length."""
    told = scrubbed(text, ANN)
    assert told.isprintable()
    assert len(told) <= 300
