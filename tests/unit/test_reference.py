"""The generated parts of the documentation are those of the code."""

import tomllib
from dataclasses import MISSING, fields

import pytest

from docpipe.config import parsing, reference
from docpipe.config.config import SECTIONS
from tests.reference import ROOT, generated

KEYS = [(section, key) for section, kind in SECTIONS.items() for key in fields(kind)]


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_generated_files_are_current(path) -> None:
    """`python -m tests.reference` would change nothing."""
    assert path.read_text("utf-8") == generated()[path], "run `python -m tests.reference`"


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[f"{section}.{key.name}" for section, key in KEYS])
def test_each_key_is_described_truly(section: str, key) -> None:
    """The default in writing reads back as the default; a key without one has an example that is taken."""
    default, example = reference.default_of(key), key.metadata["example"]
    assert key.default is not MISSING
    assert default or example
    if default:
        assert key.metadata["parse"](tomllib.loads(f"it = {default}")["it"]) == key.default
    elif example != '"..."':
        assert key.metadata["parse"](tomllib.loads(f"it = {example}")["it"])
    assert not key.metadata["about"].endswith(".")


def test_every_line_of_the_example_is_toml() -> None:
    """config.toml stays readable TOML when all its keys are switched on."""
    text = (ROOT / "config.toml").read_text("utf-8")
    switched = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and (" = " in line or "[[" in line) else line
        for line in text.splitlines()
    )
    given = tomllib.loads(switched)
    assert set(given) == set(SECTIONS)
    assert set(given["docex"]) == {key.name for key in fields(SECTIONS["docex"])}


def test_an_unknown_parser_is_no_silent_gap() -> None:
    """Durations, sizes and rates are written in their units."""
    texts = {reference.default_of(key) for _, key in KEYS}
    assert {'"10/min"', '"30s"', '"5min"', '"90d"', '"1GiB"', '"auto"', "true", "4"} <= texts
    assert parsing.parse_rate("10/min") is not None
