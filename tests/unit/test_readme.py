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


def _parsers(above: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands below one, by name."""
    return next(
        (action.choices for action in above._actions if isinstance(action, argparse._SubParsersAction)), {}
    )


def _faults_of(command: str) -> list[str]:
    """What docpipe does not know of a command as a page gives it: its name, or its options."""
    words = command.split()
    known = parser()
    while words and (below := _parsers(known)):
        if words[0].startswith("-"):
            words = words[2:]  # such as --config FILE
        elif not words[0].islower():  # a placeholder, such as COMMAND
            return []
        elif words[0] not in below:
            return [f"{words[0]} in `docpipe {command}`"]
        else:
            known = below[words.pop(0)]
    options = {option for action in known._actions for option in action.option_strings}
    return [
        f"{word} in `docpipe {command}`"
        for word in (word.partition("=")[0].strip("[]") for word in words)
        if re.fullmatch(r"--?[a-z][a-z-]*", word) and word not in options
    ]


def _commands_in(page: Path) -> list[str]:
    """What follows `docpipe` in the code of a page, without comments and what follows in a pipe."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    fenced = "".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", text)
    indented = re.findall(r"^    (docpipe .*)$", text, re.MULTILINE)
    given = (
        re.match(r"(?:\$ |\S*bin/)?docpipe (-?-?[a-z][^#|&;)>]*)", " ".join(line.split()))
        for line in [*fenced.splitlines(), *spans, *(line.partition("  ")[0] for line in indented)]
    )
    return [match[1] for match in given if match]


def test_commands_that_pages_give_exist_with_their_options() -> None:
    """Each `docpipe X --option` in code: nobody types what is refused."""
    given = {page.name: _commands_in(page) for page in PAGES}
    assert sum(map(len, given.values())) > 100
    faults = [
        f"{page}: {one}" for page, listed in given.items() for each in listed for one in _faults_of(each)
    ]
    assert faults == []
