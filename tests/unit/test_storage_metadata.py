"""The JSON of stored metadata: for people, and without garbage."""

import gc
import json

from hypothesis import given
from hypothesis import strategies as st

from docpipe.storage.names import to_json

TEXT = st.text(st.characters(exclude_categories=()))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_any_metadata_are_indented_as_json_does(metadata):
    """Documents that are stored already have the same bytes when they are stored again."""
    expected = json.dumps(metadata, indent=1, ensure_ascii=False).encode(errors="backslashreplace")
    assert to_json(metadata) == expected


def test_metadata_leave_no_garbage():
    """They are written for each document, and old garbage is collected rarely."""
    gc.collect()
    gc.disable()
    try:
        to_json({"title": "A", "pages": 3, "warnings": ["b"]})
        assert gc.collect() == 0
    finally:
        gc.enable()
