"""A service that has lived for hours holds no more than one that has lived for an hour."""

from pathlib import Path

from docpipe.runtime import activity_log
from tests import virtual
from tests.simulation.long_life import HOUR_S, lived


def test_nothing_grows(tmp_path: Path, monkeypatch) -> None:
    """With an outage in every hour: memory, database, logs and spool stay as they were; old runs go."""
    monkeypatch.setattr(activity_log, "ROTATE_BYTES", 50_000)
    hours = virtual.run(lived(tmp_path, 8, HOUR_S, lambda _: None, patients=60))
    assert [hour.ended for hour in hours][:1] == [60]
    early, late = hours[2], hours[-1]
    assert late.objects <= early.objects + 30, (early, late)
    assert late.database <= early.database * 1.2
    assert late.log <= early.log * 1.5
    assert late.runs <= 4 * 60  # an hour of them is kept, and taken away within the next
    assert late.spool == 0
