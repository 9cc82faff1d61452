"""Reports of runs through trouble, in virtual time: as their schema says, and telling where the time went."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests import virtual
from tests.report_support import wrong
from tests.simulation.world import Plan, simulate

OUTAGE_S = 600.0


def reports(plan: Plan) -> list[dict[str, Any]]:
    story = virtual.run(simulate(plan))
    result = [json.loads(path.read_bytes()) for path in (plan.folder / "storage").rglob("report.json")]
    assert len(result) == len(story.runs)
    for report in result:
        assert wrong(report) == []
    return result


def waited(report: dict[str, Any], kind: str) -> float:
    """Seconds that the report tells were waited for something."""
    seconds = 0.0
    for span in report["waits"]:
        if span["kind"] == kind:
            seconds += seconds_of(span["until"]) - seconds_of(span["since"])
    return seconds


def seconds_of(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def test_an_outage_is_reported_also_after_a_restart(tmp_path: Path) -> None:
    """Ten minutes of outage with two restarts in it stand in the report as waited for."""
    faults = [f"docex.search 503 until={OUTAGE_S:.0f}"]
    (report,) = reports(Plan(tmp_path, patients=1, faults=faults, lives=(200.0, 200.0)))
    assert OUTAGE_S - 30 <= waited(report, "outage") <= OUTAGE_S + 120
    (search,) = [step for step in report["timeline"] if step["activity"] == "DocEx_Search"]
    assert search["attempts"] == 3
    html = next(tmp_path.rglob("report.html")).read_text("utf-8")
    assert 'class="wait-outage"' in html
    assert "for an outage" in html


def test_polls_and_quota_are_reported(tmp_path: Path) -> None:
    """Each poll of a search has its time, and the report gives the wait for the quota."""
    plan = Plan(tmp_path, patients=5, options={"search_seconds": (60.0, 60.0)}, docex={"spacing": "even"})
    result = reports(plan)
    for report in result:
        (asked,) = [step for step in report["timeline"] if step["activity"] == "DocEx_CheckStatus"]
        assert 3 < len(asked["polls"]) < 30
        assert asked["started"] < asked["polls"][0] < asked["polls"][-1] <= asked["finished"]
        assert 45 < waited(report, "poll") <= 75
    assert max(waited(report, "quota") for report in result) > 20
