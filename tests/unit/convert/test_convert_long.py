"""Documents that are long or deep: each word stays, and parser and typesetter take what they can bear."""

import pytest

from docpipe.convert.core.blocks import Listing, Paragraph, Preformatted, Table, texts
from docpipe.convert.readers.html.from_html import flowed
from docpipe.convert.readers.html.parsing import flattened
from docpipe.convert.writers.portions import portions

LINES = [f"line {at}" for at in range(2_000)]
TEXT = "\n".join(LINES)


def most_lines(block):
    """The most lines of one text within a block."""
    return max(text.count("\n") + 1 for text in texts([block]))


@pytest.mark.parametrize(
    "block",
    [
        Paragraph(TEXT),
        Preformatted(TEXT),
        Listing(((Paragraph(TEXT),), (Paragraph("b"),)), None, ("A.", "B.")),
        Table((("x", "y"),), ((TEXT, "short"),)),
    ],
)
def test_long_texts_are_set_in_pieces_of_few_lines(block):
    """Typst needs the square of a paragraph's lines."""
    pieces = [piece for part in portions([block]) for piece in part]
    assert max(map(most_lines, pieces)) <= 300
    joined = "\n".join(text for piece in pieces for text in texts([piece]))
    assert [line for line in joined.split("\n") if line.startswith("line ")] == LINES


def test_short_blocks_stay_whole():
    """Whatever is not long is one piece, and what is docpipe's own stays so."""
    blocks = [Paragraph("a\nb", own=True), Table((), (("a\nb", ""),)), Table((("h",),), ()), Preformatted("")]
    assert list(portions(blocks)) == [blocks]


def test_items_of_a_long_list_keep_their_labels():
    """Wherever it is cut."""
    names = tuple(f"{at}a)" for at in range(2_500))
    whole = Listing(tuple((Paragraph("x"),) for _ in names), 1, names)
    assert tuple(name for part in portions([whole]) for piece in part for name in piece.labels) == names


@pytest.mark.parametrize("opened", ["<div>", "<DIV title='a'>", "<ul><li>", "<table><tr><td>", "<span>"])
def test_elements_that_are_nested_too_deep_leave_their_text(opened):
    """The tags beyond what browsers open are left out before parsing, whose time is their square."""
    closed = f"</{opened.strip('<').split('>')[0].split()[0]}>"
    page = f"<p>before{opened * 12_000}dose{closed * 12_000}<h1>after</h1>"
    flat = flattened(page)
    assert flat.lower().count(opened[:4].lower()) <= 512
    assert "".join(" ".join(texts(flowed(page))).split()) == "beforedoseafter"


@pytest.mark.parametrize(
    "page",
    [
        "<table>" + "<tr><td><div>a<td>5 mg" * 6_000 + "</table>",
        "<ul>" + "<li><b>a" * 12_000 + "</ul>",
        "<p>x<br><img>" * 6_000,
        "<div>a</div>" * 12_000,
        "<!-- <div> -->" * 12_000,
        "<script>" + "'<div>'" * 12_000 + "</SCRIPT>",
        "<div></div>" * 11_000 + "<div",
        "<div>" * 600,
    ],
)
def test_pages_that_are_long_and_not_deep_stay_as_they_are(page):
    """Elements that end without an end tag are no nesting, and what looks like tags elsewhere is none."""
    assert flattened(page) == page
