"""Whatever a run can wait for has words, and a colour, at every place that shows it."""

import re
from pathlib import Path

import pytest

from docpipe.cli import words
from docpipe.model import WaitKind
from docpipe.report.words import WAITS
from docpipe.web import views

ROOT = Path(__file__).parents[2] / "docpipe"


def coloured(sheet: str) -> set[str]:
    return set(re.findall(r"\.wait-(\w+)", (ROOT / sheet).read_text("utf-8")))


def page() -> set[str]:
    table = re.search(
        r"const KINDS = \{(.*?)\n\};", (ROOT / "web/static/timeline.js").read_text("utf-8"), re.DOTALL
    )
    assert table is not None
    return set(re.findall(r"^ *(\w+): \"[^\"]+\",$", table[1], re.MULTILINE))


@pytest.mark.parametrize(
    ("place", "told"),
    {
        "the terminal": set(words._KINDS),
        "the summary": set(words._FOR),
        "the service": set(views._TOLD),
        "the report": set(WAITS),
        "the page": page(),
        "the report's colours": coloured("report/page.css"),
        "the page's colours": coloured("web/static/app.css"),
    }.items(),
)
def test_every_wait_has_words(place: str, told: set[str]) -> None:
    """No kind is without, and none is told of that is not there."""
    assert told == set(WaitKind), place


def test_the_terminal_and_the_service_say_the_same() -> None:
    """`docpipe status` and the API tell a wait in the same words."""
    assert words._KINDS == views._TOLD
