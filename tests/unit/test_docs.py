"""The developers' pages name files that exist, and words once."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
