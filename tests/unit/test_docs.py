"""The documentation ships with the package, is shown by a command, and names files that exist."""

import re
from pathlib import Path

import pytest

from docpipe.cli import main
from docpipe.cli.docs import topics

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docpipe" / "docs").glob("*.md"))


def test_every_page_is_a_topic_with_a_title() -> None:
    """A page begins with its title, and its name is the topic."""
    assert list(topics()) == [page.stem for page in PAGES]
    assert all(topics().values())


def test_topics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a topic there is a line for each, and how to read one."""
    assert main(["docs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(PAGES)]] == [page.stem for page in PAGES]
    assert lines[-1] == "Read one with `docpipe docs TOPIC`."


def test_a_topic_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the output is no terminal it is the page itself, for `less` or a file."""
    assert main(["docs", "glossary"]) == 0
    assert capsys.readouterr().out == (ROOT / "docpipe" / "docs" / "glossary.md").read_text("utf-8")


@pytest.mark.parametrize(("topic", "cure"), [("glosary", "docs glossary`?"), ("zzz", "architecture")])
def test_an_unknown_topic_is_refused(topic: str, cure: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the closest topic, or all of them."""
    assert main(["docs", topic]) == 2
    assert cure in capsys.readouterr().err


def test_files_that_the_architecture_names_exist() -> None:
    """Each path in backticks lies below docpipe/, or in the repository."""
    text = (ROOT / "docpipe" / "docs" / "architecture.md").read_text("utf-8")
    paths = [path for path in re.findall(r"`([\w/.]+)`", text) if "/" in path]
    assert len(paths) > 20
    for path in paths:
        assert (ROOT / "docpipe" / path).exists() or (ROOT / path).exists(), path


def test_the_glossary_has_one_meaning_a_word() -> None:
    """About forty words, in order, none twice."""
    text = (ROOT / "docpipe" / "docs" / "glossary.md").read_text("utf-8")
    words = re.findall(r"^\| (?!word|-)([^|]+) \|", text, re.MULTILINE)
    assert len(words) >= 40
    assert words == sorted(set(words), key=str.lower)
