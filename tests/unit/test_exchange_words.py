"""When to ask again, and what may be repeated of what a service wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from docpipe.http import is_problem
from docpipe.http.verdicts import scrubbed
from docpipe.model import Patient
from docpipe.sources.docex.exchange import _is_search
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
    reported = scrubbed(text, ANN)
    assert not any(private in reported.lower() for private in ("ann", "marie", "o'neil", "1957", "0331"))
    assert reported.endswith("consent is missing")
    assert "\n" not in reported
    assert scrubbed(None, ANN) == scrubbed(" ", ANN) == "it gave no reason"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to zoe.m@clinic.example", "write to […]"),
        ("write to <mailto:z@b>, please", "write to <mailto […]>, please"),
        ("no consent of Zoe Muller", "no consent of […]"),
        ("no consent of Zoe\u0308 MU\u0308LLER-STRASSE", "no consent of […]"),
        ("Zoë, Straße", "[…], […]"),
        ("call +49 (30) 123-4567 or 0301234567", "call […] or […]"),
        ("record 1234567890 of 12", "record […] of 12"),
        ("code 409 at step 12 of 30", "code 409 at step 12 of 30"),
    ],
)
def test_reasons_lose_addresses_numbers_and_names_in_any_dress(text: str, left: str) -> None:
    """With accents, without, or with accents apart; parts of a double name; mail, telephone and record."""
    reported = scrubbed(text, Patient("P1", "Zoë", "Müller-Straße", "1957-03-31"))
    assert reported.replace("[…] […]", "[…]").replace("[…]-[…]", "[…]").replace("mailto:", "mailto ") == left


@given(st.text())
def test_reasons_stay_short(text: str) -> None:
    """Whatever is written there becomes one printable line of bounded length."""
    reported = scrubbed(text, ANN)
    assert reported.isprintable()
    assert len(reported) <= 300


READY = {"id": "s1", "state": "ready"}
DOCUMENTS = [{"path": "a.pdf"}]


@pytest.mark.parametrize(
    ("body", "keeps"),
    [
        (READY, True),
        (READY | {"documents": []}, True),
        (READY | {"documents": DOCUMENTS, "archive": {"url": "/a"}}, True),
        (READY | {"documents": DOCUMENTS}, False),
        (READY | {"documents": DOCUMENTS, "archive": None}, False),
        ({"id": "s1", "state": "running", "documents": DOCUMENTS}, True),
    ],
)
def test_documents_without_an_archive_break_the_contract(body, *, keeps: bool) -> None:
    """A search that is ready and lists documents says where they are; one that runs need not yet."""
    assert _is_search(body) is keeps


PROBLEM = {"Content-Type": "application/problem+json; charset=utf-8"}
ASKS = {"WWW-Authenticate": "Bearer", "Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "own"),
    [
        (404, PROBLEM, b'{"status": 404}', True),
        (404, PROBLEM, b"[404]", False),
        (404, PROBLEM, b"default backend", False),
        (404, {"Content-Type": "application/json"}, b'{"message": "no Route matched"}', False),
        (403, {"Content-Type": "text/html"}, b"<html>", False),
        (403, {}, b"", False),
        (403, ASKS, b"<html>", True),
        (401, {}, b"", True),
        (401, {"Content-Type": "text/html"}, b"<html>", False),
        (401, ASKS, b"<html>", True),
    ],
)
def test_whose_word_a_status_is(status, headers, body, *, own: bool) -> None:
    """Problems are the service's; a 401 may be a guard's before it; all else is a stranger's."""
    assert is_problem(status, CIMultiDict(headers), body) is own
