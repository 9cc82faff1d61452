"""A Bundle is read entry by entry as it would be as a whole."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.sources.fhir import listing
from docpipe.sources.fhir.listing import Listing
from docpipe.sources.fhir.resources import bundle_of, resources
from docpipe.sources.fhir.retrieval import Retrieval

TEXT = st.text(max_size=8) | st.sampled_from(['"entry":[{', "\\", '\\"', "]}", "\u2028", "\U0001f600"])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RESOURCE = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Binary", "Patient", "Bundle"])},
    optional={"entry": VALUE, "x": VALUE, "type": st.sampled_from(["searchset", "document"])},
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "resource": RESOURCE | VALUE,
        "fullUrl": TEXT,
        "search": st.fixed_dictionaries({"mode": st.sampled_from(["match", "include"])}),
        "response": VALUE,
    },
)
BUNDLE = st.fixed_dictionaries(
    {"resourceType": st.just("Bundle"), "entry": st.lists(ENTRY | VALUE, max_size=5) | ENTRY},
    optional={"type": TEXT, "total": VALUE, "link": VALUE, "x": VALUE},
)


def listing_of(folder: Path, text: str | bytes) -> Listing:
    path = folder / "page.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Listing.of(path)


@given(BUNDLE, st.sampled_from([None, 2]), st.booleans(), st.booleans())
def test_nothing_is_lost_or_added(
    value: dict[str, Any], indent: int | None, ascii_only: bool, large: bool
) -> None:
    """Entries, matches and the rest are those that a reader of JSON finds, in any dress."""
    expected = bundle_of(value)
    assert expected is not None
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "LARGE", 20 if large else 2**20)
        actual = listing_of(Path(name), json.dumps(value, indent=indent, ensure_ascii=ascii_only))
        assert list(actual.resources()) == list(resources(expected))
        assert actual.matches == expected.matches
        assert actual.bundle is not None
        assert (actual.bundle.total, actual.bundle.type, actual.bundle.next) == (
            expected.total,
            expected.type,
            expected.next,
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[]",
        "7",
        "{",
        "{]",
        "{}}",
        "{} x",
        '{"entry":[{}}',
        '{"entry":["a]}',
        '{"a":"b\\',
        "x" * 70_000,
        "[" * 100_000,
        '{"entry":[' + "{}," * 10,
    ],
)
def test_what_is_no_object(tmp_path: Path, text: str) -> None:
    """It is no result, and nothing worse."""
    with pytest.raises((ValueError, RecursionError)):
        listing_of(tmp_path, text)
    assert Retrieval.readable(tmp_path / "page.json") is False


@pytest.mark.parametrize("entry", ["{},", "[[]],"])
def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    """A page that would take hours is no result."""
    monkeypatch.setattr(listing, "MOST_ENTRIES", 100)
    monkeypatch.setattr(listing, "_MOST_BRACKETS", 1000)
    listing_of(tmp_path, '{"entry":[' + "{}," * 99 + "{}]}")
    with pytest.raises(ValueError, match="too many"):
        listing_of(tmp_path, '{"entry":[' + entry * 400 + "{}]}")


def test_a_mark_of_order_and_a_half_character(tmp_path: Path) -> None:
    """Servers write both; the entries around are read."""
    half = '{"resource":{"resourceType":"Patient","x":"\\ud83d"}}'
    text = '{"entry":[' + half + ',{"resource":{"a":1}}]}'
    page = listing_of(tmp_path, b"\xef\xbb\xbf \n" + text.encode())
    assert [resource for resource, _ in page.resources()] == [
        {"resourceType": "Patient", "x": "\ud83d"},
        {"a": 1},
    ]


def test_an_entry_that_cannot_be_read_is_alone(tmp_path: Path) -> None:
    """It is empty; the others are read."""
    wide = json.dumps({"resource": {"x": [[]] * 200_000}})
    entries = ('{"resource":{"a":1}}', wide, '{"resource":{"x":flase}}', '{"resource":{"b":2}}')
    page = listing_of(tmp_path, '{"entry":[' + ",".join(entries) + "]}")
    assert [resource for resource, _ in page.resources()] == [{"a": 1}, {}, {}, {"b": 2}]


def test_a_large_document_in_an_entry(tmp_path: Path) -> None:
    """It is read, however large the rest of its entry."""
    text = json.dumps({"entry": [{"resource": {"resourceType": "Binary", "data": "QUJD" * 6_000_000}}]})
    ((resource, _),) = listing_of(tmp_path, text).resources()
    assert len(resource["data"]) == 24_000_000


def test_strings_longer_than_a_match(tmp_path: Path) -> None:
    """Long ones, and ones of escapes alone."""
    for text in ("x" * 10_000_000, "\\" * 200_000, '"' * 70_001, "\n[{" * 50_000):
        value = {"x": text, "entry": [{"resource": {"y": text}}, {"resource": {"z": 1}}]}
        actual = [resource for resource, _ in listing_of(tmp_path, json.dumps(value)).resources()]
        assert actual == [{"y": text}, {"z": 1}]
