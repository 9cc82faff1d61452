"""Names are nouns of the domain or verbs that say what happens; words that mean ten things are none."""

import io
import keyword
import re
import tokenize
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "docpipe"
BANNED = {"told", "found", "shown", "said", "say", "stir", "poke", "looking", "goes"}
ANY = re.compile("|".join(BANNED), re.IGNORECASE)
OURS_NOT = {
    "FileNotFoundError",
    "HTTPNotFound",
    "NotFoundError",
    "NOT_FOUND",
    "ModuleNotFoundError",
    "PackageNotFoundError",
}
"""Names of the language, of libraries and of HTTP."""


def banned_names(paths: Iterable[Path]) -> Counter[str]:
    """Identifiers in these files that have a banned word in them, with their number.

    The name of a test is a sentence, and no identifier that anybody uses.
    """
    names: Counter[str] = Counter()
    for path in paths:
        text = path.read_text("utf-8")
        if not ANY.search(text):  # to take a file apart costs much more than to search it
            continue
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type != tokenize.NAME or keyword.iskeyword(token.string) or token.string in OURS_NOT:
                continue
            words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", token.string)
            if BANNED & {word.lower() for word in words} and not token.string.startswith("test_"):
                names[token.string] += 1
    return names


PACKAGES = sorted(path for path in ROOT.iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_banned_words_are_no_names(folder: Path) -> None:
    """Not one."""
    assert banned_names(folder.rglob("*.py")) == {}


def test_banned_words_are_no_names_on_the_top_level() -> None:
    """Nor in the modules beside the packages."""
    assert banned_names(ROOT.glob("*.py")) == {}


@pytest.mark.parametrize("folder", ["tests", "fakes"])
def test_banned_words_are_no_names_in_tests(folder: str) -> None:
    """Nor in tests and fakes."""
    assert banned_names((ROOT.parent / folder).rglob("*.py")) == {}


def test_values_of_any_type_stay_at_the_edges() -> None:
    """`Json`, which is anything, is for what comes or leaves as text; what is in between has a type."""
    uses = sum(len(re.findall(r"\bJson\b", path.read_text("utf-8"))) for path in ROOT.rglob("*.py"))
    assert uses < 60
