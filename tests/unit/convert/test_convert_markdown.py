"""Text stays text in Markdown: checked by reading it back with an independent parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from docpipe.convert.core.blocks import Heading, Listing, Paragraph, Preformatted, Table, clean, even, tidy
from docpipe.convert.writers.markdown import escape, write

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKS = [chr(code) for code in range(0xFDD0, 0xFDD8)]
NASTY = st.text(
    st.sampled_from("ab1 \\`*_[](){}<>#+-.!|~&;:=/\"'^x\n\tß漢")
    | st.characters(exclude_categories=["Cs"], exclude_characters="".join(MARKS)),
    max_size=60,
)
LINES = st.one_of(
    NASTY,
    st.sampled_from(
        [
            "# not a heading",
            "- not a list",
            "1. no",
            "10) no",
            "> no",
            "---",
            "===",
            "***",
            "___",
            "```",
            "~~~",
            "| a | b |",
            "--- | ---",
            "[a]: http://b",
            "[a](javascript:b)",
            "![a](b)",
            "<script>x</script>",
            "<!-- x",
            "<a href=x>",
            "&lt;b&gt;",
            "&#60;",
            "a  \nb",
            "a\\",
            "\\",
            "[x] task",
            "**b**",
            "__b__",
            "~~b~~",
            "a*b*c",
            "<http://x.y>",
            "    code",
            "\tcode",
            "a | b\n--- | ---\nc | d",
            "a\n===",
            "[^1]: note",
            "+ x",
            "a\n- b",
        ]
    ),
)


def _words(text):
    return text.split()


def _displayed(tokens):
    """What a reader of the page sees, with line breaks as blanks."""
    return "".join(
        token.content if token.type in {"text", "code_inline", "fence"} else " "
        for token in tokens
        if token.type in {"text", "softbreak", "hardbreak", "text_special"}
    )


@given(st.lists(LINES, min_size=1, max_size=4))
def test_paragraphs_stay_paragraphs(texts):
    """A paragraph is read back as one paragraph with the same words, without any markup."""
    output = [tidy(text) for text in texts]
    output = [text for text in output if text]
    tokens = READER.parse(write(Paragraph(text) for text in output))
    assert {token.type for token in tokens} <= {"paragraph_open", "paragraph_close", "inline"}
    result = [token for token in tokens if token.type == "inline"]
    assert [_words(_displayed(token.children)) for token in result] == [_words(text) for text in output]
    assert {inner.type for token in result for inner in token.children} <= {
        "text",
        "text_special",
        "hardbreak",
    }


@given(LINES, st.integers(1, 9))
def test_headings_stay_headings(text, level):
    """A heading is read back as one, at its level, with the same words."""
    output = tidy(text)
    tokens = READER.parse(write([Heading(level, output)]))
    assert [token.type for token in tokens] == (["heading_open", "inline", "heading_close"] if output else [])
    if output:
        assert tokens[0].tag == f"h{min(level, 6)}"
        assert _words(_displayed(tokens[1].children)) == _words(output)


@given(st.integers(2, 4), st.lists(st.lists(LINES, min_size=2, max_size=4), min_size=1, max_size=4))
def test_tables_keep_their_cells(width, rows):
    """A table is read back with the same number of rows and cells and the same words in each."""
    table = even([[tidy(cell) for cell in row][:width] for row in rows], width)
    tokens = READER.parse(write([Table(table[:1], table[1:])]))
    assert tokens[0].type == "table_open"
    cells = [
        _words(_displayed(map(_break_as_blank, token.children))) for token in tokens if token.type == "inline"
    ]
    assert cells == [_words(cell) for row in table for cell in row]


def _break_as_blank(token):
    """The only HTML that is ever written, read as what it means."""
    if token.type == "html_inline":
        assert token.content == "<br>"
        token.type = "softbreak"
    return token


@given(LINES)
def test_preformatted_text_is_kept(text):
    """Preformatted text is read back to the letter, whatever fences it has of its own."""
    output = clean(text).strip("\n")
    tokens = READER.parse(write([Preformatted(output)]))
    assert [token.type for token in tokens] == (["fence"] if output.strip() else [])
    if output.strip():
        assert tokens[0].content == output + "\n"


@given(st.lists(LINES, min_size=1, max_size=4), st.lists(LINES, min_size=1, max_size=4), st.integers(0, 5))
def test_lists_keep_their_items(first, second, start):
    """Two lists in a row, one within the other's item, are read back as they were."""
    inner = Listing(tuple((Paragraph(text),) for text in map(tidy, second) if text), start)
    outer = Listing(tuple((Paragraph(text), inner) for text in map(tidy, first) if text))
    tokens = READER.parse(write([outer, inner]))
    kinds = [token.type for token in tokens if token.type.endswith("list_open")]
    deep = bool(inner.items)
    assert (
        kinds
        == (["bullet_list_open"] + ["ordered_list_open"] * deep * len(outer.items)) * bool(outer.items)
        + ["ordered_list_open"] * deep
    )
    displayed = [_words(_displayed(token.children)) for token in tokens if token.type == "inline"]
    inside = [_words(item[0].text) for item in inner.items]
    assert displayed == [w for item in outer.items for w in [_words(item[0].text), *inside]] + inside


@pytest.mark.parametrize(
    "text",
    [
        "mm[Hg]",
        "BMI < 25",
        "H. pylori & co",
        "25.74 kg/m²",
        "a_b_c",
        "5 * 3 = 15",
        "-5 °C",
        "+1",
        "# 4",
        "~5 mg",
        "3.5-5.0",
    ],
)
def test_plain_phrases_are_not_disfigured(text):
    """What would not be read as markup is written as it is."""
    assert escape(text, start=text != "# 4") == text


def test_markup_of_web_pages_is_written_as_entities():
    """Not every reader of Markdown heeds a backslash before `<`."""
    assert "<script" not in write(
        [Paragraph("<script>alert(1)</script>"), Table((), (("<b onclick=x>", ""),))]
    )


def test_characters_that_deceive_are_dropped():
    """Controls, direction overrides ("10" could be shown as "01") and tags that hide text are not text."""
    assert clean("a\x00\x1b\u202e10\ufeff\U000e0041\ud800b\r\nc\u2028d") == "a10b\nc\nd"


def test_two_lists_in_a_row_stay_two():
    """A list that follows a list is not read as its continuation."""
    bullets = Listing(((Paragraph("a"),),))
    numbers = Listing(((Paragraph("a"),),), 1)
    tokens = READER.parse(write([bullets, bullets, bullets, numbers, numbers]))
    kinds = [token.type for token in tokens if token.type.endswith("list_open")]
    assert kinds == ["bullet_list_open"] * 3 + ["ordered_list_open"] * 2
