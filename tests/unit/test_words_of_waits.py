"""Whatever a run can wait for has words, and a colour, at every place that shows it."""

import re
from pathlib import Path

import pytest

from docpipe.model import WAITS, WaitKind, describe_subject, describe_wait

ROOT = Path(__file__).parents[2] / "docpipe"


def coloured(sheet: str) -> set[str]:
    return set(re.findall(r"\.wait-(\w+)", (ROOT / sheet).read_text("utf-8")))


@pytest.mark.parametrize(
    ("place", "kinds"),
    {
        "the words": set(WAITS),
        "the report's colours": coloured("report/page.css"),
        "the page's colours": coloured("web/static/app.css"),
    }.items(),
)
def test_every_wait_has_words_and_colours(place: str, kinds: set[str]) -> None:
    """No kind is without, and there is no other."""
    assert kinds == set(WaitKind), place


def test_a_wait_is_described_with_its_place() -> None:
    """Where nothing is named, it is docpipe itself; a kind of a newer docpipe breaks nothing."""
    assert describe_wait("quota", "docex.search", 2) == "waits for the quota of docex.search, place 2 in line"
    assert describe_wait("pause", "") == "docpipe is paused"
    assert describe_wait("moon", "tide") == "waits (tide)"
    assert describe_subject("outage", "docex") == "docex to be up again"
