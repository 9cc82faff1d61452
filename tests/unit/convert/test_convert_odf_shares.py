"""OpenDocument: sizes in percent, sections with conditions, readings above words, and marked passages."""

import pytest

from tests.unit.convert.documents import text_of
from tests.unit.convert.offices import odf

SCALED = "".join(
    f'<style:style style:name="T{size}" style:family="text">'
    f'<style:text-properties fo:font-size="{size}%"/></style:style>'
    for size in (10, 58)
)


@pytest.mark.parametrize(
    ("body", "markdown"),
    [
        ('<text:p>a <text:span text:style-name="T10">b</text:span></text:p>', "a [hidden: b]"),
        ('<text:p>a <text:span text:style-name="T58">b</text:span></text:p>', "a b"),
        (
            (
                '<text:p>a <text:span text:style-name="T58"><text:span text:style-name="T58">b</text:span>'
                "</text:span></text:p>"
            ),
            "a b",
        ),
        (
            '<text:section text:display="condition" text:is-hidden="true"><text:p>b</text:p></text:section>',
            "[hidden: b]",
        ),
        (
            '<text:section text:display="condition" text:is-hidden="false"><text:p>b</text:p></text:section>',
            "b",
        ),
        (
            "<text:p><text:ruby><text:ruby-base>a</text:ruby-base><text:ruby-text>b</text:ruby-text></text:ruby></text:p>",
            "a(b)",
        ),
        ('<text:p>a <text:meta xml:id="m">b</text:meta> c</text:p>', "a b c"),
    ],
)
def test_shares_of_sizes_conditions_of_sections_and_readings(tmp_path, body, markdown):
    """Sizes may be shares of the one around, conditions hide sections, readings stand in brackets."""
    assert text_of(tmp_path, odf(body, automatic=SCALED)) == markdown + "\n"
