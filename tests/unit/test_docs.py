"""The developers' pages name files that exist, words once, and code that works."""

import re
from pathlib import Path

import pytest

from docpipe.convert.core.base import NothingToReadError, Source

ROOT = Path(__file__).parents[2]


def test_files_that_the_architecture_names_exist() -> None:
    """Each path in backticks lies below docpipe/, or in the repository."""
    text = (ROOT / "docpipe" / "docs" / "architecture.md").read_text("utf-8")
    paths = [path for path in re.findall(r"`([\w/.]+)`", text) if "/" in path]
    assert len(paths) > 20
    for path in paths:
        assert (ROOT / "docpipe" / path).exists() or (ROOT / path).exists(), path


@pytest.mark.parametrize("page", ["developing.md", "adapters.md", "glossary.md", "decisions.md"])
def test_files_that_pages_for_developers_name_exist(page: str) -> None:
    """Paths of modules, from the root or below docpipe/; not those that the reader is to write."""
    text = (ROOT / "docpipe" / "docs" / page).read_text("utf-8")
    for path in re.findall(r"`([\w/]+/[\w/]*(?:\.py)?)`", text):
        if not path.endswith("from_notes.py"):
            assert (ROOT / "docpipe" / path).exists() or (ROOT / path).exists(), path


def test_the_reader_of_the_guide_works(tmp_path: Path) -> None:
    """Whoever copies it has a reader."""
    text = (ROOT / "docpipe" / "docs" / "developing.md").read_text("utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    module: dict[str, object] = {}
    exec(compile(code, "from_notes.py", "exec"), module)  # noqa: S102 -- the guide's own
    read = module["read"]
    assert callable(read)
    file = tmp_path / "notes"
    file.write_text("2024-03-01|Warfarin 5 mg\n\n2024-03-02|\u00b5g, not mg\n", "utf-8")
    (table,) = read(Source(file, "text/x-notes")).blocks
    assert table.rows == (("2024-03-01", "Warfarin 5 mg"), ("2024-03-02", "\u00b5g, not mg"))
    file.write_text("nothing")
    with pytest.raises(NothingToReadError):
        read(Source(file, "text/x-notes"))


def test_the_glossary_has_one_meaning_a_word() -> None:
    """About forty words, in order, none twice."""
    text = (ROOT / "docpipe" / "docs" / "glossary.md").read_text("utf-8")
    words = re.findall(r"^\| (?!word|-)([^|]+) \|", text, re.MULTILINE)
    assert len(words) >= 40
    assert words == sorted(set(words), key=str.lower)
