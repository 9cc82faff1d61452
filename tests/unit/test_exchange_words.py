"""When to ask again, and what may be repeated of what a service wrote."""

from hypothesis import given
from hypothesis import strategies as st

from docpipe.exchange import next_poll, scrubbed
from docpipe.model import Patient

ANN = Patient("P1", "Ann Marie", "O'Neil", "1957-03-31")


@given(st.floats(0, 1e6), st.none() | st.floats(-1, 2, allow_nan=False))
def test_polls_stay_between_their_bounds(waited: float, progress: float | None) -> None:
    """Never sooner than 1 s, never later than 60 s, whatever the exchange claims."""
    assert 1.0 <= next_poll(waited, progress, None) <= 60.0


def test_polls_follow_time_progress_and_retry_after() -> None:
    """A tenth of the time waited; half of what seems to remain; and what the exchange asks for wins."""
    assert next_poll(0.0, None, None) == 1.0
    assert next_poll(200.0, None, None) == 20.0
    assert next_poll(10.0, 0.5, None) == 5.0
    assert next_poll(200.0, 0.99, None) == 20.0
    assert next_poll(200.0, 0.5, 3.0) == 3.0
    assert next_poll(200.0, None, 120.0) == 120.0


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
