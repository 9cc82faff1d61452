"""Names are nouns of the domain or verbs that say what happens; words that mean ten things are none."""

import io
import keyword
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "docpipe"
BANNED = {"told", "found", "shown", "said", "say", "stir", "poke", "looking", "goes"}
OURS_NOT = {"FileNotFoundError", "NotFoundError", "NOT_FOUND", "ModuleNotFoundError", "PackageNotFoundError"}
"""Names of the language, of libraries and of HTTP."""
LEFT = {
    "archive": 38,
    "check": 74,
    "checkpoints": 13,
    "cli": 282,
    "client": 52,
    "config": 9,
    "convert": 806,
    "gates": 18,
    "http": 55,
    "patients": 39,
    "plan": 35,
    "report": 65,
    "runtime": 21,
    "sources": 188,
    "storage": 57,
    "web": 87,
}
"""What is left to rename, by package. Numbers only fall."""


def banned_names(folder: Path) -> Counter[str]:
    """Identifiers below a folder that have a banned word in them, with their number."""
    names: Counter[str] = Counter()
    for path in folder.rglob("*.py"):
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
            if token.type != tokenize.NAME or keyword.iskeyword(token.string) or token.string in OURS_NOT:
                continue
            words = re.findall(r"[a-z]+|[A-Z][a-z]*", token.string)
            if BANNED & {word.lower() for word in words}:
                names[token.string] += 1
    return names


PACKAGES = sorted(path for path in ROOT.iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_banned_words_are_no_names(folder: Path) -> None:
    """A package has no more of them than are left to rename, and most have none."""
    names = banned_names(folder)
    assert names.total() <= LEFT.get(folder.name, 0), names.most_common(10)
