"""Faults are data: read from texts and mappings, in force for a time and a number of times."""

import random
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.faults import OPERATIONS, Fault, Faults

NUMBERS = st.integers(1, 10_000)


@given(
    operation=st.sampled_from(["docex.*", *OPERATIONS]),
    answer=st.sampled_from(["503", "429", "html200", "empty502", "reset", "hang", "lost", "late"]),
    times=NUMBERS,
    since=NUMBERS,
    seconds=NUMBERS,
    patient=st.from_regex(r"[A-Z][0-9]{1,5}", fullmatch=True),
)
def test_text_and_mapping_say_the_same(*, operation, answer, times, since, seconds, patient):
    """A fault written as text, as mapping, or made in code is the same fault."""
    made = Fault(
        operation, answer, times=times, since=since, until=since + 1, seconds=seconds, patient=patient
    )
    numbers = f"times={times} from={since} until={since + 1} seconds={seconds}"
    text = f"{operation} {answer} {numbers} patient={patient}"
    assert Fault.parse(text) == made
    words = {"operation": operation, "answer": answer, "times": times, "from": since, "until": since + 1}
    assert Fault.of(words | {"seconds": seconds, "patient": patient}) == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("docex.search", "begins with operation and answer"),
        ("docex.serach 503", "no operation matches"),
        ("docex.search 200", "no answer"),
        ("docex.search html99", "no answer"),
        ("docex.search explode", "no answer"),
        ("docex.search delay", "needs seconds="),
        ("docex.search unfiltered", "unfiltered is no fault at docex.search"),
        ("docex.archive forget", "forget is no fault at docex.archive"),
        ("docex.search 503 times=0", "at least 1"),
        ("docex.search 503 times=x", "no number"),
        ("docex.search 503 probability=2", "at most 1"),
        ("docex.search 503 from=5 until=5", "must be after"),
        ("docex.search 503 retry_after=date:soon", "lacks its seconds"),
        ("docex.search 503 when=now", "a fault has no 'when'"),
    ],
)
def test_bad_faults_say_what_is_wrong(text, message):
    """A fault that makes no sense is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        Fault.parse(text)


def met(faults, moments, operation="docex.search", subjects=()):
    return [faults.meet(operation, moment, lambda: subjects) is not None for moment in moments]


def test_in_force_from_until_and_so_often():
    """A fault begins and ends in time, and happens no more often than it says."""
    faults = Faults(random.Random(0))
    faults.add(Fault.parse("docex.search 503 from=10 until=20 times=2"), 100.0)
    assert met(faults, [109.9, 110.0, 111.0, 112.0]) == [False, True, True, False]
    faults.add(Fault.parse("docex.search 503 from=10 until=20"), 100.0)
    assert met(faults, [119.9, 120.0]) == [True, False]


def test_only_its_operations_and_its_patient():
    """A fault meets only what matches: several globs, and one patient's requests."""
    faults = Faults(random.Random(0))
    faults.add(Fault.parse("docex.s*|tracker.create 503 patient=P1"), 0.0)
    assert met(faults, [1.0], "docex.status", ("P1",)) == [True]
    assert met(faults, [1.0], "docex.status", ("P2",)) == [False]
    assert met(faults, [1.0], "docex.archive", ("P1",)) == [False]
    assert met(faults, [1.0], "tracker.create", ("P1", "Documents")) == [True]
    faults.clear()
    assert met(faults, [1.0], "docex.status", ("P1",)) == [False]


def test_probability_is_seeded():
    """The same seed meets the same requests, about as many as the probability says."""
    runs = []
    for _ in range(2):
        faults = Faults(random.Random(7))
        faults.add(Fault("docex.*", "503", probability=0.25), 0.0)
        runs.append(met(faults, map(float, range(1000))))
    assert runs[0] == runs[1]
    assert 200 < sum(runs[0]) < 300


def test_forms_of_retry_after():
    """Retry-After comes in seconds, as a date, and absurd."""
    now = 1_700_000_000.25

    def header(text):
        return Fault("docex.search", "429", retry_after=text).retry_header(now)["Retry-After"]

    assert header("7") == "7"
    assert parsedate_to_datetime(header("date:30")).timestamp() == 1_700_000_031
    assert header("epoch:30") == "1700000031"
    assert header("epoch_ms:30") == "1700000030250"
    assert header("soon") == "soon"
    assert Fault("docex.search", "429").retry_header(now) == {}


def test_a_glob_needs_one_operation_that_a_fault_fits():
    """Several operations may be named at once, although some of them have nothing to forget."""
    assert Fault.parse("docex.* forget") == Fault("docex.*", "forget")
