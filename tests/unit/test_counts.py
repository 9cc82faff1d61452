"""Numbers that commands print: one of a thing, or thousands, and spans that are never negative."""

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from docpipe.cli.forget import _print
from docpipe.cli.phrases import count_words
from docpipe.cli.progress import Progress
from docpipe.engine.run import Change
from docpipe.forget import Kept
from docpipe.model import Activity


@pytest.mark.parametrize(
    ("number", "lines"),
    [
        (1, ["1 document, 1 file (1 byte)", "1 run, 1 line of the activity log", "1 history of runs"]),
        (1200, ["1,200 documents, 1,200 files", "1,200 lines of the activity log", "1,200 histories"]),
    ],
)
def test_what_is_kept_is_counted(capsys: pytest.CaptureFixture[str], number: int, lines: list[str]) -> None:
    """Of one there is one, and thousands are parted."""
    kept = Kept(patient_id="P1", runs=["R1"], histories=number)
    kept.documents = kept.files = kept.bytes = kept.log_lines = number
    _print(kept, removed=False)
    output = capsys.readouterr().out
    assert [line for line in lines if line not in output] == []


def test_outcomes_are_counted() -> None:
    """In the words of the report."""
    assert (
        count_words({"converted": 1500, "failed": 1})
        == "1,501 documents: 1,500 readable, 1 could not be read"
    )


async def test_an_activity_that_began_before_anybody_looked() -> None:
    """Took some time, as far as is known."""
    engine = SimpleNamespace(runs={}, listeners=[], clock=lambda: 0.0)
    docpipe = SimpleNamespace(
        engine=engine,
        checkpoints=SimpleNamespace(listing=None),
        quotas={"docex.search": None},
    )
    with capture_logs() as lines, Progress(docpipe, 1):  # type: ignore[arg-type]
        for listener in engine.listeners[:1]:
            listener(Change("R1", "P1", Activity.GET_PATIENT, "", "ok"))
    (line,) = (line for line in lines if line["event"] == "activity")
    assert str(line["seconds"]) == "0.0"
