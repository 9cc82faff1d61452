"""`docpipe docs` prints the pages that ship with the package."""

import contextlib
from pathlib import Path

import pytest

from docpipe.cli import main
from docpipe.cli.docs import FOLDER


def test_lists_topics(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a topic there is a line for each page, with its heading."""
    assert main(["docs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(page.stem for page in FOLDER.glob("*.md"))
    assert all(len(line.split()) > 1 for line in lines)


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_prints_a_page_as_it_is(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no terminal is, as plain text."""
    assert main(["docs", page.stem]) == 0
    assert capsys.readouterr().out == page.read_text("utf-8")


def test_prints_for_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets the page rendered, through the pager."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("rich.console.Console.pager", lambda *_, **__: contextlib.nullcontext())
    assert main(["docs", "security"]) == 0
    out = capsys.readouterr().out
    assert "Security" in out
    assert "# Security" not in out


@pytest.mark.parametrize(
    ("topic", "hint"), [("securty", "did you mean `security`?"), ("zzz", "topics are adapters, ")]
)
def test_unknown_topic(topic: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is bad usage, and the error names the nearest topic, else all of them."""
    assert main(["docs", topic]) == 2
    assert hint in capsys.readouterr().err
