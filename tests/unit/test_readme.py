"""The README keeps what it promises: every command is there, links lead somewhere, pictures stay small."""

import argparse
import re
from pathlib import Path

from docpipe.cli.options import parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def commands() -> list[str]:
    (found,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return list(found.choices)


def test_every_command_is_told() -> None:
    """Each with a line of its own in the list of commands."""
    for command in commands():
        assert re.search(rf"^    docpipe {command}\b", README, re.MULTILINE), command


def test_links_lead_somewhere() -> None:
    """Files of the repository, pictures among them, that are not too large to be loaded with the page."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert "docpipe/docs/adapters.md" in links
    for link in links:
        assert (ROOT / link).stat().st_size < 100_000, link


def test_pictures_load_nothing() -> None:
    """The picture of the terminal has no fonts of other hosts."""
    picture = (ROOT / "tests" / "pictures" / "terminal.svg").read_text("utf-8")
    assert "url(http" not in picture.replace("url(#", "")
    assert "docex" in picture


def test_sections_that_others_name() -> None:
    """What the text calls a section by its name is one."""
    headings = set(re.findall(r"^#{2,3} (.+)$", README, re.MULTILINE))
    for name in re.findall(r'see "([^"]+)"', README.replace("\n", " ")):
        assert " ".join(name.split()) in headings, name
