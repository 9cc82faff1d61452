"""What activities save for their later attempts is typed; what older releases saved is still read."""

from types import SimpleNamespace

import msgspec
import pytest

from docpipe.checkpoints import Position, Span
from docpipe.checkpoints.position import position_of
from docpipe.engine.run import ActiveStep
from docpipe.model import Activity, Ticket, Wait, WaitKind
from docpipe.results.states import Intent, PartialDownload, ReportIntent, SearchIntent, StatusIntent
from docpipe.sources.polling import Polls


def step(activity, state):
    """A step as the engine makes it, with what an earlier process saved."""
    stored = SimpleNamespace(run_id="R1", retries=0)
    run = SimpleNamespace(id="R1", stored=stored, engine=None)
    return ActiveStep(run, activity, "", 2, 0.0, Ticket("R1"), state)


@pytest.mark.parametrize(
    ("activity", "stored", "state"),
    [
        (Activity.CREATE_TASK, {"sent": 3}, Intent(sent=3.0)),
        (Activity.SEARCH, {"sent": 3.5}, SearchIntent(sent=3.5)),
        (Activity.SEARCH, {"sent": 3.5, "key": "k:other2"}, SearchIntent(sent=3.5, key="k:other2")),
        (Activity.SEARCH, {"patient": "7", "sent": 3.5}, SearchIntent(sent=3.5, patient="7")),
        (Activity.UPDATE_STATUS, {"etag": '"1"'}, StatusIntent(etag='"1"')),
        (Activity.UPDATE_STATUS, {"etag": None}, StatusIntent()),
        (Activity.APPEND_REPORT, {"sent": 3.5, "before": 2}, ReportIntent(sent=3.5, before=2)),
        (Activity.APPEND_REPORT, {"sent": 3.5}, ReportIntent(sent=3.5)),
        (Activity.DOWNLOAD, {"etag": '"1"'}, PartialDownload(etag='"1"')),
        (
            Activity.CHECK_STATUS,
            {"polls": 2, "next": 9.0, "progress": 0.5, "first": [1.0, 0.1], "asked": [1.0, 2.0]},
            Polls(polls=2, next=9.0, progress=0.5, first=(1.0, 0.1), times=[1.0, 2.0]),
        ),
    ],
)
def test_states_of_older_releases_are_read(activity, stored, state):
    """Under the same names; a member of a newer release is ignored."""
    assert step(activity, stored).saved(type(state)) == state
    assert step(activity, {**stored, "newer": {"x": 1}}).saved(type(state)) == state
    assert msgspec.convert(msgspec.to_builtins(state), type(state)) == state


def test_a_step_without_a_state():
    """It has none of any type, and no progress."""
    assert step(Activity.SEARCH, None).saved(SearchIntent) is None
    assert step(Activity.CHECK_STATUS, None).progress is None
    assert step(Activity.SEARCH, {"progress": 0.5}).progress is None
    assert step(Activity.CHECK_STATUS, {"progress": 0.5}).progress == 0.5


def test_positions_of_older_releases_are_read():
    """One between steps is none, and so is one that cannot be read: no run depends on it."""
    old = (
        '{"activity":"DocEx_Search","since":1.5,"wait":{"kind":"quota","what":"docex.search","since":2.0,'
        '"until":null,"place":3},"waited":[{"activity":"DocEx_Search","kind":"quota","what":"docex.search",'
        '"since":2.0}],"progress":null,"newer":1}'
    )
    assert position_of(old) == Position(
        activity="DocEx_Search",
        since=1.5,
        wait=Wait(WaitKind.QUOTA, "docex.search", 2.0, None, 3),
        waited=[Span(activity="DocEx_Search", kind="quota", what="docex.search", since=2.0)],
    )
    for text in ("{}", '{"activity":1}', '{"activity":"x","since":0,"wait":{"kind":"of a newer docpipe"}}'):
        assert position_of(text) is None
