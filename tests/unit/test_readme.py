"""README and docpipe/docs keep what they promise: commands are there, links lead somewhere."""

import argparse
import re
from pathlib import Path

import pytest

from docpipe.cli.options import parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DOCS = ROOT / "docpipe" / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def commands() -> list[str]:
    (result,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return list(result.choices)


def test_every_command_is_reported() -> None:
    """Each with a line of its own in the list of commands."""
    page = (DOCS / "commands.md").read_text("utf-8")
    for command in commands():
        assert re.search(rf"^    docpipe {command}\b", page, re.MULTILINE), command


def test_the_readme_is_short() -> None:
    """It is read in a few minutes; everything else has a page, and a link to it."""
    assert len(README.encode()) <= 8192
    for page in PAGES[1:]:
        assert f"](docpipe/docs/{page.name})" in README, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Files of the repository, pictures among them, that are not too large to be loaded with the page."""
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / link).stat().st_size < 100_000, link


def test_pictures_load_nothing() -> None:
    """The picture of the terminal has no fonts of other hosts."""
    picture = (ROOT / "tests" / "pictures" / "terminal.svg").read_text("utf-8")
    assert "url(http" not in picture.replace("url(#", "")
    assert "docex" in picture
