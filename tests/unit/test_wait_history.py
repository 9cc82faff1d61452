"""What a run has waited for: spans that begin, continue and end, also across processes, and stay few."""

import msgspec

from docpipe.checkpoints import Span
from docpipe.engine import wait_history
from docpipe.engine.wait_history import WaitHistory
from docpipe.model import Wait, WaitKind

QUOTA, POLL = WaitKind.QUOTA, WaitKind.POLL


def spans(of: WaitHistory) -> list[tuple[str, float, float | None]]:
    return [(span.kind, span.since, span.until) for span in of.spans]


def test_one_wait_after_the_other() -> None:
    """A wait ends where another begins or nothing is waited for; its place in line does not matter."""
    of = WaitHistory()
    of.note("DocEx_Search", Wait(QUOTA, "docex.search", 1.0, place=3), 2.0)
    of.note("DocEx_Search", Wait(QUOTA, "docex.search", 1.0, place=2), 3.0)
    of.note("DocEx_Search", Wait(WaitKind.OUTAGE, "docex", 4.0), 4.5)
    of.note("", None, 9.0)
    of.note("", None, 10.0)
    assert spans(of) == [("quota", 1.0, 4.5), ("outage", 4.0, 9.0)]


def test_waits_for_the_same_close_to_each_other_are_one() -> None:
    """Between two questions after a search there is an answer, which is no pause; a later wait is another."""
    of = WaitHistory()
    for since in (0.0, 5.0, 10.0):
        of.note("DocEx_CheckStatus", Wait(POLL, "docex.status", since), since)
        of.note("DocEx_CheckStatus", None, since + 4.0)
    of.note("DocEx_CheckStatus", Wait(POLL, "docex.status", 60.0), 60.0)
    assert spans(of) == [("poll", 0.0, 14.0), ("poll", 60.0, None)]


def test_waits_are_merged_within_two_seconds() -> None:
    """A gap of just under two seconds is an answer; one of two seconds parts two waits."""
    for gap, number in ((1.9, 1), (2.0, 2)):
        of = WaitHistory()
        of.note("DocEx_CheckStatus", Wait(POLL, "docex.status", 0.0), 0.0)
        of.note("DocEx_CheckStatus", None, 4.0)
        of.note("DocEx_CheckStatus", Wait(POLL, "docex.status", 4.0 + gap), 4.0 + gap)
        assert len(of.spans) == number


def test_the_same_wait_of_another_activity_is_another() -> None:
    """Each row of the timeline has its own waits."""
    of = WaitHistory()
    of.note("DocEx_Search", Wait(WaitKind.OUTAGE, "docex", 0.0), 0.0)
    of.note("DocEx_CheckStatus", Wait(WaitKind.OUTAGE, "docex", 1.0), 1.0)
    assert [span.activity for span in of.spans] == ["DocEx_Search", "DocEx_CheckStatus"]


def test_another_process_continues() -> None:
    """What was kept is kept, and an outage that outlived the process is still one wait."""
    of = WaitHistory()
    of.note("DocEx_Search", Wait(WaitKind.OUTAGE, "docex", 1.0), 1.0)
    again = WaitHistory(msgspec.json.decode(msgspec.json.encode(of.spans), type=list[Span]))
    again.note("DocEx_Search", Wait(WaitKind.OUTAGE, "docex", 50.0), 50.0)
    again.note("DocEx_Search", None, 60.0)
    assert spans(again) == [("outage", 1.0, 60.0)]
    assert spans(of) == [("outage", 1.0, None)]


def test_only_the_last_are_kept() -> None:
    """However long a run waits and for whatever, what is kept of it is small."""
    of = WaitHistory()
    for number in range(200):
        of.note("DocEx_Search", Wait(WaitKind.RETRY, f"{number}", float(number)), float(number))
    assert len(of.spans) == wait_history.MOST
    assert of.spans[-1].what == "199"


def test_what_was_read_stays_as_it_was() -> None:
    """The spans of the stored run are shared with others who have read it."""
    stored = [Span(activity="DocEx_Search", kind=WaitKind.OUTAGE, what="docex", since=1.0)]
    WaitHistory(stored).note("DocEx_Search", None, 60.0)
    assert stored[0].until is None
